"""A clean Debian tree to install the package into: made once with debootstrap, used through an overlay by each test."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge-scanner"
PACKAGES = "python3,systemd,dbus,bluez"
"""What a box's system has besides the package: no pip, no venv, no compiler."""
MIRROR = "http://deb.debian.org/debian"


def base(release: str, arch: str = "amd64") -> Path:
    """The pristine tree, made at the first call (a minute and a network)."""
    tree = CACHE / f"{release}-{arch}"
    if (tree / ".complete").exists():
        return tree
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("a clean Debian tree needs root and debootstrap")
    shutil.rmtree(tree, ignore_errors=True)
    tree.parent.mkdir(parents=True, exist_ok=True)
    foreign = ["--foreign", "--arch", arch] if arch != "amd64" else []
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", *foreign, release, str(tree), MIRROR],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"debootstrap failed: {done.stdout.strip().splitlines()[-1:]}")
    for package in (tree / "var/cache/apt/archives").glob("*.deb") if foreign else ():
        subprocess.run(["dpkg-deb", "-x", str(package), str(tree)], check=True)
    (tree / ".complete").touch()
    return tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A Debian of the test's own."""

    root: Path

    def run(self, *command: str, expect: int = 0, **environment: str) -> str:
        """Run inside; stdout."""
        given = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["chroot", str(self.root), *command],
            capture_output=True,
            text=True,
            check=False,
            env=given | environment,
            timeout=300,
        )
        assert done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def path(self, place: str) -> Path:
        """A file inside."""
        return self.root / place.lstrip("/")


@contextmanager
def machine(folder: Path, release: str = "bookworm") -> Iterator[Machine]:
    """A machine on top of the pristine tree; what it writes lies in `folder`."""
    lower = base(release)
    disk, root = folder / "disk", folder / "root"
    disk.mkdir()
    root.mkdir()
    # On a file system of its own: an overlay cannot lie on an overlay, as it would in a container.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", str(disk)], check=True)
    try:
        (disk / "upper").mkdir()
        (disk / "work").mkdir()
        layers = f"lowerdir={lower},upperdir={disk / 'upper'},workdir={disk / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "overlay", str(root)], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
        yield Machine(root=root)
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(root)], check=False)
        subprocess.run(["umount", "--lazy", str(disk)], check=False)
