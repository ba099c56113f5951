"""The bed: a guest with a Debian's stock kernel and BlueZ on this machine's own files, in which a story runs.

Decision: QEMU in software emulation. User-Mode Linux boots in a second where this takes seven, but needs five minutes
of compiling and a kernel that no box runs; KVM is quicker where it works, and where it only seems to (a virtual
machine in another) it stands still without a word.

The guest's clock counts instructions: one core that does a thousand million a second (1 GHz at one a cycle), however
fast or busy this machine is. A second in which it has nothing to do takes a second here, and a busy one up to four.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.debian import base

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
REPO = HERE.parents[2]
KERNELS = REPO / ".cache" / "e2e" / "amd64"
MEMORY = "1G"
WITHIN_S = 4800.0
"""Ends a guest that hangs. A story takes five to ten minutes on an idle machine, on a busy one several times that."""


def prepare(release: str, *, tree: str = "") -> None:
    """Tree (by its own name, else the release's), kernel and initramfs, unless they are there already."""
    base(tree or release)
    KERNELS.mkdir(parents=True, exist_ok=True)
    # One process makes it, and the others wait.
    with (KERNELS / f"{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([HERE / "make-bed", release, KERNELS / release], check=True)


def boot(release: str, story: str, folder: Path, *, start_s: float, tree: str = "") -> Path:
    """Boot a prepared bed at UTC `start_s`, tell `story` (stories.py) in `folder`, give a folder with what it left.

    In the guest `folder` has the same path, with all that was in it.
    Raises AssertionError with the guest's own words when the story fails or the guest hangs.
    """
    left = folder.with_name(f"{folder.name}-left")
    left.mkdir()
    console, stage, end = folder.with_name(f"{folder.name}-console.txt"), left / "stage.txt", left / "exit"
    with console.open("wb") as output:
        guest = subprocess.Popen(
            _command(release, tree or release, story, (folder, left), start_s),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            guest.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            guest.kill()
            guest.wait()
    words = console.read_text(errors="replace") + (stage.read_text(errors="replace") if stage.exists() else "")
    assert end.exists(), f"not told within {WITHIN_S} s:\n{words}"
    assert end.read_text() == "0\n", words
    return left


def _command(release: str, tree: str, story: str, folders: tuple[Path, Path], start_s: float) -> Sequence[str | Path]:
    folder, left = folders
    kernel, debian = KERNELS / release, base(tree)
    start = dt.datetime.fromtimestamp(start_s, dt.UTC)
    words = [
        "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off tsc=reliable",
        f"INIT={HERE / 'init'} REPO={REPO} PYTHON={sys.executable} DEBIAN={debian} STORY={story} FOLDER={folder}",
    ]
    return [
        "qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-m", MEMORY,
        "-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0",
        "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio", "-monitor", "none",
        "-kernel", kernel / "vmlinuz", "-initrd", kernel / "initrd.gz", "-append", " ".join(words),
        "-rtc", f"base={start:%Y-%m-%dT%H:%M:%S},clock=vm",
        "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
        "-fsdev", f"local,id=out,path={left},security_model=none,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
        "-device", "virtio-rng-pci",
        "-device", "qemu-xhci", "-device", "usb-tablet",
    ]  # fmt: skip
