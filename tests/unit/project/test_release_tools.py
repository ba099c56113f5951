"""What is made beside a package: its version in Debian's spelling, its maintainer, its bill of materials."""

from __future__ import annotations

import hashlib
import json
import runpy
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools import sbom

ROOT = Path(__file__).parents[3]
MADE_S = 1_795_500_000
(PAGES,) = (ROOT / "edge_scanner").rglob("vendor")


@pytest.fixture
def make_deb(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions of tools/make-deb."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return runpy.run_path(str(ROOT / "tools" / "make-deb"))


def _wheel(folder: Path, name: str, *metadata: str) -> Path:
    """A wheel with nothing but its metadata, named as the index names files."""
    file = folder / f"{name}-1.2-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        text = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.2", *metadata, "", "License: prose"])
        archive.writestr(f"{name}-1.2.dist-info/METADATA", text)
    return file


def _bill(folder: Path, *wheels: Path) -> Any:
    """The bill of a package, once CycloneDX's own validator finds nothing in it."""
    package = folder / "edge-scanner_1_amd64.deb"
    package.write_bytes(b"a package")
    text = sbom.bill(package, version="1", wheels=wheels, vendored=PAGES, made_s=MADE_S)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


@pytest.mark.parametrize(
    ("ours", "debian"),
    [("1.0.0", "1.0.0"), ("1.0.0rc1", "1.0.0~rc1"), ("1.1.0a2", "1.1.0~a2"), ("1.1.0.dev3", "1.1.0~dev3")],
)
def test_candidates_sort_before_their_release(make_deb: dict[str, Any], ours: str, debian: str) -> None:
    """In dpkg `~` comes before nothing at all; Python writes the same version without it."""
    assert make_deb["debian_version"](ours) == debian


def test_the_version_is_written_once(make_deb: dict[str, Any]) -> None:
    """The package and the wheel read the version from the programs' own `__version__`."""
    said = (ROOT / "edge_scanner" / "__init__.py").read_text()

    assert f'"{make_deb["product_version"]()}"' in said
    assert 'version = {attr = "edge_scanner.__version__"}' in (ROOT / "pyproject.toml").read_text()


def test_no_placeholder_is_shipped() -> None:
    """Nothing that a box or a laptop carries names an address that was invented to fill a field."""
    shipped = [
        path for name in ("edge_scanner", "provisioning", "packaging", "config") for path in (ROOT / name).rglob("*")
    ]

    assert [path.name for path in shipped if path.is_file() and b"example.invalid" in path.read_bytes()] == []


def test_the_bill_names_package_wheels_and_files_by_their_hashes(tmp_path: Path) -> None:
    """Who reads the bill can tell which package it belongs to, and find each file on the index."""
    wheel = _wheel(tmp_path, "Some_Thing", "License-Expression: MIT")

    bill = _bill(tmp_path, wheel)

    assert bill["metadata"]["component"]["hashes"][0]["content"] == hashlib.sha256(b"a package").hexdigest()
    assert bill["metadata"]["timestamp"] == "2026-11-24T06:00:00Z"
    assert bill["components"][0] == {
        "type": "library",
        "bom-ref": "Some_Thing-1.2-py3-none-any.whl",
        "name": "some-thing",
        "version": "1.2",
        "purl": "pkg:pypi/some-thing@1.2?file_name=Some_Thing-1.2-py3-none-any.whl",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        "licenses": [{"expression": "MIT"}],
    }


def test_the_bill_does_not_depend_on_the_order_of_the_wheels(tmp_path: Path) -> None:
    """The same package, the same bytes."""
    first, second = _wheel(tmp_path, "one"), _wheel(tmp_path, "two")

    assert _bill(tmp_path, first, second) == _bill(tmp_path, second, first)


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        (("License: ISC",), [{"license": {"name": "ISC"}}]),
        (("License: A whole", "  text"), None),
        ((), None),
    ],
)
def test_old_metadata_gives_a_licence_only_by_a_short_name(
    tmp_path: Path, metadata: tuple[str, ...], licences: object
) -> None:
    """Wheels from before licence expressions have a name, a whole text, or nothing."""
    assert _bill(tmp_path, _wheel(tmp_path, "old", *metadata))["components"][0].get("licenses") == licences


def test_files_of_others_are_listed_with_the_version_that_their_readme_says(tmp_path: Path) -> None:
    """Each vendored file of the kiosk's pages is in the bill, in the version that stands beside it."""
    listed = {part["bom-ref"]: part for part in _bill(tmp_path)["components"]}

    assert listed.keys() == {path.name for path in PAGES.iterdir() if path.suffix in {".js", ".css", ".woff2"}}
    readme = (PAGES / "README.txt").read_text()
    assert all(part["version"] in readme for part in listed.values())
