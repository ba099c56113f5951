"""A wire between a client and a broker that counts, cuts, and plays an older broker.

async with MqttProxy(broker.port) as wire:
    settings = broker.settings(port=wire.port)
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from types import TracebackType

_CONNECT, _PUBLISH, _PUBACK, _SUBACK = 1, 3, 4, 9
_PROTOCOL_LEVEL_AT = 6
"""Of CONNECT's variable header: length 2, "MQTT" 4, then the level."""
_REFUSED_VERSION = b"\x20\x02\x00\x01"
"""What a 3.1.1 broker answers to another version: CONNACK, return code 1."""


class MqttProxy:
    """Plain TCP to `127.0.0.1:port`. `old` plays a broker that knows only 3.1.1 and says so, or just hangs up.

    `closed` turns new connections away; clearing `answering` holds PUBACKs back; without `granting` a
    subscription is answered with "not authorised", which mosquitto never does.
    """

    def __init__(self, broker_port: int, *, old: Literal["", "refuses", "hangs up"] = "") -> None:
        self.port = 0
        self.closed = False
        self.granting = True
        self.levels: list[int] = []
        self.unanswered = 0
        self.max_unanswered = 0
        self.answering = asyncio.Event()
        self.answering.set()
        self._broker_port = broker_port
        self._old = old
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        await asyncio.sleep(0.05)

    def cut(self) -> None:
        """Break every connection without a goodbye on either side."""
        for writer in self._writers:
            writer.transport.abort()

    def say(self, packet: bytes) -> None:
        """Send every client something that the broker never said, and hang up."""
        for writer in self._clients:
            writer.write(packet)
            writer.close()

    async def _serve(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        if self.closed:
            client_out.transport.abort()
            return
        self.unanswered = 0
        broker_in, broker_out = await asyncio.open_connection("127.0.0.1", self._broker_port)
        writers = {client_out, broker_out}
        self._writers |= writers
        self._clients.add(client_out)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._carry(client_in, client_out, broker_in, broker_out)
        finally:
            self._writers -= writers
            self._clients.discard(client_out)
            for writer in writers:
                writer.transport.abort()

    async def _carry(
        self,
        client_in: asyncio.StreamReader,
        client_out: asyncio.StreamWriter,
        broker_in: asyncio.StreamReader,
        broker_out: asyncio.StreamWriter,
    ) -> None:
        first = await self._packet(client_in)
        assert first[0] >> 4 == _CONNECT
        level = first[len(first) - len(_body(first)) + _PROTOCOL_LEVEL_AT]
        self.levels.append(level)
        if self._old and level != 4:
            if self._old == "refuses":
                client_out.write(_REFUSED_VERSION)
                await client_out.drain()
            return
        broker_out.write(first)
        up = asyncio.create_task(self._up(client_in, broker_out))
        down = asyncio.create_task(self._down(broker_in, client_out))
        done, late = await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        await asyncio.gather(*done, *late, return_exceptions=True)

    async def _up(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            packet = await self._packet(source)
            if packet[0] >> 4 == _PUBLISH and packet[0] & 0x06:
                self.unanswered += 1
                self.max_unanswered = max(self.max_unanswered, self.unanswered)
            sink.write(packet)
            await sink.drain()

    async def _down(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            packet = await self._packet(source)
            if packet[0] >> 4 == _PUBACK:
                await self.answering.wait()
                self.unanswered -= 1
            if packet[0] >> 4 == _SUBACK and not self.granting:
                packet = packet[:-1] + b"\x87"
            sink.write(packet)
            await sink.drain()

    @staticmethod
    async def _packet(source: asyncio.StreamReader) -> bytes:
        """One whole control packet (MQTT 5, 2.1)."""
        head = bytearray(await source.readexactly(1))
        length, shift = 0, 0
        while True:
            byte = (await source.readexactly(1))[0]
            head.append(byte)
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return bytes(head) + await source.readexactly(length)


def _body(packet: bytes) -> bytes:
    """What follows the fixed header."""
    position = 1
    while packet[position] & 0x80:
        position += 1
    return packet[position + 1 :]
