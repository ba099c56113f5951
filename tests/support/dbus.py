"""A dbus-daemon of the test's own, which bleak takes for the system's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bleak.backends.bluezdbus import manager

from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

_BUS_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_type="*"/><allow receive_type="*"/><allow own="*"/></policy>
</busconfig>
"""


class PrivateBus:
    """A dbus-daemon of our own whose address survives a restart."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "bus"
        self._configuration = folder / "bus.conf"
        self._configuration.write_text(_BUS_CONFIGURATION.format(socket=self._socket))
        self.address = f"unix:path={self._socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon and wait until it takes connections: its socket is there a moment earlier."""
        self._process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self._configuration}", "--nofork", "--nopidfile"],
            stderr=subprocess.DEVNULL,
        )
        limit = time.monotonic() + PATIENCE_S
        while True:
            with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
                probe.connect(str(self._socket))
                return
            assert time.monotonic() < limit, "dbus-daemon did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        """End the daemon; every connection breaks."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)


@asynccontextmanager
async def private_bus(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    """A running private bus; at the end bleak's connection of this event loop is closed, as the loop will be."""
    bus = PrivateBus(folder)
    bus.start()
    patch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    try:
        yield bus
    finally:
        kept = manager._global_instances.pop(asyncio.get_running_loop(), None)
        if kept is not None and kept._bus is not None:
            kept._bus.disconnect()
            if kept._bus_watcher_task is not None:
                await asyncio.wait({kept._bus_watcher_task})
        bus.stop()
