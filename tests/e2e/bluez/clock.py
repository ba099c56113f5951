"""How good the clock is, with a real chrony: a story for a guest, whose clock is its own."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from edge_scanner.core.model import ClockQuality
from edge_scanner.device.system.clock import SystemClock
from tests.support.waiting import PATIENCE_S

DEBIAN = os.environ.get("DEBIAN", "/")
SERVER = """
local stratum 1
port 11123
bindaddress 127.0.0.1
allow 127.0.0.1
bindcmdaddress /
cmdport 0
pidfile /run/chrony-server.pid
"""
CLIENT = """
server 127.0.0.1 port 11123 iburst
rtcsync
port 0
bindcmdaddress /
cmdport 0
pidfile /run/chrony-client.pid
"""


def quality() -> str:
    """What a box that starts now says of its clock."""
    return SystemClock().reading().quality.name


def without_rtc() -> str:
    """What it says once the kernel's driver has let go of the clock with a battery."""
    for driver in Path("/sys/bus").glob("*/drivers/rtc_cmos"):
        for device in driver.iterdir():
            if device.is_symlink() and device.name not in {"module", "subsystem"}:
                (driver / "unbind").write_text(device.name)
    return quality()


def start(name: str, settings: str, *options: str) -> subprocess.Popen[bytes]:
    """A chronyd of the tree, as root, since the tree's user has no folder here."""
    file = Path("/run") / f"{name}.conf"
    file.write_text(settings)
    return subprocess.Popen(["chroot", DEBIAN, "/usr/sbin/chronyd", "-d", "-u", "root", *options, "-f", str(file)])


async def clock(folder: Path) -> None:
    """Writes `truth.json`: what a box would say, moment by moment."""
    await asyncio.to_thread(_tell, folder)


def _tell(folder: Path) -> None:
    """Before, while chrony serves itself but keeps no clock, once another keeps ours by it, and without a battery."""
    told = {"at the start": quality()}
    server = start("server", SERVER, "-x")
    time.sleep(1.0)
    told["beside a chrony that keeps nothing"] = quality()
    client = start("client", CLIENT)
    deadline = time.monotonic() + PATIENCE_S
    while quality() != ClockQuality.NTP.name and time.monotonic() < deadline:
        time.sleep(0.5)
    told["kept by chrony"] = quality()
    for process in (client, server):
        process.terminate()
        process.wait()
    told["unknown again"] = unset()
    told["without a battery"] = without_rtc()
    (folder / "truth.json").write_text(json.dumps(told))


def unset() -> str:
    """What it says when the kernel holds the clock for unsynchronised again, as it does by itself after some hours."""
    timex = (ctypes.c_char * 512)()
    ctypes.memmove(timex, (0x10).to_bytes(4, sys.byteorder), 4)  # modes = ADJ_STATUS
    status = 5 * 8  # modes with padding, offset, freq, maxerror, esterror: then status
    ctypes.memmove(ctypes.addressof(timex) + status, (0x40).to_bytes(4, sys.byteorder), 4)  # STA_UNSYNC
    ctypes.CDLL(None).adjtimex(timex)
    return quality()
