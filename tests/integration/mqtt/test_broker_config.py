"""The shipped configuration of the first broker, on a real mosquitto with mutual TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.connection import SESSION_S
from tests.support.box_client import connected
from tests.support.doors import REFUSED, heard, message
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from edge_scanner.mqtt.broker import Broker
    from edge_scanner.mqtt.brokerlink import BrokerSettings

CONFIG = Path(__file__).parents[3] / "config" / "broker"
BOX, OTHER = "K7MP2R9CX4", "3N8QW0TZ5F"


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker that runs the shipped file; only paths, port and user are this test's."""
    with _shipped(tmp_path_factory.mktemp("centre")) as mosquitto:
        yield mosquitto


@contextmanager
def _shipped(folder: Path) -> Iterator[Mosquitto]:
    with Mosquitto(folder, listen="mutual", config=(CONFIG / "mosquitto.conf").read_text()) as mosquitto:
        mosquitto.set_acl((CONFIG / "acl").read_text())
        yield mosquitto


@pytest.mark.parametrize(
    ("client", "topic", "allowed"),
    [
        (BOX, f"edge-scanner/v1/d/{BOX}/up/counts", True),
        (BOX, f"edge-scanner/v1/d/{BOX}/up/status", True),
        (BOX, f"edge-scanner/v1/d/{OTHER}/up/counts", False),
        (BOX, f"edge-scanner/v1/d/{BOX}/down/cfg", False),
        (BOX, f"edge-scanner/v1/a/authority-hcm/in/{BOX}/answer", True),
        (BOX, f"edge-scanner/v1/a/authority-hcm/in/{OTHER}/answer", False),
        (BOX, f"edge-scanner/v1/enrol/{BOX}/csr", True),
        (BOX, f"edge-scanner/v1/enrol/{BOX}/cert", False),
        (f"boot-{BOX}", f"edge-scanner/v1/enrol/boot-{BOX}/csr", True),
        (f"boot-{BOX}", f"edge-scanner/v1/d/{BOX}/up/counts", False),
        ("fleet-collector", f"edge-scanner/v1/d/{BOX}/up/counts", False),
        ("fleet-enrol", f"edge-scanner/v1/enrol/boot-{BOX}/cert", True),
        ("fleet-enrol", f"edge-scanner/v1/d/{BOX}/down/pull/req", False),
        ("fleet-enrol", f"edge-scanner/v1/d/{BOX}/down/cfg", False),
        ("fleet-config", f"edge-scanner/v1/d/{BOX}/down/cfg", True),
        ("fleet-config", f"edge-scanner/v1/d/{BOX}/down/mandates", True),
        ("fleet-config", f"edge-scanner/v1/d/{BOX}/down/pull/req", False),
        ("fleet-config", f"edge-scanner/v1/d/{BOX}/up/counts", False),
        ("authority-hcm", f"edge-scanner/v1/d/{BOX}/down/mandates", False),
        ("authority-hcm", f"edge-scanner/v1/d/{BOX}/down/pull/req", True),
        ("authority-hcm", f"edge-scanner/v1/d/{BOX}/down/cfg", False),
        ("authority-hcm", f"edge-scanner/v1/d/{BOX}/up/counts", False),
        ("fleet-monitor", f"edge-scanner/v1/d/{BOX}/up/status", False),
        ("fleet-time", f"edge-scanner/v1/d/{BOX}/down/time", True),
        ("fleet-time", f"edge-scanner/v1/d/{BOX}/down/cfg", False),
        ("fleet-config", f"edge-scanner/v1/d/{BOX}/down/time", False),
        (BOX, f"edge-scanner/v1/d/{BOX}/down/time", False),
    ],
)
async def test_who_may_say_what(centre: Mosquitto, client: str, topic: str, *, allowed: bool) -> None:
    """Each role publishes where it must and is refused with 0x87 elsewhere."""
    async with open_broker(centre.settings(client=client), client_id=client) as broker:
        await connected(broker)

        code = await broker.publish(message(topic))

    assert (code < 0x80) is allowed
    assert allowed or code == REFUSED


SAID = {
    f"edge-scanner/v1/d/{BOX}/up/counts": BOX,
    f"edge-scanner/v1/d/{BOX}/up/status": BOX,
    f"edge-scanner/v1/d/{BOX}/up/health": BOX,
    f"edge-scanner/v1/d/{BOX}/down/probe": BOX,
    f"edge-scanner/v1/d/{BOX}/down/cfg": "fleet-config",
    f"edge-scanner/v1/d/{OTHER}/down/cfg": "fleet-config",
    f"edge-scanner/v1/d/{BOX}/down/mandates": "fleet-config",
    f"edge-scanner/v1/d/{BOX}/down/pull/req": "authority-hcm",
    f"edge-scanner/v1/d/{BOX}/down/time": "fleet-time",
    f"edge-scanner/v1/a/authority-hcm/in/{BOX}/answer": BOX,
    f"edge-scanner/v1/enrol/{BOX}/csr": BOX,
    f"edge-scanner/v1/enrol/{BOX}/cert": "fleet-enrol",
    f"edge-scanner/v1/enrol/boot-{OTHER}/cert": "fleet-enrol",
}
"""A message of each kind and who may say it."""


@pytest.mark.parametrize(
    ("client", "topics"),
    [
        (
            BOX,
            [f"d/{BOX}/down/{last}" for last in ("cfg", "mandates", "probe", "pull/req", "time")]
            + [f"enrol/{BOX}/cert"],
        ),
        (OTHER, [f"d/{OTHER}/down/cfg"]),
        (f"boot-{OTHER}", [f"enrol/boot-{OTHER}/cert"]),
        ("fleet-collector", [f"d/{BOX}/up/counts", f"d/{BOX}/up/health", f"d/{BOX}/up/status"]),
        ("fleet-tail", [f"d/{BOX}/up/counts", f"d/{BOX}/up/health", f"d/{BOX}/up/status"]),
        ("fleet-monitor", [f"d/{BOX}/up/health", f"d/{BOX}/up/status"]),
        ("fleet-enrol", [f"enrol/{BOX}/csr"]),
        ("fleet-config", [f"d/{BOX}/up/status"]),
        ("authority-hcm", [f"a/authority-hcm/in/{BOX}/answer"]),
        ("authority-hn", []),
        ("K7MP2R9CX5", []),
    ],
)
async def test_who_hears_what(centre: Mosquitto, client: str, topics: list[str]) -> None:
    """Whatever a role subscribes to, it hears only what is its business: a box never hears another."""
    async with AsyncExitStack() as stack:
        on_line = {
            name: await stack.enter_async_context(open_broker(centre.settings(client=name), client_id=name))
            for name in {client, *SAID.values()}
        }
        for broker in on_line.values():
            await connected(broker)
        await on_line[client].subscribe("#")
        for topic, speaker in SAID.items():
            assert await on_line[speaker].publish(message(topic)) < 0x80
        found = await heard(on_line[client], len(topics))

    assert sorted(found) == [f"edge-scanner/v1/{topic}" for topic in topics]


async def test_only_monitoring_sees_the_brokers_own_figures(centre: Mosquitto) -> None:
    """`$SYS` is for fleet-monitor: a box or a collector that asks hears nothing of it."""
    seen = {}
    for client in ("fleet-monitor", "fleet-collector", BOX):
        async with open_broker(centre.settings(client=client), client_id=client) as reader:
            await connected(reader)
            await reader.subscribe("$SYS/#")
            one = int(client == "fleet-monitor")
            seen[client] = any(topic.startswith("$SYS/") for topic in await heard(reader, one))

    assert seen == {"fleet-monitor": True, "fleet-collector": False, BOX: False}


async def test_without_a_certificate_there_is_no_handshake(centre: Mosquitto) -> None:
    """Nobody without a certificate of our CA says a word to the broker."""
    context = ssl.create_default_context(cafile=str(centre.authority.file))
    with (
        socket.create_connection(("127.0.0.1", centre.port), PATIENCE_S) as plain,
        pytest.raises(ssl.SSLError, match="certificate required"),
        context.wrap_socket(plain, server_hostname="127.0.0.1") as channel,
    ):
        channel.recv(1)


@pytest.mark.parametrize("thieves", [1, 3])
@pytest.mark.parametrize("away", [False, True], ids=["connected", "away"])
async def test_nobody_takes_counts_from_a_collector(tmp_path: Path, thieves: int, *, away: bool) -> None:
    """Certificates that join a shared subscription, now or with a session that waits, take nothing from a collector."""
    topic = f"edge-scanner/v1/d/{BOX}/up/counts"
    names = [OTHER, "fleet-monitor", "authority-hcm"][:thieves]
    with _shipped(tmp_path) as centre:
        async with AsyncExitStack() as stack:
            collector = await stack.enter_async_context(
                open_broker(centre.settings(client="fleet-collector"), client_id="fleet-collector")
            )
            await connected(collector)
            await collector.subscribe("edge-scanner/v1/d/+/up/counts")
            for name in names:
                async with AsyncExitStack() as own:
                    thief = await (own if away else stack).enter_async_context(
                        open_broker(centre.settings(client=name), client_id=name)
                    )
                    await connected(thief)
                    for group in ("telegraf", "fleet-collector", "g"):
                        await thief.subscribe(f"$share/{group}/edge-scanner/v1/d/+/up/counts")
            box = await stack.enter_async_context(open_broker(centre.settings(client=BOX), client_id=BOX))
            await connected(box)
            codes = {await box.publish(message(topic)) for _ in range(100)}
            found = await heard(collector, 100)

    assert codes == {0}
    assert found == [topic] * 100


async def test_one_box_does_not_fill_the_brokers_memory(tmp_path: Path) -> None:
    """Retained messages under topics of one's own invention are refused, in inboxes that nobody has, too."""
    with _shipped(tmp_path) as centre:
        async with open_broker(centre.settings(client=BOX), client_id=BOX) as box:
            await connected(box)
            codes = [
                await box.publish(replace(message(topic), payload=bytes(60_000), retain=True))
                for number in range(50)
                for topic in (
                    f"edge-scanner/v1/d/{BOX}/up/r/{number}",
                    f"edge-scanner/v1/d/{BOX}/up/{number}",
                    f"edge-scanner/v1/a/authority-{number}/in/{BOX}/answer",
                    f"edge-scanner/v1/a/authority-hcm/in/{BOX}/{number}",
                )
            ]

    assert set(codes) == {REFUSED}


@pytest.mark.parametrize("away", [False, True], ids=["connected", "away"])
async def test_messages_too_large_for_a_collector_silence_nobody(tmp_path: Path, *, away: bool) -> None:
    """More of them than the broker keeps places for a client, and another box's word still comes, over one connection.

    A collector takes packets of 64 kB; the broker lets larger ones in, because a recipient set is one.
    """
    with _shipped(tmp_path) as centre:
        settings = centre.settings(client="fleet-collector")
        found: list[int] = []
        async with AsyncExitStack() as stack:
            collector = await stack.enter_async_context(_collecting(settings))
            if away:
                await stack.aclose()
            for name, count, size in ((BOX, 40, 200_000), (OTHER, 3, 10)):
                async with open_broker(centre.settings(client=name), client_id=name) as box:
                    await connected(box)
                    large = replace(message(f"edge-scanner/v1/d/{name}/up/audit"), payload=bytes(size))
                    assert {await box.publish(large) for _ in range(count)} == {0}
            if away:
                collector = await stack.enter_async_context(_collecting(settings))
            async with asyncio.timeout(PATIENCE_S):
                while len(found) < 3:
                    for one in await collector.take(500, 1.0):
                        found.append(len(one.message.payload))
                        one.acknowledge()
            assert collector.connections_total == 1

    assert found == [10] * 3


@asynccontextmanager
async def _collecting(settings: BrokerSettings) -> AsyncIterator[Broker]:
    """A collector as the centre's."""
    async with open_broker(settings, client_id="fleet-collector", at_once=500) as collector:
        await connected(collector)
        await collector.subscribe("edge-scanner/v1/d/+/up/audit")
        yield collector


async def test_whoever_only_looks_leaves_nothing_behind(centre: Mosquitto) -> None:
    """A collector that is away finds what came meanwhile; a session of length 0 is gone with its connection."""
    topic, found = f"edge-scanner/v1/d/{BOX}/up/audit", {}
    for client, session_s in (("fleet-collector", SESSION_S), ("fleet-tail", 0)):
        async with open_broker(centre.settings(client=client), client_id=client, session_s=session_s) as reader:
            await connected(reader)
            await reader.subscribe("edge-scanner/v1/d/+/up/audit")
    async with open_broker(centre.settings(client=BOX), client_id=BOX) as box:
        await connected(box)
        await box.publish(message(topic))
    for client, session_s in (("fleet-collector", SESSION_S), ("fleet-tail", 0)):
        async with open_broker(centre.settings(client=client), client_id=client, session_s=session_s) as reader:
            await connected(reader)
            found[client] = topic in await heard(reader, int(session_s > 0))

    assert found == {"fleet-collector": True, "fleet-tail": False}


async def test_name_is_the_certificates(centre: Mosquitto) -> None:
    """A box that calls itself by another's name is still only itself, and throws nobody off."""
    async with (
        open_broker(centre.settings(client=OTHER), client_id=OTHER) as victim,
        open_broker(centre.settings(client=BOX), client_id=OTHER) as liar,
    ):
        await connected(victim)
        await connected(liar)

        assert await liar.publish(message(f"edge-scanner/v1/d/{OTHER}/up/counts")) == REFUSED
        assert await victim.publish(message(f"edge-scanner/v1/d/{OTHER}/up/counts")) < 0x80
        assert (victim.connections_total, liar.connections_total) == (1, 1)


async def test_limits_are_announced(centre: Mosquitto) -> None:
    """A message above the packet limit is refused before it is sent, and the connection lives on."""
    async with open_broker(centre.settings(client=BOX), client_id=BOX) as box:
        await connected(box)
        large = Message(
            kind=MessageKind.AUDIT,
            topic=f"edge-scanner/v1/d/{BOX}/up/audit",
            payload=b"x" * 262_144,
            key="x",
            created_s=0.0,
        )

        assert await box.publish(large) == 0x95
        assert await box.publish(message(f"edge-scanner/v1/d/{BOX}/up/audit")) < 0x80
        assert box.connections_total == 1
