"""The broker's in-memory stand-in: MQTT's promises without a network, held to the real one's contract.

    centre = MemoryCentre()
    async with centre.open("K7MP2R9CX4") as broker:
        await broker.connected()

It can be told to misbehave: `stop` and `start` it, put topics into `denied`, clear `answering`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_scanner.core.errors import UnavailableError
from edge_scanner.mqtt.brokerlink import BrokerSettings, BrokerState, Trouble
from edge_scanner.mqtt.uplink import Broker, Extras, Incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.uplink import Deliver

ACCEPTED, NO_SUBSCRIBERS, NOT_AUTHORISED, TOO_LARGE = 0x00, 0x10, 0x87, 0x95
MAX_PACKET_BYTES = 64 * 1024


def matches(pattern: str, topic: str) -> bool:
    """MQTT 5 section 4.7: `+` is one level, `#` at the end is all that follow."""
    wanted, given = pattern.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(given) or level not in ("+", given[position]):
            return False
    return len(wanted) == len(given)


@dataclass
class Session:
    """What the centre keeps of a client between connections."""

    subscriptions: set[str] = field(default_factory=set)
    waiting: list[Incoming] = field(default_factory=list)
    connection: MemoryConnection | None = None


class MemoryCentre:
    """A broker that lives in this process. `published` is everything it accepted, in order.

    `max_unanswered` is the largest number of publishes of one client that waited for an answer at once.
    """

    def __init__(self) -> None:
        self.running = True
        self.published: list[Message] = []
        self.denied: set[str] = set()
        self.answering = asyncio.Event()
        self.answering.set()
        self.max_unanswered = 0
        self._sessions: dict[str, Session] = {}
        self._retained: dict[str, Incoming] = {}

    @contextlib.asynccontextmanager
    async def open(
        self, client_id: str, *, will: Message | None = None, birth: Callable[[], Message] | None = None
    ) -> AsyncIterator[Broker]:
        """As `open_broker`, to this centre."""

        def connect(_protocol: str, deliver: Deliver) -> MemoryConnection:
            return self.connection(client_id, will, deliver)

        settings = BrokerSettings(host="memory", tls=False, protocol="5")
        broker = Broker(settings, connect, birth=birth, now=time.time)
        task = asyncio.create_task(broker.keep_connected(), name="memory broker")
        task.add_done_callback(broker.stopped)
        try:
            yield broker
        finally:
            task.cancel()
            await asyncio.wait([task])

    def connection(self, client_id: str, will: Message | None, deliver: Deliver) -> MemoryConnection:
        """A new connection of a client."""
        return MemoryConnection(self, client_id, will, deliver)

    def stop(self) -> None:
        """Every connection is lost, and every session."""
        self.answering.set()
        self.running = False
        sessions, self._sessions, self._retained = list(self._sessions.values()), {}, {}
        for session in sessions:
            if session.connection is not None:
                session.connection.lose()

    def start(self) -> None:
        """Take connections again; nothing is remembered, as without persistence."""
        self.running = True

    def attach(self, connection: MemoryConnection, client_id: str) -> Session | None:
        """A client's session, None while the centre is stopped."""
        if not self.running:
            return None
        session = self._sessions.setdefault(client_id, Session())
        session.connection = connection
        return session

    def accept(self, message: Message, extras: Extras) -> int:
        """Judge and pass on one publish."""
        if any(matches(pattern, message.topic) for pattern in self.denied):
            return NOT_AUTHORISED
        if len(message.payload) > MAX_PACKET_BYTES:
            return TOO_LARGE
        self.published.append(message)
        incoming = Incoming(
            topic=message.topic,
            payload=message.payload,
            retained=False,
            response_topic=extras.response_topic,
            correlation=extras.correlation,
            expiry_s=extras.expiry_s,
        )
        if message.retain:
            self._retained[message.topic] = incoming
        readers = [
            session
            for session in self._sessions.values()
            if any(matches(pattern, message.topic) for pattern in session.subscriptions)
        ]
        for session in readers:
            session.waiting.append(incoming)
            if session.connection is not None:
                session.connection.pump()
        return ACCEPTED if readers else NO_SUBSCRIBERS

    def retained(self, pattern: str) -> list[Incoming]:
        """The last message of each topic that asked to be kept."""
        return [
            Incoming(topic=one.topic, payload=one.payload, retained=True)
            for one in self._retained.values()
            if matches(pattern, one.topic)
        ]


class MemoryConnection:
    """`uplink.Connection` to a `MemoryCentre`."""

    def __init__(self, centre: MemoryCentre, client_id: str, will: Message | None, deliver: Deliver) -> None:
        self.state = BrokerState(connected=False)
        self.ended = asyncio.Event()
        self._centre = centre
        self._client_id = client_id
        self._will = will
        self._deliver = deliver
        self._session: Session | None = None
        self._unanswered = 0

    async def open(self) -> bool:
        """Attach to the session."""
        await asyncio.sleep(0)
        self._session = self._centre.attach(self, self._client_id)
        if self._session is None:
            self._end(Trouble.UNREACHABLE, "the broker cannot be reached: it is stopped")
            return False
        self.pump()
        return True

    async def publish(self, message: Message, extras: Extras) -> int:
        """Answer after the loop has turned once, or not at all while the centre is stalled."""
        self._unanswered += 1
        self._centre.max_unanswered = max(self._centre.max_unanswered, self._unanswered)
        try:
            await self._turn()
            return self._centre.accept(message, extras)
        finally:
            self._unanswered -= 1

    async def subscribe(self, topic: str, qos: int) -> int:
        """Remember it and send what is retained."""
        await self._turn()
        assert self._session is not None
        self._session.subscriptions.add(topic)
        self._session.waiting += self._centre.retained(topic)
        self.pump()
        return qos

    def hang_up(self) -> None:
        """The will is spoken after a goodbye, too."""
        self.lose()

    async def close(self) -> None:
        """Say goodbye."""
        if not self.ended.is_set():
            self.hang_up()

    def lose(self) -> None:
        """The connection breaks; the centre speaks the will."""
        if self._session is not None and self._session.connection is self:
            self._session.connection = None
        self._end(Trouble.LOST, "the connection was reset")
        if self._will is not None and self._centre.running:
            self._centre.accept(self._will, Extras())

    def pump(self) -> None:
        """Hand over what waits."""
        assert self._session is not None
        for incoming in self._session.waiting:
            self._deliver(incoming, lambda: None)
        self._session.waiting.clear()

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        await self._centre.answering.wait()
        if self.ended.is_set():
            raise UnavailableError("the connection to the broker ended", hint=self.state.detail)

    def _end(self, trouble: Trouble, detail: str) -> None:
        self.state = BrokerState(connected=False, trouble=trouble, detail=detail)
        self.ended.set()
