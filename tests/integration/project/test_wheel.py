"""The wheel is the product: built, installed as the laptop's lock says, and used where no source is in reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.support import captures as make
from tests.support import product
from tests.support.locks import taken

ROOT = Path(__file__).parents[3]
PIP = [sys.executable, "-m", "pip", "--isolated", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the sources, without a network."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("edge_scanner", "provisioning"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", out, tree], check=True
    )
    (made,) = out.glob("edge_scanner-*.whl")
    return made


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    """Pages, pictures, schemas, languages, fonts, types: nothing that stands in a package stays behind."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}

    sources = {
        str(path.relative_to(ROOT))
        for package in ("edge_scanner", "provisioning")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert inside == sources


def test_the_installed_product_works_without_its_sources(wheel: Path, tmp_path: Path) -> None:
    """Three programs answer, a capture is played, keys, batch and labels are made, with nothing but laptop.lock."""
    place = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    # What pip would unpack again is here already, in the lock's versions: the developer's environment has it.
    for name, version in taken("laptop").items():
        package = distribution(name)
        assert package.version == version
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            (site / top).symlink_to(str(package.locate_file(top)))
    python = place / "bin" / "python"
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    subprocess.run([*PIP, "--python", python, "check"], check=True)
    folder = tmp_path / "desk"
    folder.mkdir()
    adverts = [(make.START_S + second, 0, make.legacy_event(make.legacy_report(make.GAEN))) for second in range(60)]
    (folder / "capture.btsnoop").write_bytes(make.btsnoop(adverts))
    story = shutil.copy(product.__file__, tmp_path)

    done = subprocess.run(
        [python, "-P", story, folder],
        capture_output=True, text=True, check=False, cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
