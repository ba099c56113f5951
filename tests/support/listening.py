"""An open radio on a private bus with a listener, and a phone that is heard."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from edge_scanner.device.radio import bursts
from edge_scanner.device.radio.radio import Radio, RadioSettings, open_radio
from edge_scanner.protocols import bluezone
from tests.support.dbus import private_bus
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import pytest

    from edge_scanner.core.model import Advert
    from tests.support.bluez import StandIn
    from tests.support.dbus import PrivateBus


GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"
PHONE = "4A:11:22:33:44:55"


async def short_bursts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    """A private bus that bleak takes for the system's; bursts are short, so that tests are."""
    monkeypatch.setattr(bursts, "COALESCE_S", 0.2)
    async with private_bus(tmp_path, monkeypatch) as running:
        yield running


class Hearing:
    """What a radio hands on, collected by a task that stands in for the pipeline."""

    def __init__(self, source: Radio) -> None:
        self.adverts: list[Advert] = []
        self.source = source
        self.task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        async for advert in self.source:
            self.adverts.append(advert)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is true."""
        start = time.monotonic()
        while not true():
            if self.task.done():
                await self.task
            assert time.monotonic() - start < PATIENCE_S, self.source.fault
            await asyncio.sleep(0.05)

    async def again(self) -> None:
        """Wait for an advert that was heard from now on."""
        heard = self.source.counters.heard
        await self.until(lambda: self.source.counters.heard > heard)


@asynccontextmanager
async def hearing(
    settings: RadioSettings | None = None, *, reset: Callable[[str], None] = lambda _: None
) -> AsyncIterator[Hearing]:
    """An open radio with a listener."""
    async with open_radio(
        settings or RadioSettings(),
        clock=time.time,
        name_uuids=frozenset({bluezone.V1_IPHONE_SERVICE}),
        new_key=lambda: secrets.token_bytes(32),
        readable=bluezone.readable,
        reset=reset,
    ) as source:
        listener = Hearing(source)
        yield listener
        listener.task.cancel()
        await asyncio.wait({listener.task})


@asynccontextmanager
async def chatter(*stand_ins: StandIn, adapter: str = "hci0") -> AsyncIterator[None]:
    """A phone that advertises ten times a second through every stand-in that is alive."""

    async def talk() -> None:
        while True:
            for stand_in in stand_ins:
                stand_in.advert(PHONE, service_data={GAEN: bytes(20)}, uuids=(GAEN,), adapter=adapter)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(talk())
    yield
    task.cancel()
    await asyncio.wait({task})
