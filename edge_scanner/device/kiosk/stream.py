"""Server-sent events: each open page gets the newest document at once, again whenever it changes, and a beat.

There is no queue: a slow page skips to the newest document, so that nothing can pile up. A page that misses three
beats says by itself that it lost contact. The number of pages is bounded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from edge_scanner.device.kiosk.connections import own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A screen, a few staff; beyond that somebody is wasting our memory. Some places are this box's own, for its screen.
MAX_STREAMS = 64
OWN_STREAMS = 8
PER_ADDRESS = 8
# The page counts three of these before it says that contact is lost.
BEAT_S = 5.0
# A page that takes nothing for this long is gone.
_WRITE_TIMEOUT_S = 10.0


class Hub:
    """The newest documents by name, and those who wait for the next one."""

    def __init__(self) -> None:
        self._seats: Counter[str] = Counter()
        self._documents: dict[str, bytes] = {}
        self._changed = asyncio.Condition()

    @property
    def streams(self) -> int:
        """Pages that are open now."""
        return self._seats.total()

    def newest(self, name: str) -> bytes:
        """The document published last under `name`."""
        return self._documents[name]

    async def publish(self, documents: dict[str, bytes]) -> None:
        """Replace the documents and wake the pages if one differs."""
        if documents == self._documents:
            return
        self._documents = documents
        async with self._changed:
            self._changed.notify_all()

    async def changed(self, name: str, seen: bytes) -> None:
        """Return once the document under `name` is not `seen`, at the latest after one beat."""
        try:
            async with asyncio.timeout(BEAT_S), self._changed:
                await self._changed.wait_for(lambda: self._documents[name] != seen)
        except TimeoutError:
            return

    @contextmanager
    def seat(self, address: str) -> Iterator[None]:
        """One of the bounded places; raises 503 when all are taken, or this address has enough of them."""
        if own(address):
            full = self.streams >= MAX_STREAMS
        else:
            others = sum(count for each, count in self._seats.items() if not own(each))
            full = others >= MAX_STREAMS - OWN_STREAMS or self._seats[address] >= PER_ADDRESS
        if full:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "30"})
        self._seats[address] += 1
        try:
            yield
        finally:
            self._seats[address] -= 1
            if not self._seats[address]:
                del self._seats[address]


async def send_events(
    request: web.Request,
    hub: Hub,
    name: str,
    beat: Callable[[], str],
    *,
    late: Callable[[], None],
    allowed: Callable[[], bool] = lambda: True,
) -> web.StreamResponse:
    """Stream the document `name` until the page leaves or is no longer `allowed`; `beat` is the beats' data.

    `late` ends the connection of a page that takes nothing: what is on its way would hold it for ever.
    """
    with hub.seat(request.remote or ""):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        response.force_close()
        try:
            await response.prepare(request)
        except ConnectionResetError:
            return response
        seen = b""
        try:
            while allowed():
                newest = hub.newest(name)
                parts = [f"event: beat\ndata: {beat()}\n\n".encode()]
                if newest != seen:
                    parts.append(b"event: document\ndata: " + newest + b"\n\n")
                async with asyncio.timeout(_WRITE_TIMEOUT_S):
                    await response.write(b"".join(parts))
                seen = newest
                await hub.changed(name, seen)
        except TimeoutError:
            late()
        except ConnectionResetError:
            pass
    return response
