"""Debian's arm64 tree with our package installed by dpkg, and its programs run on this machine.

Programs of the tree run under qemu-user (`emulated`) and see the tree as `/`: the package's environment is used as it
lies there, through its own interpreter link.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}


def inside(tree: Path, *command: str) -> str:
    """What an arm64 program of the tree prints. Raises CalledProcessError when it fails."""
    done = subprocess.run(
        [HERE / "emulated", "sh", "-ec", 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"', tree, *command],
        env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def install(pristine: Path, package: Path, tree: Path) -> None:
    """Copy the pristine tree to `tree` and install the package there, as an image builder does."""
    subprocess.run(["cp", "--archive", pristine, tree], check=True)
    shutil.copy(package, tree / "tmp")
    inside(tree, "dpkg", "--install", f"/tmp/{package.name}")
    (tree / "tmp" / package.name).unlink()
