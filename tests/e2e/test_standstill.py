"""A daemon that is held up: what waited on the bus meanwhile is in no minute, nor is that time listened."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from tests.support.bluez import StandIn
from tests.support.box import Box
from tests.support.dbus import private_bus
from tests.support.opened_log import minutes
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"
HELD_S = 12
REGULAR, MEANWHILE = ("4A:00:00:00:00:01", bytes([1]) * 20), ("4B:00:00:00:00:02", bytes([2]) * 20)


async def play(stand_in: StandIn, seconds: float, phones: Sequence[tuple[str, bytes]]) -> None:
    """Phones on air, five times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for address, data in phones:
            stand_in.advert(address, uuids=(GAEN,), service_data={GAEN: data})
        await asyncio.sleep(0.2)


async def test_a_backlog_is_counted_in_no_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP for twelve seconds: who was on air only then is not logged as heard later, and a light says it."""
    async with private_bus(tmp_path, monkeypatch):
        with Box(tmp_path / "box") as box:
            async with StandIn() as stand_in:
                stand_in.plug()
                box.start()
                await eventually(stand_in.scanning)
                await asyncio.to_thread(box.until, "radio listens")
                began = time.time()
                await play(stand_in, 4, [REGULAR])
                box.signal(signal.SIGSTOP)
                await play(stand_in, HELD_S, [REGULAR, MEANWHILE])
                box.signal(signal.SIGCONT)
                await play(stand_in, HELD_S, [REGULAR])
                await eventually(lambda: box.light("counts")[1] == "CNT-01")
                assert await asyncio.to_thread(box.stop) == 0
                passed = time.time() - began
            found = list(minutes(box.state / "log.db", box.parties))

    heard = {encounter.payload for minute in found for encounter in minute.encounters}
    assert REGULAR[1] in heard
    assert MEANWHILE[1] not in heard
    assert sum(minute.listened_s for minute in found) <= passed - HELD_S
    assert box.events("too busy to listen in time: such minutes do not count as covered")
