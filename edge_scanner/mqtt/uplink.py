"""Staying connected: the `Broker` that the rest of the box talks to, above whatever carries one connection.

Promises
* `publish` returns the broker's reason code (0 accepted, 16 accepted but nobody subscribes, from 128 on refused), or
  raises UnavailableError when there is no connection or it ends first. Nothing is queued here: the outbox is the queue.
* Reconnects are jittered, 1 s to 5 min; every connection begins with the birth and the subscriptions.
* At most `INBOX` incoming messages wait in memory, or a `Backlog` of a reader who takes batches; the broker keeps the
  rest, because each is acknowledged only when its reader takes it.

One connection is a `Connection` (broker.py makes them with paho, tests in memory); a fresh one per attempt,
so no state can leak from one into the next and the protocol version may change between them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from edge_scanner.core.errors import ConfigurationError, UnavailableError
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.brokerlink import BrokerState, Trouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.brokerlink import BrokerSettings

    Deliver = Callable[["Incoming", Callable[[], None]], None]
    """Takes an incoming message and how to acknowledge it."""

INBOX = 32
"""Messages that wait for their reader, at most 8 MiB together."""
ANSWER_S = 60.0
"""A connected broker that answers nothing at all for this long is stuck; the connection is dropped and made anew."""
MOST_ANSWER_S = 600.0
"""Nor may one message wait longer while others are answered: a slow line carries all that is under way in less."""
STABLE_S = 30.0
"""A connection that lived this long resets the back-off; one that flaps (two boxes, one name) does not."""
RETURN_S = 86_400.0
"""How long the older version is spoken before the newer one is tried again: the broker may have learnt it."""
CLONE_LOSSES = 5
CLONE_S = 3600.0
"""A broker that closes accepted connections without a word so often within an hour has another client of our name:
mosquitto 2.0 says nothing to the one it throws off. Networks that fail do so with errors."""
STEP_S = 60.0
"""UTC that moves so much more than the monotonic clock was set: what failed for the time's sake is tried at once."""
LOOK_S = 5.0
REFUSED_FROM = 0x80
"""MQTT 5: reason codes from here on are failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A message that a subscription brought; what a 3.1.1 broker cannot tell is empty."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str = ""
    correlation: bytes = b""
    expiry_s: int | None = None


def incoming(message: Any) -> Incoming:
    """From paho's message, whose properties are there only where the broker sent some."""
    given = message.properties
    return Incoming(
        topic=message.topic,
        payload=bytes(message.payload),
        retained=bool(message.retain),
        response_topic=getattr(given, "ResponseTopic", ""),
        correlation=getattr(given, "CorrelationData", b""),
        expiry_s=getattr(given, "MessageExpiryInterval", None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """MQTT 5 properties of one publish; a 3.1.1 broker drops them, so the payload repeats what matters."""

    expiry_s: int | None = None
    response_topic: str = ""
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An incoming message that its reader acknowledges itself, once it is safe with him."""

    message: Incoming
    acknowledge: Callable[[], None]


class Connection(Protocol):
    """One connection, from handshake to end. `state` explains the end; every method runs on the event loop."""

    state: BrokerState
    ended: asyncio.Event

    async def open(self) -> bool:
        """Connect; whether the broker accepted us."""

    async def publish(self, message: Message, extras: Extras) -> int:
        """The broker's reason code; raises UnavailableError when the connection ends first."""

    async def subscribe(self, topic: str, qos: int) -> int:
        """The broker's reason code; raises UnavailableError when the connection ends first."""

    def hang_up(self) -> None:
        """End the connection soon; never waits."""

    async def close(self) -> None:
        """Say goodbye and wait for it, at most a second."""


class Broker:
    """The door; made by `open_broker`."""

    def __init__(
        self,
        settings: BrokerSettings,
        connect: Callable[[str, Deliver], Connection],
        *,
        birth: Callable[[], Message] | None,
        now: Callable[[], float],
        inbox: asyncio.Queue[Delivery] | None = None,
    ) -> None:
        self.state = BrokerState(connected=False)
        self.dropped_total = 0
        self.connections_total = 0
        self._settings = settings
        self._connect = connect
        self._birth = birth
        self._now = now
        self._subscriptions: dict[str, int] = {}
        self._inbox = asyncio.Queue[Delivery](INBOX) if inbox is None else inbox
        self._connection: Connection | None = None
        self._latest: Connection | None = None
        self._connected = asyncio.Event()
        self._crash: BaseException | None = None
        self._waiting: dict[asyncio.Timeout, float] = {}
        self._losses: list[float] = []

    @property
    def is_connected(self) -> bool:
        """Whether a publish would be tried now."""
        return self._connection is not None and not self._connection.ended.is_set()

    async def connected(self) -> None:
        """Return once the birth is sent and every subscription is acknowledged."""
        self._raise_crash()
        while not self.is_connected:
            self._connected.clear()
            await self._connected.wait()
            self._raise_crash()

    async def publish(self, message: Message, *, response_topic: str = "", correlation: bytes = b"") -> int:
        """The broker's reason code for `message`, 0 at once for QoS 0.

        Raises UnavailableError when there is no connection or it ends before the answer; the message may have arrived
        then, so repeat it with the same key.
        """
        self._raise_crash()
        if self._connection is None or not self.is_connected:
            raise UnavailableError("not connected to the broker", where=self._settings.place, hint=self.state.detail)
        extras = Extras(
            expiry_s=_remaining(message, self._now()), response_topic=response_topic, correlation=correlation
        )
        return await self._publish(self._connection, message, extras)

    async def subscribe(self, topic: str, qos: int = 1) -> None:
        """Ask for `topic`, now and after every reconnect; returns once that is acknowledged, or at once while offline.

        Raises UnavailableError when the broker refuses. mosquitto grants everything and filters on delivery, so
        success proves nothing about permissions.
        """
        self._subscriptions[topic] = qos
        if self._connection is None or not self.is_connected:
            return
        try:
            code = await self._connection.subscribe(topic, qos)
        except UnavailableError:
            return
        if code >= REFUSED_FROM:
            raise UnavailableError(f"the broker refuses the subscription (0x{code:02x})", where=topic)

    async def messages(self) -> AsyncIterator[Incoming]:
        """What the subscriptions bring, for one reader; after a reconnect a message may come twice."""
        while True:
            delivery = await self._inbox.get()
            delivery.acknowledge()
            yield delivery.message

    async def take(self, limit: int, within_s: float) -> list[Delivery]:
        """Up to `limit` messages that wait, the first of them within a time; none when none came.

        What is not acknowledged comes again at the next connection, and the broker sends no more than it announced
        beyond it. Acknowledging on another connection than the message came on does nothing.
        """
        found: list[Delivery] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                found.append(await self._inbox.get())
        while found and len(found) < limit and not self._inbox.empty():
            found.append(self._inbox.get_nowait())
        return found

    def renew(self) -> None:
        """End this connection, be it one whose greeting is not answered; the next begins with the subscriptions."""
        if self._latest is not None:
            self._latest.hang_up()

    async def comes_back(self, message: Message, within_s: float) -> bool:
        """Whether `message`, whose topic is subscribed to, reaches ourselves; for a connection that nobody else reads.

        What else has come meanwhile is not acknowledged: the broker sends it again at the next connection. Raises
        UnavailableError as `publish` does, and when the broker does not take the message.
        """
        code = await self.publish(message)
        if code >= REFUSED_FROM:
            raise UnavailableError(f"the broker refuses the message (0x{code:02x})", where=message.topic)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    delivery = await self._inbox.get()
                    if (delivery.message.topic, delivery.message.payload) == (message.topic, message.payload):
                        delivery.acknowledge()
                        return True
        return False

    async def keep_connected(self) -> None:
        """Connect, stay, and connect again, until cancelled."""
        attempt = 0
        versions = Versions(self._settings.protocol)
        while True:
            started_s = time.monotonic()
            try:
                await self._one_connection(versions)
            finally:
                self._connection = None
            if versions.turned:
                continue
            attempt = 1 if time.monotonic() - started_s > STABLE_S else attempt + 1
            chance = secrets.randbelow(1 << 30) / (1 << 30)
            await self._pause(brokerlink.reconnect_delay(attempt, chance))

    async def _pause(self, delay_s: float) -> None:
        """Wait, but no longer when the clock is set meanwhile: a certificate may be valid now."""
        began, ahead_s = time.monotonic(), self._now() - time.monotonic()
        while (left_s := began + delay_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left_s, LOOK_S))
            if abs(self._now() - time.monotonic() - ahead_s) > STEP_S:
                return

    def stopped(self, task: asyncio.Task[None]) -> None:
        """Our own failure: whoever waits or publishes gets it, so that the program's task group crashes."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash = error
            self._connected.set()

    async def _one_connection(self, versions: Versions) -> None:
        """One connection from handshake to end; `state` then says why it ended."""
        try:
            connection = self._connect(versions.name, self._deliver)
        except ConfigurationError as error:  # a renewal may be half written: the next attempt reads the files again
            self.state = BrokerState(connected=False, trouble=Trouble.FILES, detail=str(error))
            return
        self._latest = connection
        try:
            accepted = await connection.open()
            versions.learn(accepted=accepted, trouble=connection.state.trouble)
            if accepted:
                await self._greet(connection, versions)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RETURN_S if versions.fell_back else None):
                        await connection.ended.wait()
                versions.again()
        except UnavailableError:
            pass  # it ended during the greeting; its state says why
        finally:
            await connection.close()
            self.state = self._explained(connection.state)

    def _explained(self, state: BrokerState) -> BrokerState:
        """The end of a connection; one too many of a kind means that somebody else has our name."""
        now_s = time.monotonic()
        self._losses = [at_s for at_s in self._losses if now_s - at_s < CLONE_S] + [now_s] * state.closed
        return self._doubted(state)

    def _doubted(self, state: BrokerState) -> BrokerState:
        if len(self._losses) < CLONE_LOSSES or state.trouble not in (Trouble.NONE, Trouble.LOST):
            return state
        detail = "the broker keeps closing our connections: another box may use this id"
        return replace(state, trouble=Trouble.TAKEN_OVER, detail=detail)

    async def _greet(self, connection: Connection, versions: Versions) -> None:
        """Birth and subscriptions, then the door opens."""
        refused, fell_back = "", Trouble.NONE
        if versions.fell_back:
            fell_back = Trouble.OLD_VERSION
        if self._birth is not None:
            code = await self._publish(connection, self._birth(), Extras())
            if code >= REFUSED_FROM:
                refused = f"the broker refuses our status (0x{code:02x})"
        done: set[str] = set()
        while missing := self._subscriptions.keys() - done:  # one may be added while another is awaited
            topic = missing.pop()
            if (code := await connection.subscribe(topic, self._subscriptions[topic])) >= REFUSED_FROM:
                refused = f"the broker refuses a subscription (0x{code:02x})"
            done.add(topic)
        self.state = self._doubted(
            BrokerState(
                connected=True,
                protocol=versions.name,
                trouble=Trouble.NOT_AUTHORISED if refused else fell_back,
                detail=refused or (fell_back and "the broker speaks MQTT 3.1.1 only: refused messages look accepted"),
            )
        )
        self.connections_total += 1
        self._connection = connection
        self._connected.set()

    async def _publish(self, connection: Connection, message: Message, extras: Extras) -> int:
        """With the patience of a slow line: every answer gives those who wait behind it another minute."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + MOST_ANSWER_S
        try:
            async with asyncio.timeout(ANSWER_S) as limit:
                self._waiting[limit] = end_s
                try:
                    code = await connection.publish(message, extras)
                finally:
                    del self._waiting[limit]
        except TimeoutError:
            connection.hang_up()
            raise UnavailableError(
                f"no answer within {ANSWER_S:.0f} s", where=self._settings.place, hint="is the broker overloaded?"
            ) from None
        for other, most_s in self._waiting.items():
            if not other.expired():
                other.reschedule(min(loop.time() + ANSWER_S, most_s))
        return code

    def _deliver(self, incoming: Incoming, acknowledge: Callable[[], None]) -> None:
        """Into the inbox; with a receive maximum of one only QoS 0 can overrun it: the broker holds the rest back."""
        try:
            self._inbox.put_nowait(Delivery(message=incoming, acknowledge=acknowledge))
        except asyncio.QueueFull:
            self.dropped_total += 1

    def _raise_crash(self) -> None:
        if self._crash is not None:
            raise self._crash


class Versions:
    """Which MQTT version to try: in "auto" 5 first, and 3.1.1 at once after a broker that said that it has no 5.

    Only the broker's own word counts. A connection that ends without one says nothing about versions, and in 3.1.1 a
    refused message looks accepted. Whatever becomes of a try in 3.1.1, the next one is in 5 again.
    """

    def __init__(self, protocol: str) -> None:
        self._auto = protocol == "auto"
        self.name = "5" if self._auto else protocol
        self.turned = False

    def learn(self, *, accepted: bool, trouble: Trouble) -> None:
        """After an attempt: `turned` asks for another one without delay, in 3.1.1; a failure there goes back to 5."""
        self.turned = self._auto and not accepted and trouble is Trouble.OLD_VERSION and self.name == "5"
        if self._auto and not accepted:
            self.name = "3.1.1" if self.turned else "5"

    @property
    def fell_back(self) -> bool:
        """Whether the older version is spoken because the broker had no newer one."""
        return self._auto and self.name != "5"

    def again(self) -> None:
        """Begin anew after a connection that was accepted."""
        if self._auto:
            self.name = "5"


def _remaining(message: Message, now_s: float) -> int | None:
    """Whole seconds until the message expires, None for never or when our clock says that it already has."""
    if message.expires_s is None or message.expires_s - now_s < 1:
        return None
    return int(message.expires_s - now_s)
