"""MQTT 3.1.1 in a few lines, so that one process can be ten thousand boxes; the product speaks through mqtt/broker.py.

Only what a fleet's load needs: CONNECT, PINGREQ, PUBLISH and its acknowledgement at QoS 1, SUBSCRIBE, incoming
messages, which are acknowledged at once. Specification: MQTT 3.1.1 (OASIS), sections 2 and 3.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9
KEEPALIVE_S = 120
"""The shipped broker's longest, as a client of MQTT 3.1.1 with a longer one is refused; a box says 60 s."""


class LostError(Exception):
    """The connection ended or was refused."""


class TinyClient(asyncio.Protocol):
    """One connection; make it with `connect`."""

    def __init__(self, on_message: Callable[[str, bytes], None] | None = None) -> None:
        self._on_message = on_message
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._packet = 0
        self._ping: asyncio.TimerHandle | None = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self._ping is not None:
            self._ping.cancel()
        if not self.lost.done():
            self.lost.set_result(exc)
        for waiting in (self._connected, *self._answers.values()):
            if not waiting.done():
                waiting.set_exception(LostError())
                waiting.exception()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer += data
        while (packet := self._next()) is not None:
            self._take(*packet)

    async def greet(self, client_id: str, *, clean: bool = True) -> None:
        """CONNECT, and a ping in good time from then on; raises LostError when it is refused."""
        name = client_id.encode()
        body = (
            struct.pack(">H4sBBH", 4, b"MQTT", 4, 2 if clean else 0, KEEPALIVE_S) + struct.pack(">H", len(name)) + name
        )
        self._send(0x10, body)
        await self._connected
        self._keep_alive()

    async def publish(self, topic: str, payload: bytes) -> None:
        """PUBLISH at QoS 1; returns once it is acknowledged, raises LostError."""
        packet, answer = self._expect()
        name = topic.encode()
        self._send(0x32, struct.pack(">H", len(name)) + name + struct.pack(">H", packet) + payload)
        await answer

    async def subscribe(self, topic: str) -> None:
        """SUBSCRIBE at QoS 1; returns once it is acknowledged, raises LostError."""
        packet, answer = self._expect()
        name = topic.encode()
        self._send(0x82, struct.pack(">HH", packet, len(name)) + name + b"\x01")
        await answer

    def close(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _keep_alive(self) -> None:
        if not self.lost.done():
            self._send(0xC0, b"")
            self._ping = asyncio.get_running_loop().call_later(KEEPALIVE_S / 2, self._keep_alive)

    def _expect(self) -> tuple[int, asyncio.Future[None]]:
        if self.lost.done():
            raise LostError
        self._packet = self._packet % 0xFFFF + 1
        answer = self._answers[self._packet] = asyncio.get_running_loop().create_future()
        return self._packet, answer

    def _send(self, head: int, body: bytes) -> None:
        assert self._transport is not None
        length, size = bytearray(), len(body)
        while True:
            size, low = divmod(size, 128)
            length.append(low | (0x80 if size else 0))
            if not size:
                break
        self._transport.write(bytes((head,)) + length + body)

    def _next(self) -> tuple[int, bytes] | None:
        """The first whole packet in the buffer: its first byte and its body."""
        size = shift = 0
        for place in range(1, 5):
            if place >= len(self._buffer):
                return None
            byte = self._buffer[place]
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                end = place + 1 + size
                if len(self._buffer) < end:
                    return None
                packet = self._buffer[0], bytes(self._buffer[place + 1 : end])
                del self._buffer[:end]
                return packet
        raise LostError

    def _take(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if kind == CONNACK:
            if body[1]:
                self.close()
            elif not self._connected.done():
                self._connected.set_result(None)
        elif kind in {PUBACK, SUBACK}:
            answer = self._answers.pop(int.from_bytes(body[:2], "big"), None)
            if answer is not None and not answer.done():
                answer.set_result(None)
        elif kind == PUBLISH and self._on_message is not None:
            size = int.from_bytes(body[:2], "big")
            rest = body[2 + size :]
            if head & 6:
                self._send(0x40, rest[:2])
                rest = rest[2:]
            self._on_message(body[2 : 2 + size].decode(), rest)


async def connect(
    port: int,
    client_id: str,
    *,
    tls: ssl.SSLContext | None = None,
    on_message: Callable[[str, bytes], None] | None = None,
    clean: bool = True,
) -> TinyClient:
    """A connection to 127.0.0.1 on which the broker has said yes; raises OSError or LostError."""
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: TinyClient(on_message), "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        await client.greet(client_id, clean=clean)
    except LostError:
        client.close()
        raise
    return client
