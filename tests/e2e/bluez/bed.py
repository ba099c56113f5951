"""The bed: a guest with Debian's stock kernel on this machine's own files, in which a story runs with real BlueZ.

Decision: QEMU in software emulation. User-Mode Linux boots in a second where this takes seven, but needs five minutes
of compiling and a kernel that no box runs; KVM is quicker where it works, and where it only seems to (a virtual
machine in another) it stands still without a word.

Emulation is too slow for a rush in real time, so there the guest's clock counts instructions: one core that does a
thousand million a second (1 GHz at one a cycle), however fast or busy this machine is. A second of such a guest takes
up to four here.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
REPO = HERE.parents[2]
KERNEL = REPO / ".cache" / "e2e" / "amd64"
MEMORY = "1G"
FETCH_S = 300.0
"""Downloading and unpacking a kernel of 70 MB, once."""


def prepare() -> None:
    """Kernel and initramfs, unless they are there already."""
    subprocess.run([HERE / "make-bed", KERNEL], check=True, timeout=FETCH_S)


def boot(story: str, folder: Path, *, start_s: float, within_s: float, dilated: bool = False) -> Path:
    """Boot a prepared bed at UTC `start_s`, tell `story` (stories.py) in `folder`, give a folder with what it left.

    In the guest `folder` has the same path, with all that was in it; `dilated` lets its clock count instructions.
    Raises AssertionError with the guest's own words
    when the story fails or is not told within `within_s`.
    """
    left = folder.with_name(f"{folder.name}-left")
    left.mkdir()
    console, stage, end = folder.with_name(f"{folder.name}-console.txt"), left / "stage.txt", left / "exit"
    with console.open("wb") as output:
        guest = subprocess.Popen(
            _command(story, folder, left, start_s, dilated=dilated),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            guest.wait(within_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            guest.kill()
            guest.wait()
    words = console.read_text(errors="replace") + (stage.read_text(errors="replace") if stage.exists() else "")
    assert end.exists(), f"not told within {within_s} s:\n{words}"
    assert end.read_text() == "0\n", words
    return left


def _command(story: str, folder: Path, left: Path, start_s: float, *, dilated: bool) -> Sequence[str | Path]:
    start = dt.datetime.fromtimestamp(start_s, dt.UTC)
    words = [
        "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off tsc=reliable",
        f"INIT={HERE / 'init'} REPO={REPO} PYTHON={sys.executable} STORY={story} FOLDER={folder}",
    ]
    cores = ["tcg,thread=single", "-smp", "1", "-icount", "shift=0"] if dilated else ["tcg,thread=multi", "-smp", "2"]
    return [
        "qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-m", MEMORY, "-accel", *cores,
        "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio", "-monitor", "none",
        "-kernel", KERNEL / "vmlinuz", "-initrd", KERNEL / "initrd.gz", "-append", " ".join(words),
        "-rtc", f"base={start:%Y-%m-%dT%H:%M:%S},clock={'vm' if dilated else 'host'}",
        "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
        "-fsdev", f"local,id=out,path={left},security_model=none,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip
