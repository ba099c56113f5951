"""The guest: an arm64 machine with Debian's kernel, systemd as its first process, and an adapter on a serial line.

The adapter is a Bumble controller on this side of the line: Debian's arm64 kernel has no /dev/vhci, and a Raspberry Pi
has its adapter on a serial line, too. Phones are those of the amd64 bed (../bluez).
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from typing import TYPE_CHECKING

from tests.e2e.bluez.air import Air
from tests.e2e.bluez.phones import crowd
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ADDRESS = "00:11:22:33:44:55"
ATTEMPT_S = 0.2
WITHIN_S = 4800.0
"""Ends a guest that hangs: its story takes seven minutes on two idle cores, and others may use them."""
MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer "
    "e2scrub_reap.service getty@tty1.service serial-getty@ttyAMA0.service"
)
"""Nothing to do for a guest that lives for minutes."""


async def boot(folder: Path, card: Path, out: Path) -> tuple[Air, str]:
    """Start `card` with kernel and initramfs of `folder` and wait until it switches itself off; the air, the console.

    What the guest leaves is in `out`. A guest that does not end within WITHIN_S is killed.
    """
    port, console, air = free_port(), out / "console.txt", Air()
    with console.open("wb") as output:
        guest = await asyncio.create_subprocess_exec(
            *command(folder, card, out, port), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        playing = asyncio.create_task(play(air, port))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(guest.wait(), WITHIN_S)
        finally:
            playing.cancel()
            await asyncio.wait([playing])
            with contextlib.suppress(ProcessLookupError):
                guest.kill()
            await guest.wait()
    return air, console.read_text(errors="replace")


async def play(air: Air, port: int) -> None:
    """The adapter answers on `port`, which QEMU opens when it starts; two phones of every kind are there, for ever."""
    while True:
        with contextlib.suppress(OSError):
            await air.plug("line", ADDRESS, transport=f"tcp-client:127.0.0.1:{port}")
            break
        await asyncio.sleep(ATTEMPT_S)
    await air.broadcast(crowd())


def command(folder: Path, card: Path, out: Path, port: int) -> Sequence[str | Path]:
    """QEMU in software emulation: a processor of the Raspberry Pi 4, two cores, a gigabyte."""
    words = [
        "console=ttyAMA0 quiet loglevel=4 panic=-1 systemd.firstboot=off systemd.show_status=1",
        "DISK=/dev/vda INIT=/lib/systemd/systemd TERM=dumb",
        *(f"systemd.mask={unit}" for unit in MASKED.split()),
    ]
    return [
        "qemu-system-aarch64", "-machine", "virt,gic-version=3", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi",
        "-smp", "2", "-m", "1G", "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-monitor", "none",
        "-serial", "stdio", "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.gz", "-append", " ".join(words),
        "-drive", f"file={card},format=raw,if=none,id=card", "-device", "virtio-blk-pci,drive=card",
        "-fsdev", f"local,id=out,path={out},security_model=none",
        "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
        "-chardev", f"socket,id=line,host=127.0.0.1,port={port},server=on,wait=off",
        "-device", "pci-serial,chardev=line",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip
