"""Server-sent events: the newest hour's bins whenever they change. One question a few seconds for all who listen."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool

from edge_scanner.central.serve import questions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from edge_scanner.central.serve.api import Bin
    from edge_scanner.central.serve.state import Centre
    from edge_scanner.central.store.reading import SiteBin

LOOK_S = 5.0
ALIVE_S = 20.0
"""A comment so often keeps proxies from cutting a quiet stream."""
MAX_STREAMS = 200


class Streams:
    """How many are open; a server holds a bounded number."""

    open = 0


async def events(
    here: Centre,
    row: Callable[[SiteBin, int], Bin],
    *,
    ended: Callable[[], Awaitable[bool]],
    look_s: float = LOOK_S,
) -> AsyncIterator[str]:
    """Events until the reader goes away."""
    if Streams.open >= MAX_STREAMS:
        yield "event: full\ndata: []\nretry: 60000\n\n"
        return
    Streams.open += 1
    try:
        before, quiet_s = "", 0.0
        while not await ended():
            told = await run_in_threadpool(_newest, here, row)
            if told != before:
                before, quiet_s = told, 0.0
                yield f"event: bins\ndata: {told}\n\n"
            elif quiet_s >= ALIVE_S:
                quiet_s = 0.0
                yield ": alive\n\n"
            quiet_s += look_s
            await asyncio.sleep(look_s)
    finally:
        Streams.open -= 1


def _newest(here: Centre, row: Callable[[SiteBin, int], Bin]) -> str:
    hour_s = questions.newest_hour(here.read, here.now())
    bins = () if hour_s is None else here.read.bins(hour_s, hour_s + questions.HOUR_S)
    return json.dumps([asdict(row(one, questions.HOUR_S)) for one in bins], separators=(",", ":"))
