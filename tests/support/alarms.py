"""The capacity alarm in quick time, whoever it tells."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_scanner.core.counts.occupancy import Point
from edge_scanner.device.daemon import alarm
from tests.support import snapshots
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_scanner.core.snapshot import Snapshot


def crowd(devices: int, **venue: Any) -> Snapshot:
    """A hall with a limit of a hundred and so many in it."""
    snapshot = snapshots.snapshot(venue=replace(VENUE, limit=100, **venue))
    return replace(snapshot, today=(Point(at_s=TUESDAY_S - 1800, devices=devices),))


@contextlib.asynccontextmanager
async def watching(send: alarm.Send, shown: list[Snapshot], *, deadline_s: float) -> AsyncIterator[None]:
    """The side task on the last of these snapshots; what ends it ends the test."""
    watch = alarm.watcher(send, latest=lambda: shown[-1], first_pause_s=0.02, look_s=0.01, deadline_s=deadline_s)

    async def run() -> None:
        await watch()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        yield
        assert not task.done()
        task.cancel()
