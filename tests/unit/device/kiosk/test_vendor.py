"""Files of others are the ones whose hashes we noted, and each has its licence beside it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("folder", ["edge_scanner/web/vendor", "tests/vendor/axe"])
def test_hashes(folder: str) -> None:
    """Every vendored file is listed with its SHA-256, and nothing that is not listed lies there."""
    place = ROOT / folder
    lines = (place / "SHA256SUMS.txt").read_text(encoding="ascii").splitlines()
    listed = {line.split()[1]: line.split()[0] for line in lines}
    present = {path.name for path in place.iterdir() if path.suffix in (".js", ".css", ".woff2")}
    assert listed.keys() == present
    for name, digest in listed.items():
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == digest, name


def test_licences() -> None:
    """The curve library is MIT, the typeface OFL, axe MPL."""
    texts = {
        "edge_scanner/web/vendor/uplot.LICENSE.txt": "MIT License",
        "edge_scanner/web/vendor/be-vietnam-pro.OFL.txt": "SIL OPEN FONT LICENSE Version 1.1",
        "tests/vendor/axe/LICENSE": "Mozilla Public License",
    }
    for name, phrase in texts.items():
        assert phrase in (ROOT / name).read_text(encoding="utf-8"), name
