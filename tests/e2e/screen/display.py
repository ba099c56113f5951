"""The guest with a display, seen from outside: what is on it, and a keyboard to type on.

The guest has a virtual graphics adapter whose picture QEMU gives on request. The kiosk's page carries a QR code: once
that can be read from the picture, the page is on the display.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEYS = ("ctrl-w", "ctrl-l", "alt-f4", "f11", "ctrl-alt-f2", "ctrl-alt-delete")
"""What closes a window, asks for an address, leaves for a console or restarts a machine that listens."""
PAGE_S = 1800.0
WITHIN_S = 4800.0
"""Both end what hangs: a page comes within seconds and the whole story within minutes where nothing else runs."""
PAUSE_S = 2.0
PROMPT = b"(qemu) "
MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer"
)


def boot(folder: Path, card: Path, out: Path) -> str:
    """Start `card` with kernel and initramfs of `folder`, answer its story until it switches itself off; the console.

    What the guest leaves is in `out`, with the last picture. A guest that does not end within WITHIN_S is killed.
    """
    console, monitor = out / "console.txt", out / "monitor"
    with console.open("wb") as output:
        guest = subprocess.Popen(
            command(folder, card, out, monitor), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            deadline = time.monotonic() + WITHIN_S
            while guest.poll() is None and time.monotonic() < deadline:
                for question in out.glob("*.asked"):
                    question.unlink()
                    written = out / f"{question.stem}.writing"
                    with contextlib.suppress(OSError):  # the guest may be gone
                        written.write_text(answer(question.stem, out, monitor))
                        written.rename(out / f"{question.stem}.told")
                time.sleep(PAUSE_S)
        finally:
            guest.kill()
            guest.wait()
    return console.read_text(errors="replace")


def answer(what: str, out: Path, monitor: Path) -> str:
    """To the story's question: what the QR code on the display says (empty if none shows), or which keys were typed."""
    if what == "keys":
        for key in KEYS:
            order(monitor, f"sendkey {key}")
            time.sleep(PAUSE_S)
        return " ".join(KEYS)
    deadline = time.monotonic() + PAGE_S
    while time.monotonic() < deadline:
        order(monitor, f"screendump {out / 'picture.ppm'}")
        with contextlib.suppress(subprocess.CalledProcessError):
            read = subprocess.run(
                ["zbarimg", "--quiet", "--raw", str(out / "picture.ppm")], capture_output=True, text=True, check=True
            )
            return read.stdout.strip()
        time.sleep(PAUSE_S)
    return ""


def order(monitor: Path, words: str) -> None:
    """One line to QEMU's monitor; returns when it is done."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PAGE_S)
        line.connect(str(monitor))
        prompted(line)
        line.sendall(f"{words}\n".encode())
        prompted(line)


def prompted(line: socket.socket) -> None:
    """Read until the monitor asks for the next line."""
    said = b""
    while not said.endswith(PROMPT):
        more = line.recv(4096)
        if not more:
            raise ConnectionResetError("the guest is gone")
        said += more


def command(folder: Path, card: Path, out: Path, monitor: Path) -> Sequence[str | Path]:
    """QEMU in software emulation (bluez/bed.py says why), two cores, a gigabyte, a display and a keyboard."""
    words = [
        "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable systemd.firstboot=off",
        "DISK=/dev/vda INIT=/lib/systemd/systemd TERM=dumb",
        *(f"systemd.mask={unit}" for unit in MASKED.split()),
    ]
    return [
        "qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1G",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none", "-serial", "stdio",
        "-device", "virtio-gpu-pci", "-device", "virtio-keyboard-pci", "-device", "virtio-rng-pci",
        "-monitor", f"unix:{monitor},server=on,wait=off",
        "-kernel", folder / "vmlinuz", "-initrd", folder / "initrd.gz", "-append", " ".join(words),
        "-drive", f"file={card},format=raw,if=none,id=card", "-device", "virtio-blk-pci,drive=card",
        "-fsdev", f"local,id=out,path={out},security_model=none",
        "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
    ]  # fmt: skip
