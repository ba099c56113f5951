"""Unblocking an adapter and resetting it on the USB bus: the radio asks, a unit with that one right does it.

The radio hears untrusted air, so it holds no right over devices. It writes an adapter's name into its runtime folder;
`edge-scanner-adapter.path` sees the change, and `edge-scanner-adapter.service` lifts the adapter's soft block (rfkill)
or, where there is none, resets its USB port, after which the adapter registers anew. An adapter that is not on USB is
left as it is. What is asked for can only ever touch an adapter that the kernel calls a Bluetooth one.

Linux: Documentation/driver-api/rfkill.rst, Documentation/driver-api/usb/usb.rst (USBDEVFS_RESET).
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import sys
from pathlib import Path

from edge_scanner import program, terminal
from edge_scanner.core.errors import BadDataError, StorageError, UnavailableError

FILE = "reset-adapter"
"""Its name in the radio's runtime folder; edge-scanner-adapter.path names it, too."""

_NAME = re.compile(r"hci[0-9]{1,3}")
_MAX_BYTES = 16
_USBDEVFS_RESET = ord("U") << 8 | 20
_RFKILL_BLUETOOTH, _RFKILL_CHANGE = 2, 2
"""Type and operation of a struct rfkill_event: index, type, operation, soft, hard."""
_ARGUMENTS = 2


def ask(folder: Path, name: str) -> None:
    """Have the service reset the adapter with this hciN. Raises StorageError."""
    path = folder / FILE
    try:
        # Written in place: the service may not write into this folder, so the file stays for the next time.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o644)
            file.write(f"{name}\n")
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=str(path), hint="is /run full?") from error


def grant(path: Path, *, sys: Path = Path("/sys"), dev: Path = Path("/dev")) -> str:
    """The service's side: what was done, in words.

    Raises BadDataError for a file that names no adapter, UnavailableError for one that is not there or cannot be reset.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            name = file.read(_MAX_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise UnavailableError(f"cannot read: {error.strerror}", where=str(path)) from error
    if not _NAME.fullmatch(name):
        raise BadDataError("no adapter is named there", where=str(path))
    adapter = sys / "class" / "bluetooth" / name
    if not adapter.exists():
        raise UnavailableError("the adapter is not there", where=name, hint="plug it in")
    try:
        if _unblock(adapter, dev):
            return f"{name} unblocked"
        device = _usb_device(adapter, dev)
        if device is None:
            return f"{name} is not on USB: nothing to reset"
        descriptor = os.open(device, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            fcntl.ioctl(descriptor, _USBDEVFS_RESET, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnavailableError(
            f"the adapter cannot be reset: {error.strerror}", where=name, hint="cut the box's power for a moment"
        ) from error
    return f"{name} reset on its USB port"


def _unblock(adapter: Path, dev: Path) -> bool:
    """Lift the adapter's soft blocks; whether there was one."""
    blocked = [
        int((switch / "index").read_text())
        for switch in sorted(adapter.glob("rfkill[0-9]*"))
        if (switch / "soft").read_text().strip() == "1"
    ]
    if not blocked:
        return False
    # The switch's file in /sys asks for CAP_NET_ADMIN; the device file for the right to open it.
    descriptor = os.open(dev / "rfkill", os.O_WRONLY | os.O_NOFOLLOW)
    try:
        for index in blocked:
            os.write(descriptor, struct.pack("=IBBBB", index, _RFKILL_BLUETOOTH, _RFKILL_CHANGE, 0, 0))
    finally:
        os.close(descriptor)
    return True


def _usb_device(adapter: Path, dev: Path) -> Path | None:
    """The device file of the USB device that the adapter is a part of; None for one on another bus."""
    place = (adapter / "device").resolve()
    for folder in (place, *place.parents):
        if (folder / "busnum").exists() and (folder / "devnum").exists():
            bus, device = (int((folder / name).read_text()) for name in ("busnum", "devnum"))
            return dev / "bus" / "usb" / f"{bus:03}" / f"{device:03}"
    return None


def main() -> None:
    """`python3 -m edge_scanner.device.radio.reset FILE`, the whole of edge-scanner-adapter.service."""
    if len(sys.argv) != _ARGUMENTS:
        sys.exit("usage: python3 -m edge_scanner.device.radio.reset FILE")
    program.run("edge-scanner", lambda: terminal.say(grant(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
