"""A memory card as a file with two partitions, as Raspberry Pi OS has them; `losetup` where a kernel finds none.

The boot partition is ext4, not FAT, which not every kernel that runs these tests can mount.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MB = 1 << 20
SECTOR = 512
BOOT_MB, ROOT_MB = 64, 1100
BOOT_AT, ROOT_AT = MB, (1 + BOOT_MB) * MB
_FAT, _LINUX = 0x0C, 0x83

LOSETUP = f"""\
#!/bin/sh -e
# Partitions of a file, as loop devices of their own where the kernel makes none.
real={shutil.which("losetup") or "/usr/sbin/losetup"}
if [ "$1" = --detach ]; then
    for part in 1 2; do
        [ ! -L "$2p$part" ] || {{ $real --detach "$(readlink "$2p$part")"; rm "$2p$part"; }}
    done
    exec $real "$@"
fi
loop=$($real "$@")
for file; do :; done
[ -e "${{loop}}p1" ] || {{
    ln -s "$($real --find --show --offset {BOOT_AT} --sizelimit {BOOT_MB * MB} "$file")" "${{loop}}p1"
    ln -s "$($real --find --show --offset {ROOT_AT} --sizelimit {ROOT_MB * MB} "$file")" "${{loop}}p2"
}}
echo "$loop"
"""


def image(tree: Path, boot: Path, file: Path, more: Mapping[str, str]) -> None:
    """A stock image: `boot` in its first partition; in the second `tree`, `more` files, and a place for the first."""
    parts = ((_FAT, BOOT_AT, BOOT_MB, boot), (_LINUX, ROOT_AT, ROOT_MB, tree))
    entries = b"".join(
        struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", at // SECTOR, size * MB // SECTOR)
        for kind, at, size, _folder in parts
    )
    with file.open("wb") as out:
        out.write(bytes(446) + entries.ljust(64, b"\0") + b"\x55\xaa")
        out.truncate(ROOT_AT + ROOT_MB * MB)
    for _kind, at, size, folder in parts:
        subprocess.run(
            ["mke2fs", "-q", "-F", "-t", "ext4", "-d", folder, "-E", f"offset={at}", file, f"{size}m"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    top = file.with_name("top")
    top.mkdir()
    _mount(file, ROOT_AT, ROOT_MB, top)
    (top / "boot" / "firmware").mkdir(parents=True)
    for place, text in more.items():
        (top / place.lstrip("/")).write_text(text)
    subprocess.run(["umount", str(top)], check=True)


def free(file: Path) -> None:
    """Take the file out of every loop device, also where the lines that should have done so did not come so far."""
    command = ["losetup", "--associated", str(file), "--noheadings", "--output", "NAME"]
    for loop in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split():
        for part in Path("/dev").glob(f"{Path(loop).name}p[12]"):
            if part.is_symlink():
                part.unlink()
        subprocess.run(["losetup", "--detach", loop], check=False)


def _mount(card: Path, at: int, size: int, place: Path) -> None:
    options = f"loop,offset={at},sizelimit={size * MB}"
    subprocess.run(["mount", "-o", options, str(card), str(place)], check=True)


@contextmanager
def inserted(card: Path, root: Path) -> Iterator[None]:
    """The card in a machine: both file systems below `root`."""
    places = ((ROOT_AT, ROOT_MB, root), (BOOT_AT, BOOT_MB, root / "boot" / "firmware"))
    try:
        for at, size, place in places:
            place.mkdir(parents=True, exist_ok=True)
            _mount(card, at, size, place)
        subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
        yield
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(root)], check=False)
