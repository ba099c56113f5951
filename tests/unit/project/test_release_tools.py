"""What is made beside a package: its version in Debian's spelling, its maintainer, its bill of materials."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools import sbom

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        archive.writestr(
            f"{name}-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
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


_MADE_UP = re.compile(r"\S*(\bexample\b|\.invalid\b|\.test\b)\S*", re.IGNORECASE)


def _texts(value: object) -> Iterator[str]:
    """Every text in a TOML document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def test_no_program_or_settings_file_has_a_made_up_address_as_its_value() -> None:
    """An example may stand in a sentence, never alone: there it would be a default, and end in a key or on a label."""
    rooms = (ROOT / name for name in ("edge_scanner", "provisioning", "tools"))
    programs = [path for room in rooms for path in room.rglob("*.py")]
    values = [
        (path.name, node.value)
        for path in programs
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    shipped = list((ROOT / "config").glob("*.toml"))
    values += [
        (path.name, text) for path in shipped for text in _texts(tomllib.loads(path.read_text(encoding="utf-8")))
    ]

    assert (len(programs) > 100, len(shipped) > 1) == (True, True)
    assert _MADE_UP.fullmatch("witness.example.vn/edge")
    assert [(name, value) for name, value in values if _MADE_UP.fullmatch(value)] == []


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


BUILD = """
import runpy, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
made = runpy.run_path(sys.argv[1] + "/make-deb")
made["wheels"].__globals__["LOCK"] = Path(sys.argv[2])
print(*(wheel.name for wheel in made["wheels"]("amd64", "3.11", Path(sys.argv[3]))))
"""


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that fetches the four wheels of a small lock from a folder instead of the index."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    made = [_wheel(shelf, name) for name in ("Some_Thing", "other", "third", "fourth")]
    lock = tmp_path / "box.lock"
    lock.write_text(
        "".join(
            f"{wheel.name.split('-')[0]}==1.2 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
            for wheel in made
        )
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return [sys.executable, "-c", BUILD, str(ROOT / "tools"), str(lock), str(tmp_path / "cache" / "amd64-3.11")]


def test_builds_at_the_same_time_share_one_cache(locked: list[str]) -> None:
    """Who comes second waits for the wheels, instead of deleting those that the first has already fetched."""
    builds = [subprocess.Popen(locked, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [build.communicate()[0].split() for build in builds]

    assert [build.returncode for build in builds] == [0] * 4
    assert [len(names) for names in said] == [4] * 4


def test_a_package_without_one_of_its_wheels_is_not_built(locked: list[str]) -> None:
    """A cache that has lost a file is named; the package would fail on the box, at a command that needs the file."""
    cache = Path(locked[-1])
    subprocess.run(locked, check=True, stdout=subprocess.DEVNULL)
    next(cache.glob("Some_Thing*")).unlink()
    again = subprocess.run(locked, check=False, capture_output=True, text=True)

    assert (again.returncode, "no wheel of some-thing" in again.stderr) == (1, True)
