"""The stage of every story: the air, bluetoothd, the clock, and what happened. Runs in the guest."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_scanner.device.radio.adapter import AdapterFaultError, Bluez
from tests.e2e.bluez.air import Air
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from tests.e2e.bluez.phones import Phone

DEBIAN = os.environ.get("DEBIAN", "/")
"""The tree whose BlueZ runs."""
STICK = "00:11:22:33:44:55"
OTHER_STICK = "00:11:22:33:44:66"
PAUSE_S = 20.0
"""Between the end of one failure and the next: the 15 s in which a box is to hear again, and some."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """The air, bluetoothd, and what happened: `happened` has (UTC seconds, what)."""

    folder: Path
    options: tuple[str, ...] = ()
    air: Air = field(default_factory=Air)
    happened: list[tuple[float, str]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    _bluetoothd: subprocess.Popen[bytes] | None = None

    def note(self, what: str) -> None:
        """Remember that something happened now, and say so."""
        self.happened.append((time.time(), what))
        print(f"{time.time():.1f} {what}", flush=True)  # noqa: T201 (the guest's console)

    async def start_bluetoothd(self) -> None:
        """Start it and wait until it is on the bus."""
        with (self.folder / "bluetoothd.txt").open("ab") as log:
            command = ["chroot", DEBIAN, "/usr/libexec/bluetooth/bluetoothd", "--nodetach", *self.options]
            self._bluetoothd = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220 (a fork is short)
        await self.shows(lambda _adapters: True)

    async def over(self, what: str) -> None:
        """A failure has ended: from now on everything on the air is new."""
        self.air.change()
        self.note(what)
        await asyncio.sleep(PAUSE_S)

    @property
    def bluetoothd_lives(self) -> bool:
        """Whether the bluetoothd that was started last is still there."""
        return self._bluetoothd is not None and self._bluetoothd.poll() is None

    def kill_bluetoothd(self) -> None:
        """SIGKILL."""
        assert self._bluetoothd is not None
        self._bluetoothd.kill()
        self._bluetoothd.wait()

    async def shows(self, want: Callable[[Sequence[str]], bool]) -> Sequence[str]:
        """Wait until BlueZ has the wanted adapters; their names."""
        deadline = time.monotonic() + PATIENCE_S
        async with Bluez() as bluez:
            while time.monotonic() < deadline:
                try:
                    names = [adapter.name for adapter in await bluez.adapters()]
                except AdapterFaultError:
                    names = None
                if names is not None and want(names):
                    return names
                await asyncio.sleep(0.2)
        raise AssertionError("BlueZ does not show the adapters")

    def tell(self) -> None:
        """Write the truth."""
        truth = {
            "happened": self.happened,
            "sent": [[*where, payload.hex(), count] for (*where, payload), count in sorted(self.air.sent.items())],
            "addresses": sorted(address.hex() for address in self.air.addresses),
            "reads": sorted(identifier.hex() for identifier in self.air.reads),
            "scans": self.air.scans,
            "kernel": os.uname().release,
            "bluez": os.environ["BLUEZ"],
            **self.more,
        }
        (self.folder / "truth.json").write_text(json.dumps(truth))

    @asynccontextmanager
    async def playing(self, phones: Sequence[Phone]) -> AsyncIterator[None]:
        """Phones on the air."""
        task = asyncio.create_task(self.air.broadcast(phones))
        try:
            yield
        finally:
            await end(task)


@asynccontextmanager
async def stage(folder: Path, *options: str, extended: bool = False) -> AsyncIterator[Stage]:
    """A bluetoothd with one adapter; at the end the truth is written."""
    here = Stage(folder=folder, options=options)
    here.air.extended = extended
    await here.start_bluetoothd()
    here.note("bluetoothd is on the bus")
    await here.air.plug("stick", STICK)
    await here.shows(lambda names: len(names) == 1)
    here.note("adapter is there")
    try:
        yield here
    finally:
        here.tell()
    await here.air.unplug("stick")


async def end(task: asyncio.Task[None]) -> None:
    """End a task that would go on for ever."""
    task.cancel()
    await asyncio.wait([task])


def set_clock(*, before_hour_s: float) -> None:
    """Set the guest's clock to so many seconds before the next full hour."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() // 3600 * 3600 + 3600 - before_hour_s)


async def until_s(moment: float) -> None:
    """Sleep until a UTC second."""
    await asyncio.sleep(max(0.0, moment - time.time()))
