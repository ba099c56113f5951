"""What is published later cannot break an installation: each lock, by old and new pip, from an index of the future.

The index is a folder of tiny wheels, made here: every package that this machine takes from the developer's lock, with
its real name, version and requirements, and beside each a newer version. Only the hashes in the lock are the tiny
wheels'.
"""

from __future__ import annotations

import base64
import ensurepip
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.version import Version

from tests.support.locks import LOCKS, taken

ROOT = Path(__file__).parents[3]
FUTURE = "99999"
INSTALLED = ("box", "build", "laptop", "central", "demo", "developer")
KEPT = ("Requires-Dist", "Provides-Extra")

# The interpreter brings one for new environments, Debian keeps its own on a shelf: 23.0.1 is Debian 12's.
SHELVES = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))
OLD = min(
    (path for shelf in SHELVES for path in shelf.glob("pip-*.whl")), key=lambda path: Version(path.name.split("-")[1])
)
PIPS = {OLD.name.removesuffix("-py3-none-any.whl"): [f"{OLD}/pip"], "newest": ["-m", "pip"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A folder with wheels, and each lock with their hashes."""

    wheels: Path
    locks: Path


def _tiny(folder: Path, name: str, version: str, requirements: list[str]) -> str:
    """Write a wheel that holds nothing but what it requires; its SHA-256."""
    stem = f"{name.replace('-', '_')}-{version}"
    files = {
        f"{stem}.dist-info/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *requirements, ""]
        ),
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{stem}.dist-info/RECORD"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        lines = []
        for file, text in files.items():
            wheel.writestr(file, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{file},sha256={digest},{len(text)}")
        wheel.writestr(record, "\n".join([*lines, f"{record},,", ""]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Today's versions and tomorrow's of every package, and the locks that pin today's."""
    made = Index(wheels=tmp_path_factory.mktemp("wheels"), locks=tmp_path_factory.mktemp("locks"))
    hashes = {}
    for name, version in taken("developer").items():
        said = distribution(name).metadata
        requirements = [f"{field}: {value}" for field in KEPT for value in said.get_all(field, [])]
        hashes[name] = _tiny(made.wheels, name, version, requirements)
        _tiny(made.wheels, name, FUTURE, requirements)
    for lock in INSTALLED:
        text = (LOCKS / f"{lock}.lock").read_text()
        for name, version in taken(lock).items():
            block = rf"(^{re.escape(name)}=={re.escape(version)}(?: ;.*)? \\\n)(?: +--hash=.*\n)+"
            text, found = re.subn(block, rf"\1    --hash=sha256:{hashes[name]}\n", text, flags=re.MULTILINE)
            assert found == 1
        (made.locks / f"{lock}.lock").write_text(text)
    return made


def _python(folder: Path) -> Path:
    """The interpreter of a new environment without pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def _pip(pip: list[str], python: Path, index: Index, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a pip for `python`, with the index as all that it can reach."""
    # The newest lives in the developer's environment and is told whose packages it looks after.
    command: list[str | Path] = [sys.executable, *pip, "--python", python] if pip[0] == "-m" else [python, *pip]
    given = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    given |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index.wheels)}
    given |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1"}
    return subprocess.run([*command, *words], env=given, capture_output=True, text=True, check=False)


def _installed(environment: Path) -> set[str]:
    """Name and version of every package in an environment."""
    (site,) = environment.glob("lib/python*/site-packages")
    return {path.name.removesuffix(".dist-info").replace("_", "-") for path in site.glob("*.dist-info")}


def _flags() -> list[str]:
    """How the Makefile installs a lock, without the lock."""
    (words,) = re.findall(
        r"^LOCKED := -m pip (install .*-r) \$\(LOCKS\)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    return str(words).split()


@pytest.mark.parametrize("lock", INSTALLED)
@pytest.mark.parametrize("pip", PIPS.values(), ids=PIPS)
def test_a_lock_installs_whatever_was_published_since(index: Index, tmp_path: Path, pip: list[str], lock: str) -> None:
    """The Makefile's command installs exactly the pinned versions, and pip finds nothing missing."""
    python = _python(tmp_path / "venv")

    done = _pip(pip, python, index, *_flags(), index.locks / f"{lock}.lock")
    check = _pip(pip, python, index, "check")

    assert done.returncode == 0, done.stderr
    assert check.returncode == 0, check.stdout
    assert _installed(tmp_path / "venv") == {f"{name}-{version}" for name, version in taken(lock).items()}


@pytest.mark.parametrize("pip", PIPS.values(), ids=PIPS)
def test_this_future_reaches_an_installation_that_resolves(index: Index, tmp_path: Path, pip: list[str]) -> None:
    """The control: where names alone are asked for, newer versions are taken, save where another package forbids it."""
    python = _python(tmp_path / "venv")
    names = sorted(taken("developer"))

    done = _pip(pip, python, index, "install", *names)

    assert done.returncode == 0, done.stderr
    assert len([each for each in _installed(tmp_path / "venv") if each.endswith(f"-{FUTURE}")]) > len(names) / 2


def test_a_changed_package_is_refused(index: Index, tmp_path: Path) -> None:
    """A wheel of the pinned version with other bytes, from whoever holds the index, is not installed."""
    python = _python(tmp_path / "venv")
    lock = tmp_path / "changed.lock"
    lock.write_text(f"segno=={taken('box')['segno']} \\\n    --hash=sha256:{'0' * 64}\n")

    done = _pip(["-m", "pip"], python, index, *_flags(), lock)

    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_a_python_that_is_too_old_is_said_before_anything_is_made(tmp_path: Path) -> None:
    """One line with what to type, and no environment."""
    old = tmp_path / "python3.10"
    old.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 0 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    place = tmp_path / "venv"

    done = subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={old}", f"VENV={place}", place / ".box"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[0] == f"make: {old} is no Python 3.11 or newer; name one: make PYTHON=python3.12 ..."
    )
    assert not place.exists()
