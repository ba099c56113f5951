"""Pieces of a bundle on their way to the broker: few at once on a slow line, so that the minute's messages pass.

Forty-eight kilobytes take six seconds at 8 kB/s, and whatever is published after them waits behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.pull.pace import Pace

if TYPE_CHECKING:
    from edge_scanner.core.model import Message

MOST = 8
"""Unanswered at once on a fast line; a connection takes twenty, and others publish, too."""


class Publisher(Protocol):
    """What is needed of the broker."""

    async def publish(self, message: Message, *, response_topic: str = "", correlation: bytes = b"") -> int:
        """The broker's reason code; raises UnavailableError."""


class PieceSender:
    """One for all requests, as there is one line. Nothing is insisted on: an asker that misses a piece asks again."""

    def __init__(self, broker: Publisher) -> None:
        self._broker = broker
        self._pace = Pace(MOST)
        self._under_way: set[asyncio.Task[None]] = set()

    async def send(self, piece: Message, correlation: bytes) -> None:
        """Return when there is room for another one."""
        loop = asyncio.get_running_loop()
        self._under_way.add(asyncio.create_task(self._publish(piece, correlation), name="piece"))
        while len(self._under_way) >= self._pace.window(loop.time()):
            await self._wait(asyncio.FIRST_COMPLETED)

    async def settled(self) -> None:
        """Return when the broker has answered them all."""
        while self._under_way:
            await self._wait(asyncio.ALL_COMPLETED)

    async def _wait(self, until: str) -> None:
        try:
            done, self._under_way = await asyncio.wait(self._under_way, return_when=until)
        except asyncio.CancelledError:
            for task in self._under_way:
                task.cancel()
            raise
        for task in done:
            task.result()

    async def _publish(self, piece: Message, correlation: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._pace.begin(loop.time())
        with contextlib.suppress(UnavailableError):
            await self._broker.publish(piece, correlation=correlation)
            self._pace.came(loop.time(), len(piece.payload))
