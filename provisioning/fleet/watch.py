"""What a program that listens until Ctrl-C says about its connection: a line whenever the trouble changes.

The code and its advice are those of the box and the technician's sheet (core/diagnostics/advice.py), so that they are
looked up in one place. Looking at `broker.state` beat a callback in the broker's door, which the scanner would carry
for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from edge_scanner.core.diagnostics import advice as checkup
from edge_scanner.mqtt.brokerlink import BrokerState, Trouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edge_scanner.mqtt.broker import Broker

LOOK_S = 0.2
"""Sooner than anybody wonders, and no load."""


def line(state: BrokerState, place: str) -> str:
    """One line for people about the connection to `place` (host:port); empty before the first attempt has ended."""
    if state.trouble is not Trouble.NONE:
        words = checkup.fix(state.trouble)
        advice = f"; {words.vi} / {words.en}" if words else ""
        return f"{state.trouble} {place}: {state.detail}{advice}"
    return f"{place}: đã kết nối / connected" if state.connected else ""


@contextlib.asynccontextmanager
async def told(broker: Broker, place: str, say: Callable[[str], None]) -> AsyncIterator[None]:
    """While inside, `say` hears a line whenever there is another trouble, and at every connection."""

    async def look() -> None:
        seen: tuple[int, Trouble] | None = None
        while True:
            now = (broker.connections_total, broker.state.trouble)
            if now != seen and (text := line(broker.state, place)):
                say(text)
                seen = now
            await asyncio.sleep(LOOK_S)

    task = asyncio.create_task(look(), name="watch")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
