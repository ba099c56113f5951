"""A reader who acknowledges in batches, on a broker with more for him than he can take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_scanner.mqtt import broker, connection
from edge_scanner.mqtt.broker import open_broker
from tests.support.box_client import connected, impatient
from tests.support.mosquitto import Mosquitto
from tests.support.tiny_mqtt import connect
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.mqtt.broker import Broker

READER = "collector"
TOPICS = [f"up/{number}" for number in range(5)]

quick = pytest.fixture(autouse=True)(impatient)


async def subscribe(reader: Broker) -> None:
    """As the collector does: each kind by its name."""
    for topic in TOPICS:
        await reader.subscribe(topic)


async def queue(mosquitto: Mosquitto, count: int) -> list[bytes]:
    """Messages for the session of a reader who was there once and is away; some are on their way at a time."""
    async with open_broker(mosquitto.settings(), client_id=READER, at_once=20) as reader:
        await subscribe(reader)
        await connected(reader)
    said = [b"%06d" % number for number in range(count)]
    client = await connect(mosquitto.port, "boxes")
    for first in range(0, count, 100):
        await asyncio.gather(*(client.publish(TOPICS[first // 100 % 5], one) for one in said[first : first + 100]))
    client.close()
    return said


async def take(reader: Broker, batch: int, *, until: int, pause_s: float = 0.0) -> list[bytes]:
    """Payloads, each batch acknowledged after a while."""
    found: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < until:
            deliveries = await reader.take(batch, 1.0)
            await asyncio.sleep(pause_s)
            for one in deliveries:
                found.append(one.message.payload)
                one.acknowledge()
    return found


def sessions(mosquitto: Mosquitto) -> int:
    """How often the reader came: once before there was anything, and again."""
    return mosquitto.log.read_text().count(f" as {READER} ")


@pytest.mark.parametrize(
    ("count", "backlog", "pause_s"),
    [
        (3_000, 100, 0.01),
        pytest.param(70_000, 1_000, 0.0, marks=[pytest.mark.slow, pytest.mark.system]),  # more than packet ids
    ],
)
async def test_all_that_is_queued_comes_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, backlog: int, pause_s: float
) -> None:
    """However much waits, and whatever the broker makes of the receive maximum: one connection, nothing twice."""
    monkeypatch.setattr(broker, "BACKLOG", backlog)
    with Mosquitto(tmp_path, options=f"max_queued_messages {count}") as mosquitto:
        said = await queue(mosquitto, count)
        async with open_broker(mosquitto.settings(), client_id=READER, at_once=backlog // 2) as reader:
            await subscribe(reader)
            found = await take(reader, backlog // 2, until=count, pause_s=pause_s)
            assert (reader.dropped_total, await reader.take(1, 0.1)) == (0, [])
        assert sessions(mosquitto) == 2

    assert found == said


async def test_a_reader_who_stops_keeps_his_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is taken nothing is read, pings go out, and longer than the keepalive the connection stays."""
    monkeypatch.setattr(broker, "BACKLOG", 10)
    monkeypatch.setattr(connection, "KEEPALIVE_S", 6)  # a busy machine may stand still for seconds
    monkeypatch.setattr(connection, "LOOK_S", 0.1)
    with Mosquitto(tmp_path) as mosquitto:
        said = await queue(mosquitto, 200)
        async with open_broker(mosquitto.settings(), client_id=READER, at_once=5) as reader:
            await subscribe(reader)
            found = await take(reader, 5, until=50)
            await asyncio.sleep(12.0)  # the broker gives up after nine
            found += await take(reader, 5, until=len(said) - len(found))
        assert sessions(mosquitto) == 2

    assert found == said


async def test_a_greeting_that_is_not_answered_can_be_ended(tmp_path: Path) -> None:
    """A broker that accepts us and never answers a subscription: whoever renews gets another connection."""
    asked = asyncio.Queue[bytes]()
    connections: list[asyncio.StreamWriter] = []

    async def accept_only(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        connections.append(outgoing)
        await incoming.read(1000)
        outgoing.write(b"\x20\x03\x00\x00\x00")  # CONNACK of MQTT 5
        while said := await incoming.read(1000):
            asked.put_nowait(said)

    server = await asyncio.start_server(accept_only, "127.0.0.1", 0)
    settings = Mosquitto(tmp_path, start=False).settings(port=server.sockets[0].getsockname()[1])
    async with server, open_broker(settings, client_id=READER, at_once=5) as reader, asyncio.timeout(PATIENCE_S):
        await reader.subscribe("up/1")
        for _ in range(2):
            while b"up/1" not in await asked.get():
                """What else it may say."""
            assert not reader.is_connected
            reader.renew()
    for one in connections:
        one.close()
    await asyncio.gather(*(one.wait_closed() for one in connections), return_exceptions=True)
