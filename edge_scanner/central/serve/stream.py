"""Server-sent events: the newest hour's bins whenever they change. One question a few seconds for all who listen.

A stream ends after some minutes; a browser opens it again and is asked anew who it is.
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool

from edge_scanner.central.serve import questions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from edge_scanner.central.serve.api import Bin
    from edge_scanner.central.serve.state import Centre
    from edge_scanner.central.store.site_bins import SiteBin

LOOK_S = 5.0
ALIVE_S = 20.0
"""A comment so often keeps proxies from cutting a quiet stream."""
LONGEST_S = 300.0
MAX_STREAMS = 200


@dataclass(slots=True)
class Streams:
    """How many are open, of a bounded number, and the answer that they share."""

    open: int = 0
    _told: str = ""
    _asked_s: float = -math.inf
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def newest(self, here: Centre, row: Callable[[SiteBin, int], Bin], look_s: float) -> str:
        """The newest hour's bins as JSON, no older than `look_s`."""
        clock = asyncio.get_running_loop().time
        async with self._asking:
            if clock() - self._asked_s >= look_s:
                self._told = await run_in_threadpool(_newest, here, row)
                self._asked_s = clock()
            return self._told


async def events(
    here: Centre,
    row: Callable[[SiteBin, int], Bin],
    *,
    ended: Callable[[], Awaitable[bool]],
    look_s: float = LOOK_S,
) -> AsyncIterator[str]:
    """Events until the reader goes away, or for LONGEST_S."""
    streams, clock = here.streams, asyncio.get_running_loop().time
    if streams.open >= MAX_STREAMS:
        yield "event: full\ndata: []\nretry: 60000\n\n"
        return
    streams.open += 1
    try:
        before, quiet_s, until_s = "", 0.0, clock() + LONGEST_S
        while clock() < until_s and not await ended():
            told = await streams.newest(here, row, look_s)
            if told != before:
                before, quiet_s = told, 0.0
                yield f"event: bins\ndata: {told}\n\n"
            elif quiet_s >= ALIVE_S:
                quiet_s = 0.0
                yield ": alive\n\n"
            quiet_s += look_s
            await asyncio.sleep(look_s)
    finally:
        streams.open -= 1


def _newest(here: Centre, row: Callable[[SiteBin, int], Bin]) -> str:
    hour_s = questions.newest_hour(here.read, here.now())
    bins = () if hour_s is None else here.read.bins(hour_s, hour_s + questions.HOUR_S)
    return json.dumps([asdict(row(one, questions.HOUR_S)) for one in bins], separators=(",", ":"))
