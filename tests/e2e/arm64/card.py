"""A box's card: Debian's arm64 tree with our package installed by dpkg, its settings, and the story; then a disk image.

Programs of the tree run under qemu-user (`emulated`) and see the tree as `/`: the package's environment is used as it
lies there, through its own interpreter link.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.recipients import Parties

HERE = Path(__file__).parent
STORY = "usr/local/lib/e2e-story.py"
IMAGE_SIZE = "1G"
WITHIN_S = 900.0
"""A capture of 8.5 hours, replayed under qemu-user on a busy machine."""
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}
SETTINGS = '[device]\nsite = "e2e"\nname_vi = "Bến xe"\nname_en = "Bus station"\n'
UNITS = {
    # A Raspberry Pi's adapter is on a serial line as well.
    "e2e-adapter.service": "[Service]\nExecStart=/usr/bin/btattach -B /dev/ttyS0 -P h4\n",
    "e2e-story.service": f"[Service]\nExecStart=/usr/bin/python3 -u /{STORY}\nStandardOutput=journal+console\n",
}


def inside(tree: Path, *command: str) -> str:
    """What an arm64 program of the tree prints. Raises CalledProcessError when it fails."""
    done = subprocess.run(
        [HERE / "emulated", "sh", "-ec", 'mount -t proc proc "$0/proc"; exec chroot "$0" "$@"', tree, *command],
        env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True, timeout=WITHIN_S,
    )  # fmt: skip
    return done.stdout


def install(pristine: Path, package: Path, tree: Path) -> None:
    """Copy the pristine tree to `tree` and install the package there, as an image builder does."""
    subprocess.run(["cp", "--archive", pristine, tree], check=True)
    shutil.copy(package, tree / "tmp")
    inside(tree, "dpkg", "--install", f"/tmp/{package.name}")
    (tree / "tmp" / package.name).unlink()


def furnish(tree: Path, who: Parties) -> None:
    """Settings and recipients of a box, and the units of this test."""
    etc, units = tree / "etc" / "edge-scanner", tree / "etc" / "systemd" / "system"
    (etc / "scanner.toml").write_text(SETTINGS)
    (etc / "recipients.json").write_bytes(who.document)
    (etc / "authority-root.pem").write_bytes(who.root_pem)
    # As in a stock image: the machine gets its id, and systemd enables what presets say, at the first start.
    (tree / "etc" / "machine-id").write_text("uninitialized\n")
    (tree / STORY).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "story.py", tree / STORY)
    for name, text in UNITS.items():
        (units / name).write_text(text)
        (units / "multi-user.target.wants" / name).symlink_to(f"/etc/systemd/system/{name}")


def image(tree: Path, file: Path) -> None:
    """The tree as an ext4 file system."""
    command: list[str | Path] = ["mke2fs", "-q", "-t", "ext4", "-d", tree, file, IMAGE_SIZE]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
