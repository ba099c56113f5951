"""Who may hold a connection to the kiosk, for how long, and how often it may ask; what is turned away is counted.

A page on the venue's network is in everybody's reach: a telephone can open a thousand connections and say nothing, or a
byte every ten seconds. So each connection carries one request, whose head and answer have deadlines; their number is
bounded, and some are kept for this box, whose own screen is served by the same process. What is turned away is one line
of the log a minute, with counts.

The deadlines stand before the HTTP server and not in it: it has none for a request that has not begun.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from ipaddress import ip_address
from typing import TYPE_CHECKING

from edge_scanner.device.system import journal
from edge_scanner.http_connection import HttpConnection

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST_S = 10.0
"""A request of a few hundred bytes takes milliseconds, on a bad radio seconds."""

ANSWER_S = 30.0
"""A page of 60 kB taken at 2 kB/s."""

MAX_CONNECTIONS = 256
"""A quarter of the files that a process may open."""

OWN = 64
"""Of them, kept for this box."""

PER_ADDRESS = 48
"""One telephone opens six; a venue's proxy has many behind it."""

ASKED_A_MINUTE = 300
"""Requests of one address: opening the page is a dozen."""

MAX_ADDRESSES = 1024

TOLD_S = 60.0
"""Between two lines of what was turned away."""

_log = journal.get("kiosk")


class TurnedAway:
    """What was refused, by reason: one line a minute, however much it is."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._crash: str | None = None
        self._told_s = -TOLD_S

    def note(self, reason: str) -> None:
        """One more."""
        self._counts[reason] += 1

    def crashed(self, where: str) -> None:
        """A page of ours failed; the line has the last place."""
        self.note("crashes")
        self._crash = where

    def tell(self, now_s: float) -> None:
        """Write the line, if there is something to say and the last one is a minute old."""
        if self._counts and now_s - self._told_s >= TOLD_S:
            _log.warning("connections and requests were turned away", crash=self._crash, **self._counts)
            self._counts.clear()
            self._crash = None
            self._told_s = now_s


class Quiet(logging.Filter):
    """The HTTP server's own lines become counts: whoever sends rubbish would fill the log. A crash of ours is kept."""

    def __init__(self, turned_away: TurnedAway) -> None:
        super().__init__()
        self._turned_away = turned_away

    def filter(self, record: logging.LogRecord) -> bool:
        """Never lets a line through."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None or isinstance(error, OSError) or type(error).__module__.startswith("aiohttp"):
            self._turned_away.note("malformed")
        else:
            self._turned_away.crashed(journal.crash(error))
        return False


class Connections:
    """A protocol factory for `create_server`: `make` gives the HTTP protocol of a connection that has a place."""

    def __init__(self, make: Callable[[], asyncio.BaseProtocol], turned_away: TurnedAway) -> None:
        self.turned_away = turned_away
        self._make = make
        self._held: dict[asyncio.BaseTransport, _Connection] = {}
        self._addresses: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._asked_since_s = time.monotonic()

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Connection(self)

    def of(self, transport: asyncio.BaseTransport | None) -> HttpConnection | None:
        """The connection behind a request's transport, None when it has gone."""
        return None if transport is None else self._held.get(transport)

    def may_ask(self, address: str) -> bool:
        """Whether this address has not asked too often in this minute; this box always may."""
        if own(address):
            return True
        now_s = time.monotonic()
        if now_s - self._asked_since_s >= TOLD_S:
            self._asked.clear()
            self._asked_since_s = now_s
        if address not in self._asked and len(self._asked) >= MAX_ADDRESSES:
            self.turned_away.note("too_many_addresses")
            return False
        self._asked[address] += 1
        if self._asked[address] > ASKED_A_MINUTE:
            self.turned_away.note("too_many_requests")
            return False
        return True

    def enter(self, transport: asyncio.BaseTransport, connection: _Connection) -> asyncio.BaseProtocol | None:
        """The HTTP protocol for a new connection, None when there is no place for it."""
        address = address_of(transport)
        if not own(address):
            others = len(self._held) - sum(count for each, count in self._addresses.items() if own(each))
            if others >= MAX_CONNECTIONS - OWN or self._addresses[address] >= PER_ADDRESS:
                self.turned_away.note("no_place")
                return None
        elif len(self._held) >= MAX_CONNECTIONS:
            self.turned_away.note("no_place")
            return None
        self._held[transport] = connection
        self._addresses[address] += 1
        return self._make()

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """The connection has ended."""
        if self._held.pop(transport, None) is not None:
            address = address_of(transport)
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]


class _Connection(HttpConnection):
    """One connection of the page: the head of its request has a deadline, and its answer another."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections
        self._tail = b""
        self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (create_server makes no other)
        inner = self._connections.enter(transport, self)
        if inner is None:
            transport.abort()
        else:
            self.begin(inner, transport, REQUEST_S)

    def data_received(self, data: bytes) -> None:
        if not self._asked:
            # The head ends with an empty line; a body of ours is a form and may use the answer's time.
            self._tail = (self._tail + data)[-len(data) - 3 :]
            if b"\r\n\r\n" in self._tail or b"\n\n" in self._tail:
                self._asked = True
                self.set_deadline(ANSWER_S)
            self._tail = self._tail[-3:]
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is not None:
            self._connections.leave(self.transport)
        super().connection_lost(error)

    def late(self) -> None:
        self._connections.turned_away.note("slow_to_take" if self._asked else "slow_to_ask")
        super().late()


def address_of(transport: asyncio.BaseTransport) -> str:
    """Whose connection it is; empty when it is gone already."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def own(address: str) -> bool:
    """Whether an address is this box."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
