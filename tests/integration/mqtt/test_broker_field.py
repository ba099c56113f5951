"""Brokers and networks as venues have them: something else on the port, too little offered, clocks and slow lines."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

import pytest

from edge_scanner.core.diagnostics.advice import FIXES
from edge_scanner.mqtt import brokerlink, uplink
from edge_scanner.mqtt.broker import BrokerSettings, Trouble, open_broker
from tests.support.box_client import BOX, connected, impatient, message
from tests.support.mosquitto import Authority, Mosquitto
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WAY_S = 5.0
"""Each way: a satellite line that is full."""


@asynccontextmanager
async def slow_line(port: int) -> AsyncIterator[int]:
    """A port behind which `port` answers, everything `WAY_S` later in either direction."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            loop.call_later(WAY_S, sink.write, data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_in, there_out = await asyncio.open_connection("127.0.0.1", port)
        writers.update((writer, there_out))
        tasks.update(asyncio.create_task(carry(*ends)) for ends in ((reader, there_out), (there_in, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("greeting", "trouble"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n", Trouble.FOREIGN),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Trouble.FOREIGN),
        (b"", Trouble.NO_ANSWER),
    ],
    ids=["a login page", "ssh", "an end without a word"],
)
async def test_something_else_on_the_port_is_called_that(tmp_path: Path, greeting: bytes, trouble: Trouble) -> None:
    """Who is sent to a venue's login page learns that it is no broker, and not that a port is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(1)
            writer.write(greeting)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with Mosquitto(tmp_path, listen="tls", start=False) as mosquitto:
        settings = mosquitto.settings(port=server.sockets[0].getsockname()[1])
        async with open_broker(settings, client_id=BOX) as box:
            await eventually(lambda: box.state.trouble is trouble)
    server.close()


async def test_a_login_page_with_a_certificate_is_a_possible_cause(tmp_path: Path) -> None:
    """A portal that speaks TLS under its own CA gets nothing of ours; what is said names it, too."""
    (tmp_path / "portal").mkdir()
    files = Authority(tmp_path / "portal").issue("localhost", server=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    with Mosquitto(tmp_path, listen="tls", start=False) as mosquitto:
        settings = mosquitto.settings(port=server.sockets[0].getsockname()[1])
        async with open_broker(settings, client_id=BOX) as box:
            await eventually(lambda: box.state.trouble is Trouble.BROKER_UNTRUSTED)
            assert "perhaps a login page of this network: " in box.state.detail
    server.close()
    assert not any(asked)
    assert "login page" in FIXES["BRK-03"].en
    assert "trang đăng nhập" in FIXES["BRK-03"].vi


@pytest.mark.parametrize(
    ("options", "missing"), [("retain_available false", "keeps no retained messages"), ("max_qos 0", "QoS 1")]
)
async def test_a_broker_that_lacks_what_we_need_is_named(tmp_path: Path, options: str, missing: str) -> None:
    """A broker without retained messages or QoS 1 refuses the box: it says which."""
    will = message("gone", retain=True)
    with Mosquitto(tmp_path, options=options) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX, will=will) as box:
            await eventually(lambda: box.state.trouble is Trouble.PROTOCOL)
            assert missing in box.state.detail


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_packet_without_measure_ends_the_connection_and_not_the_box(protocol: Literal["5", "3.1.1"]) -> None:
    """A broker that begins a packet of 256 MB, unasked for: none of it is read into memory."""
    sent = 0
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writers.append(writer)
        with suppress(ConnectionError):
            await reader.read(65536)
            writer.write(b"\x20\x03\x00\x00\x00" if protocol == "5" else b"\x20\x02\x00\x00")
            writer.write(b"\x30\xff\xff\xff\x7f\x00\x01t")
            while sent < 32 * 1024 * 1024:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = BrokerSettings(host="127.0.0.1", port=server.sockets[0].getsockname()[1], tls=False, protocol=protocol)
    async with server, open_broker(place, client_id=BOX, session_s=0) as box:
        await eventually(lambda: box.state.trouble is Trouble.PROTOCOL)
    for writer in writers:
        writer.transport.abort()
    await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
    assert sent < 16 * 1024 * 1024  # what the sockets of both ends hold


async def test_a_clock_that_is_set_ends_the_back_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed for the time's sake is tried at once: a broker that came meanwhile is reached without the wait."""
    monkeypatch.setattr(brokerlink, "RECONNECT_MIN_S", 3600.0)
    monkeypatch.setattr(brokerlink, "RECONNECT_MAX_S", 3600.0)
    monkeypatch.setattr(uplink, "LOOK_S", 0.05)
    ahead_s = 0.0
    with Mosquitto(tmp_path, start=False) as mosquitto:
        settings = mosquitto.settings()
        async with open_broker(settings, client_id=BOX, now=lambda: time.time() + ahead_s) as box:
            await eventually(lambda: box.state.trouble is Trouble.UNREACHABLE)
            mosquitto.start()
            await asyncio.sleep(0.3)
            assert not box.state.connected
            ahead_s = 86_400.0
            await connected(box)


@pytest.mark.slow
async def test_a_round_trip_of_ten_seconds_connects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS and MQTT each wait for their answer: so slow a line is slow and not closed."""
    impatient(monkeypatch)
    with Mosquitto(tmp_path, listen="tls") as mosquitto:
        async with (
            slow_line(mosquitto.port) as port,
            open_broker(mosquitto.settings(port=port), client_id=BOX) as box,
        ):
            await connected(box)
