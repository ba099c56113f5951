"""One MQTT connection, carried by paho's own thread: the only importer of paho.

Promises
* The event loop never waits for the network: paho's thread does, and hops to the loop once per event.
* At most `IN_FLIGHT` publishes are unanswered, fewer if the broker says so; paho never queues one. (Offline it would,
  behind rc 4, and what it queues dies with the process.)
* The reason for a refused or lost connection is kept, down to the TLS alert.

Decisions
* A fresh paho client for every connection, and our own reconnect loop (uplink.py). Beats paho's reconnecting, which
  re-sends by itself, knows no jitter, cannot change the protocol version and keeps stale packet ids.
* The broker keeps our session for a week (`clean_start` off): requests wait for a box that is away, and a will need
  not be delayed beyond its session (MQTT 5, 3.1.3.2.2). What we publish is never part of it: the outbox is.
* A box that stops leaves its will behind as one that dies does, after the same delay, so a restart is not announced.
* paho 2.x itself beat aiomqtt, which drops the reason code, so that a refused message looks delivered.

Specification: docs/mqtt.md; MQTT 5.0 and 3.1.1 (OASIS).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_scanner.core.errors import UnavailableError
from edge_scanner.mqtt import brokerlink, uplink
from edge_scanner.mqtt.brokerlink import BrokerSettings, BrokerState, Trouble
from edge_scanner.mqtt.uplink import REFUSED_FROM, Extras
from edge_scanner.mqtt.without_proxies import without_proxies

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.backlog import Backlog
    from edge_scanner.mqtt.uplink import Deliver

with without_proxies():
    from paho.mqtt import client as mqtt

IN_FLIGHT = 20
"""Unanswered publishes: mosquitto's default receive maximum; more gains nothing at a few messages a minute."""
MAX_INCOMING_BYTES = 256 * 1024
"""The largest packet we accept: a recipient set (core/log/recipients.py)."""
MAX_BATCHED_BYTES = 64 * 1024
"""The same for a reader who takes many at once: all that boxes and authorities publish is smaller."""
MOST_READ_BYTES = 1024 * 1024
"""Nor is more read from a broker that sends larger ones all the same: MQTT 3.1.1 cannot announce a limit."""
RECEIVE_MAXIMUM = 1
"""Orders that the broker may send unacknowledged; mosquitto 2.0.11 sends as many again after *each* acknowledgement."""
KEEPALIVE_S = 60
"""Shorter than any NAT's idle time-out we know of; a dead connection is noticed within twice this."""
LOOK_S = 5.0
"""How often paho's thread looks whether it is time for a ping: that much later, within the broker's half more."""
HELD_S = 0.1
"""How long paho's thread waits for its reader before it sends what is to be sent."""
WILL_DELAY_S = 30
"""A box that reconnects within this was never away: most reconnects take seconds."""
SESSION_S = 7 * 86400
"""How long the broker keeps requests for a box that is away: longer than a venue is closed."""
STEP_S = 12.0
"""Longest wait for TCP and for each answer of the TLS handshake: a satellite or a queue in a modem takes seconds."""
CONNECT_S = 60.0
"""From the first packet to the broker's answer: the steps above, and a slow name server."""
CLOSE_S = 0.9
"""How long closing waits for the goodbye; a thread that hangs in a name look-up is left behind (it is a daemon)."""
PACKET_TOO_LARGE = 0x95
"""MQTT 5 reason code, given here for the broker when it has announced a smaller limit."""
_NO_REASON = (ssl.SSLWantReadError, ssl.SSLEOFError, BlockingIOError, ConnectionError, AttributeError)
_OVERHEAD_BYTES = 128
"""More than the header and properties that we use add to topic, payload and correlation data."""
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


class PahoConnection:
    """One paho client from its first packet to its last (`uplink.Connection`).

    Methods named `_on_…` and `thread_ended` run in paho's thread, all others on the event loop.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        client_id: str,
        will: Message | None,
        protocol: str,
        deliver: Deliver,
        session_s: int,
        turn: int = 0,
        receive_maximum: int = RECEIVE_MAXIMUM,
        backlog: Backlog | None = None,
    ) -> None:
        self._receive_maximum = receive_maximum
        self._backlog = backlog
        self.state = BrokerState(connected=False)
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._tls = settings.tls
        self._v5 = protocol == "5"
        self._will = will
        self._deliver = deliver
        self._session_s = session_s
        self._answered: asyncio.Future[int] = self._loop.create_future()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._publishes: dict[int, asyncio.Future[int]] = {}
        self._subscribes: dict[int, asyncio.Future[int]] = {}
        self._max_packet = sys.maxsize
        self._error: BaseException | None = None
        self._goodbye: int | None = None
        self._closing = False
        self._turn = turn
        self._client = self._make_client(settings, client_id, will, _VERSIONS[protocol])

    def _make_client(
        self, settings: BrokerSettings, client_id: str, will: Message | None, version: MQTTProtocolVersion
    ) -> _Client:
        session = None if self._v5 else not self._session_s
        client = _Client(
            self.thread_ended, turn=self._turn, backlog=self._backlog, client_id=client_id, protocol=version,
            clean_session=session,
        )  # fmt: skip
        client.connect_timeout = STEP_S
        if settings.tls:
            client.tls_set_context(brokerlink.tls_context(settings))
        if settings.username:
            client.username_pw_set(settings.username, brokerlink.password(settings))
        if will is not None:
            delay = self._properties(PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_DELAY_S)
            client.will_set(will.topic, will.payload, will.qos, will.retain, properties=delay)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_log = self._on_log
        limits = self._properties(
            PacketTypes.CONNECT,
            SessionExpiryInterval=self._session_s,
            ReceiveMaximum=self._receive_maximum,
            MaximumPacketSize=MAX_INCOMING_BYTES if self._receive_maximum == RECEIVE_MAXIMUM else MAX_BATCHED_BYTES,
        )
        client.connect_async(
            settings.host, settings.port, KEEPALIVE_S, clean_start=not self._session_s, properties=limits
        )
        return client

    async def open(self) -> bool:
        """Start the thread and wait for the broker's answer; True if it accepted us."""
        self._client.loop_start()
        try:
            async with asyncio.timeout(CONNECT_S):
                return await self._answered == 0
        except TimeoutError as error:
            self.state = brokerlink.explain_error(error, tls=self._tls, reached=self._client.reached)
            return False

    async def publish(self, message: Message, extras: Extras) -> int:
        """The broker's reason code, 0 at once for QoS 0; raises UnavailableError when the connection ends first.

        The answer's hop runs on the loop, hence never before the waiter is registered.
        """
        size = len(message.topic.encode()) + len(message.payload) + len(extras.correlation) + _OVERHEAD_BYTES
        if size > self._max_packet:
            return PACKET_TOO_LARGE
        if message.qos == 0:
            self._send(message, extras)
            return 0
        await self._slots.acquire()
        try:
            packet_id = self._send(message, extras)
        except UnavailableError:
            self._slots.release()
            raise
        waiter: asyncio.Future[int] = self._loop.create_future()
        self._publishes[packet_id] = waiter
        return await waiter

    async def subscribe(self, topic: str, qos: int) -> int:
        """The broker's reason code: the QoS granted, or a failure; raises UnavailableError when the connection ends."""
        sent, packet_id = self._client.subscribe(topic, qos)
        if sent != MQTTErrorCode.MQTT_ERR_SUCCESS or packet_id is None:
            raise self._gone()
        waiter: asyncio.Future[int] = self._loop.create_future()
        self._subscribes[packet_id] = waiter
        return await waiter

    def hang_up(self) -> None:
        """End the connection soon, leaving the will; never waits. MQTT 3.1.1 has no goodbye with a will: we say it."""
        self._closing = True
        if self._v5:
            self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
            return
        if self._will is not None and self._client.is_connected():
            self._client.publish(self._will.topic, self._will.payload, 0, self._will.retain)
        self._client.disconnect()

    async def close(self) -> None:
        """Say goodbye and wait at most CLOSE_S for the thread; an abandoned thread ends at its next step."""
        if not self.ended.is_set():
            self.hang_up()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self.ended.wait()

    def _send(self, message: Message, extras: Extras) -> int:
        """Hand the packet to paho's thread; its id. Raises UnavailableError when the connection is over."""
        if self.ended.is_set():
            raise self._gone()
        properties = self._properties(
            PacketTypes.PUBLISH,
            MessageExpiryInterval=extras.expiry_s,
            ResponseTopic=extras.response_topic or None,
            CorrelationData=extras.correlation or None,
        )
        info = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._gone()
        return info.mid

    def _gone(self) -> UnavailableError:
        return UnavailableError("the connection to the broker ended", hint=self.state.detail)

    def _properties(self, packet: int, **values: object) -> Properties | None:
        """Those that are given, None in MQTT 3.1.1."""
        if not self._v5:
            return None
        properties = Properties(packet)  # type: ignore[no-untyped-call]
        for name, value in values.items():
            if value is not None:
                setattr(properties, name, value)
        return properties

    def thread_ended(self, error: BaseException | None) -> None:
        """The network thread's last word."""
        self._note(error)
        self._hop(self._over)

    def _hop(self, callback: Callable[..., None], *arguments: Any) -> None:
        """From paho's thread to the loop; a loop that is closed needs no news."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _note(self, error: BaseException | None) -> None:
        """Keep the most telling error: a TLS alert outranks the reset that may come before or after it."""
        if error is not None and not isinstance(self._error, ssl.SSLError):
            self._error = error.with_traceback(None)

    def _on_socket_open(self, _client: mqtt.Client, _data: Any, connection: Any) -> None:
        if self._closing:
            raise ConnectionAbortedError
        # With Nagle's algorithm each message waits for the acknowledgement of the one before: 40 ms on a quiet line.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_log(self, _client: mqtt.Client, _data: Any, level: int, _text: str) -> None:
        """Called inside paho's handlers of socket errors, the only place where the error itself can be had."""
        if level == LogLevel.MQTT_LOG_ERR:
            self._note(sys.exc_info()[1])

    def _on_connect(self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, given: Any) -> None:
        receive_maximum = getattr(given, "ReceiveMaximum", IN_FLIGHT)
        max_packet = getattr(given, "MaximumPacketSize", sys.maxsize)
        self._hop(self._connacked, code.value, receive_maximum, max_packet)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, flags: mqtt.DisconnectFlags, code: ReasonCode, _given: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._goodbye = code.value

    def _on_publish(self, _client: mqtt.Client, _data: Any, packet_id: int, code: ReasonCode, _given: Any) -> None:
        self._hop(self._settle_publish, packet_id, code.value)

    def _on_subscribe(
        self, _client: mqtt.Client, _data: Any, packet_id: int, codes: list[ReasonCode], _given: Any
    ) -> None:
        self._hop(self._settle_subscribe, packet_id, codes[0].value)

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        def acknowledge() -> None:
            """Without a connection the broker will send it again."""
            if not self.ended.is_set():
                client.ack(message.mid, message.qos)

        heard = uplink.incoming(message)
        if self._backlog is not None:
            self._backlog.arrived()
        self._hop(self._deliver, heard, acknowledge)

    def _connacked(self, code: int, receive_maximum: int, max_packet: int) -> None:
        self._max_packet = max_packet
        self._slots = asyncio.Semaphore(min(IN_FLIGHT, receive_maximum))
        if code:
            self.state = brokerlink.explain_code(code)
        if not self._answered.done():
            self._answered.set_result(code)

    def _settle_publish(self, packet_id: int, code: int) -> None:
        """A slot is free when the broker has answered, whether or not the publisher still waits."""
        if (waiter := self._publishes.pop(packet_id, None)) is not None:
            self._slots.release()
            if not waiter.done():
                waiter.set_result(code)

    def _settle_subscribe(self, packet_id: int, code: int) -> None:
        if (waiter := self._subscribes.pop(packet_id, None)) is not None and not waiter.done():
            waiter.set_result(code)

    def _over(self) -> None:
        """The thread has ended: explain it, and let everyone who waits go."""
        self.ended.set()
        if self._goodbye is not None:
            self.state = brokerlink.explain_code(self._goodbye)
        elif self.state.trouble is Trouble.NONE:
            lost = self._answered.done() and (self._error is None or isinstance(self._error, OSError))
            error = ConnectionResetError() if lost else self._error
            said = brokerlink.explain_error(error, tls=self._tls, reached=self._client.reached)
            self.state = replace(said, closed=lost and self._error is None)
        if not self._answered.done():
            self._answered.set_result(REFUSED_FROM)
        waiters = [*self._publishes.values(), *self._subscribes.values()]
        for _ in self._publishes:
            self._slots.release()
        self._publishes.clear()
        self._subscribes.clear()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(self._gone())
        self._client.forget()


class _Client(mqtt.Client):
    """paho's client, which tells once, and always, that its network thread ends, and why."""

    def __init__(
        self, ended: Callable[[BaseException | None], None], *, turn: int, backlog: Backlog | None, **options: Any
    ) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, reconnect_on_failure=False, manual_ack=True, **options)
        self._ended = ended
        self._backlog = backlog
        self._turn = turn
        self.reached = False

    def _create_socket_connection(self) -> socket.socket:
        """Paho's hook: TCP to one of the broker's addresses, each attempt beginning with another one."""
        made = brokerlink.reach(self._host, self._port, timeout_s=self._connect_timeout, turn=self._turn)
        self.reached = True
        return made

    def _sock_recv(self, bufsize: int) -> bytes:
        """What paho reads through: it asks for all that is left of a packet, and would take 256 MB into memory.

        With a backlog nothing is read; what is to be sent is, and the silence is ours, not the broker's.
        """
        if bufsize > MOST_READ_BYTES:
            raise OverflowError
        if self._backlog is not None and self.is_connected() and not self._backlog.has_room(HELD_S):
            with self._msgtime_mutex:
                self._last_bytes_received = time.monotonic()
            self._ping_t = 0.0  # the answer to the last ping may wait unread: it is no late one
            raise BlockingIOError
        return super()._sock_recv(bufsize)

    def _sock_send(self, buf: bytes | bytearray) -> int:
        """What paho writes through: where the broker has hung up, its reason may lie unread, and reading raises it."""
        try:
            return super()._sock_send(buf)
        except (ssl.SSLEOFError, ConnectionError):
            with contextlib.suppress(*_NO_REASON):
                self._sock.recv(1)  # type: ignore[union-attr]
            raise

    def loop_forever(self, timeout: float = LOOK_S, retry_first_connection: bool = False) -> MQTTErrorCode:  # noqa: ARG002 (paho's thread asks for retries that we make ourselves)
        """What paho's thread runs; whatever is to be sent wakes it at once."""
        ended, error = self._ended, None
        try:
            return super().loop_forever(timeout, retry_first_connection=False)
        except Exception as caught:  # noqa: BLE001 (whatever ends this thread is the connection's reason)
            error = caught
            return MQTTErrorCode.MQTT_ERR_UNKNOWN
        finally:
            ended(error)

    def forget(self) -> None:
        """Let go of the callbacks, whose cycle would keep the sockets open until the garbage collector comes."""
        self._ended = lambda _error: None
        self.on_connect = self.on_disconnect = self.on_publish = self.on_subscribe = None
        self.on_message = self.on_socket_open = self.on_log = None
