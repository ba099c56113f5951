"""A fresh Debian with make and nothing else, and a copy of the sources that belongs to an ordinary user.

Needs root, Debian's archive and the package index.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.debian import machine, source
from tests.support.guides import block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.debian import Machine

ROOT = Path(__file__).parents[2]
RELEASES = {"bookworm": "Python 3.11.", "trixie": "Python 3.13."}
SOURCES = "/home/an/edge_scanner"
THE_WAY_OUT = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    *map(str, Path("/usr/local/share/ca-certificates").glob("*.crt")),
)
"""How this machine reaches the network; behind a proxy it has more than the first two."""
INSTALL = ("apt-get", "install", "-qq", "--yes", "--no-install-recommends")


@contextmanager
def fresh(folder: Path, release: str) -> Iterator[Machine]:
    """The machine; user an is no administrator."""
    with machine(folder, release, size="4g") as target:
        for place in THE_WAY_OUT:
            if Path(place).exists():
                target.path(place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(place, target.path(place))
        target.run("apt-get", "update", "-qq")
        target.run(*INSTALL, "make", "ca-certificates")
        target.run("apt-get", "clean")
        target.run("update-ca-certificates")
        target.run("useradd", "--create-home", "an")
        tree = source(target.path(SOURCES))
        shutil.copytree(ROOT / "provisioning", tree / "provisioning", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Makefile", tree)
        target.run("chown", "--recursive", "an:", SOURCES)
        assert target.run("python3", "--version").startswith(RELEASES[release])
        yield target


def make(target: Machine, words: str, *, user: str = "an", expect: int = 0) -> str:
    """`make WORDS` in the sources; what both streams said."""
    return target.run("su", user, "-c", f"cd {SOURCES} && make {words} 2>&1", expect=expect)


def asked_of_root(target: Machine, words: str) -> str:
    """The one command that `make WORDS` leaves to root, where the user has no right to install."""
    (command,) = re.findall(r"^  (apt-get .*)$", make(target, words, expect=2), re.MULTILINE)
    return str(command)


def used_mb(folder: Path) -> float:
    """What a folder takes of the disk."""
    done = subprocess.run(["du", "-sk", folder], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0]) / 1024


def commands(guide: str) -> list[str]:
    """The lines of the block in a guide that makes the environment in /opt."""
    return [line.partition("#")[0].strip() for line in block(guide, "python3 -m venv /opt/edge").splitlines()]
