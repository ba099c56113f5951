"""Who may hold a connection to the bench, and for how long: anybody on the cable can open a thousand and say nothing.

A box asks in milliseconds, over a connection for each question. So there are few places, and when all are taken the
oldest connection that has not asked a whole question makes room: a box is served, however many others only hold on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edge_scanner.http_connection import HttpConnection

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_S = 10.0
"""For a whole question: 8 kB on one cable."""
ANSWER_S = 300.0
"""For an answer: a package of 15 MB, to fifty boxes at once over 100 Mbit/s, takes a minute."""
MAX_CONNECTIONS = 128
"""Fifty boxes at the same moment have one each. Three times the hundred that the loop accepts at once may come on top
for a moment, until the oldest are closed; a process may open 1,024 files."""


class Connections:
    """A protocol factory for `create_server`.

    Whoever answers adds the transport of a connection to `asked` when a whole question came over it. `foreign` is told
    the address of everybody else who sent something, or nothing for too long.
    """

    def __init__(
        self,
        make: Callable[[], asyncio.BaseProtocol],
        asked: set[asyncio.BaseTransport],
        foreign: Callable[[str], None],
    ) -> None:
        self._make = make
        self._asked = asked
        self._foreign = foreign
        self._held: dict[asyncio.Transport, None] = {}  # the oldest first

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Connection(self)

    def enter(self, transport: asyncio.Transport) -> asyncio.BaseProtocol:
        """The HTTP protocol for a new connection; the oldest one goes when there are too many."""
        while len(self._held) >= MAX_CONNECTIONS:
            oldest = min(self._held, key=self._asked.__contains__)  # the first of those that asked nothing
            del self._held[oldest]
            oldest.abort()
        self._held[transport] = None
        return self._make()

    def has_asked(self, transport: asyncio.Transport) -> bool:
        """Whether a whole question came over this connection."""
        return transport in self._asked

    def leave(self, transport: asyncio.Transport, *, foreign: bool) -> None:
        """The connection has ended; `foreign` if it said or waited for what no box does."""
        self._held.pop(transport, None)
        peer = transport.get_extra_info("peername")
        if foreign and peer and transport not in self._asked:
            self._foreign(str(peer[0]))
        self._asked.discard(transport)


class _Connection(HttpConnection):
    """One connection of the bench: a question has a deadline, and its answer another."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections
        self._foreign = self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (create_server makes no other)
        self.begin(self._connections.enter(transport), transport, REQUEST_S)

    def data_received(self, data: bytes) -> None:
        self._foreign = True
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._connections.leave(self.transport, foreign=self._foreign)
        super().connection_lost(error)

    def late(self) -> None:
        if not self._answered and self.transport is not None and self._connections.has_asked(self.transport):
            self._answered = True
            self.set_deadline(ANSWER_S)
        else:
            self._foreign = True
            super().late()


class Quiet(logging.Filter):
    """Keeps the HTTP server's lines about what others send off the screen; a crash of ours is let through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is about our own fault."""
        error = record.exc_info[1] if record.exc_info else None
        return error is not None and not isinstance(error, OSError) and not type(error).__module__.startswith("aiohttp")


def logger() -> logging.Logger:
    """Aiohttp's, for one bench."""
    quiet = logging.getLogger("provisioning.bench.http")
    if not quiet.filters:
        quiet.addFilter(Quiet())
    return quiet
