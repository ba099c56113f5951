"""The shipped configuration of the first broker, on a real mosquitto with mutual TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.connection import SESSION_S
from tests.support.box_client import connected
from tests.support.doors import REFUSED, heard, message
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        (BOX, f"edge-scanner/v1/a/authority-hcm/in/{BOX}/manifest", True),
        (BOX, f"edge-scanner/v1/a/authority-hcm/in/{OTHER}/manifest", False),
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
    f"edge-scanner/v1/a/authority-hn/in/{BOX}/answer": BOX,
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
        found = await heard(on_line[client])

    assert sorted(found) == [f"edge-scanner/v1/{topic}" for topic in topics]


async def test_only_monitoring_sees_the_brokers_own_figures(centre: Mosquitto) -> None:
    """`$SYS` is for fleet-monitor: a box or a collector that asks hears nothing of it."""
    seen = {}
    for client in ("fleet-monitor", "fleet-collector", BOX):
        async with open_broker(centre.settings(client=client), client_id=client) as reader:
            await connected(reader)
            await reader.subscribe("$SYS/#")
            seen[client] = any(topic.startswith("$SYS/") for topic in await heard(reader))

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


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_two_collectors_share_what_boxes_say(tmp_path: Path, protocol: Literal["5", "3.1.1"]) -> None:
    """One shared subscription: each message is one collector's, and the share of one that is away waits for it."""
    names = ("fleet-collector", "fleet-collector-2")
    said = [f"edge-scanner/v1/d/{BOX}/up/{number}" for number in range(40)]
    with _shipped(tmp_path) as centre:
        links = {name: centre.settings(client=name, protocol=protocol) for name in names}
        async with (
            open_broker(links[names[0]], client_id=names[0]) as stays,
            open_broker(centre.settings(client=BOX), client_id=BOX) as box,
        ):
            async with open_broker(links[names[1]], client_id=names[1]) as goes:
                for broker in (stays, box, goes):
                    await connected(broker)
                for collector in (stays, goes):
                    await collector.subscribe("$share/telegraf/edge-scanner/v1/d/+/up/#")
                for topic in said[:20]:
                    assert await box.publish(message(topic)) == 0
                both = [await heard(stays), await heard(goes)]
            for topic in said[20:]:
                assert await box.publish(message(topic)) == 0
            one = await heard(stays)
            async with open_broker(links[names[1]], client_id=names[1]) as returned:
                await connected(returned)
                other = await heard(returned)

    assert all([*both, one, other])
    assert sorted(both[0] + both[1]) == sorted(said[:20])
    assert sorted(one + other) == sorted(said[20:])


def _end_session(link: BrokerSettings) -> None:
    subprocess.run(
        [
            "mosquitto_sub", "-V", "5", "-t", "none", "-E", "-h", link.host, "-p", str(link.port),
            "--cafile", str(link.ca), "--cert", str(link.certificate), "--key", str(link.key),
        ],
        check=True,
        timeout=PATIENCE_S,
    )  # fmt: skip


async def test_a_collector_that_is_taken_out_leaves_its_share(tmp_path: Path) -> None:
    """Once its session has ended as docs/mqtt.md says, the other collector hears everything."""
    said = [f"edge-scanner/v1/d/{BOX}/up/{number}" for number in range(10)]
    with _shipped(tmp_path) as centre:
        links = {name: centre.settings(client=name) for name in ("fleet-collector", "fleet-collector-2", BOX)}
        async with open_broker(links["fleet-collector"], client_id="fleet-collector") as stays:
            await connected(stays)
            await stays.subscribe("$share/telegraf/edge-scanner/v1/d/+/up/#")
            async with open_broker(links["fleet-collector-2"], client_id="fleet-collector-2") as goes:
                await connected(goes)
                await goes.subscribe("$share/telegraf/edge-scanner/v1/d/+/up/#")
            await asyncio.to_thread(_end_session, links["fleet-collector-2"])
            async with open_broker(links[BOX], client_id=BOX) as box:
                await connected(box)
                for topic in said:
                    await box.publish(message(topic))
            found = await heard(stays)

    assert found == said


async def test_whoever_only_looks_leaves_nothing_behind(centre: Mosquitto) -> None:
    """A collector that is away finds what came meanwhile; a session of length 0 is gone with its connection."""
    topic, found = f"edge-scanner/v1/d/{BOX}/up/away", {}
    for client, session_s in (("fleet-collector", SESSION_S), ("fleet-tail", 0)):
        async with open_broker(centre.settings(client=client), client_id=client, session_s=session_s) as reader:
            await connected(reader)
            await reader.subscribe("edge-scanner/v1/d/+/up/away")
    async with open_broker(centre.settings(client=BOX), client_id=BOX) as box:
        await connected(box)
        await box.publish(message(topic))
    for client, session_s in (("fleet-collector", SESSION_S), ("fleet-tail", 0)):
        async with open_broker(centre.settings(client=client), client_id=client, session_s=session_s) as reader:
            await connected(reader)
            found[client] = topic in await heard(reader)

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
            payload=b"x" * 65_536,
            key="x",
            created_s=0.0,
        )

        assert await box.publish(large) == 0x95
        assert await box.publish(message(f"edge-scanner/v1/d/{BOX}/up/audit")) < 0x80
        assert box.connections_total == 1
