"""Three nodes of RabbitMQ as the central broker: TLS, certificates' names, permissions, revocation, a dead node.

`Cluster` sets all of it up in one call: the shipped configuration, the shipped ACL as users and permissions, a fleet's
certificates. The collector is the program's own, over MQTT 5.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.store.store import open_store
from edge_scanner.core.enrolment import box_list
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.messages import KINDS
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import Trouble
from tests.support.box_client import connected
from tests.support.box_lists import write_boxes
from tests.support.collecting import running, settings_for, until
from tests.support.fleet import workshop
from tests.support.publishing import Publisher
from tests.support.rabbit import Cluster
from tests.support.sealed_logs import HOUR_S
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from edge_scanner.central.store.store import Store
    from edge_scanner.mqtt.broker import Broker

pytestmark = pytest.mark.system

BOX, THIEF, COLLECTOR = "K7MP2R9CX4", "A1B2C3D4E5", "fleet-collector"
SECOND, TAIL = "fleet-collector-2", "fleet-tail"
ACCEPTED, NOT_AUTHORISED, TOO_LARGE = (0, 16), 0x87, 0x95


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes that know two boxes and the collector."""
    folder = tmp_path_factory.mktemp("rabbit")
    (folder / "shop").mkdir()
    shop = workshop(folder / "shop")
    with Cluster(folder, shop.fleet, nodes=3, names=[BOX, THIEF, COLLECTOR]) as running:
        yield running


def _message(device: str, word: str, *, kind: str = "counts", retain: bool = False) -> Message:
    topic = f"edge-scanner/v1/d/{device}/up/{kind}"
    return Message(kind=MessageKind.COUNTS, topic=topic, payload=word.encode(), key=word, created_s=0.0, retain=retain)


@asynccontextmanager
async def _collecting(cluster: Cluster, folder: Path, box: Publisher) -> AsyncIterator[Store]:
    """The collector at the first node; its store."""
    listed = box_list.Box(device=box.device, site=box.listed.site, room="", name="A", identity=box.listed.identity)
    write_boxes(folder / "boxes.csv", [listed])
    link = cluster.client(COLLECTOR, unit="collector")
    url = f"sqlite:///{folder}/central.db"
    with open_store(url) as store:
        made = settings_for(link, folder / "boxes.csv", url=url)
        async with running(
            made,
            store,
            lambda: box.log.now_s + 10,
            name=COLLECTOR,
            ready=lambda: bindings(cluster) >= len(KINDS),
        ):
            yield store


def bindings(cluster: Cluster, name: str = COLLECTOR) -> int:
    """How many topics a client's session is bound to."""
    said = cluster.control("list_bindings", "source_name", "destination_name")
    return sum(line.split() == ["amq.topic", f"mqtt-subscription-{name}qos1"] for line in said.splitlines())


async def test_what_boxes_say_arrives_once_and_a_node_may_die(cluster: Cluster, tmp_path: Path) -> None:
    """A collector with its session on three nodes; the node that nobody is connected to dies, and another follows."""
    box = Publisher(BOX)
    box.hours(2)
    async with _collecting(cluster, tmp_path, box) as store:
        async with open_broker(cluster.client(BOX), client_id=BOX) as broker:
            await connected(broker)
            assert broker.state.protocol == "5"
            assert {await broker.publish(message) for message in box.said} <= set(ACCEPTED)
        await until(lambda: len(store.read.releases(0, 1 << 40)) == 2)
        await asyncio.to_thread(cluster.nodes[2].kill)
        try:
            said = box.hours(2)
            async with open_broker(cluster.client(BOX, port=cluster.nodes[1].mqtt_port), client_id=BOX) as broker:
                await connected(broker)
                for message in said:
                    await _accepted(broker, message)
            await until(lambda: len(store.read.releases(0, 1 << 40)) == 4)
        finally:
            cluster.nodes[2].start()
            await asyncio.to_thread(cluster.nodes[2].wait)

        assert store.read.heads()[BOX].proven
        assert (store.read.alarms(), store.read.aside(None, 0, 10)) == ((), [])
        assert HOUR_S in {row["bin_start"] for row in store.read.releases(0, 1 << 40)}


async def _answer(cluster: Cluster, name: str, message: Message) -> int:
    """What the broker says to a message, 0x87 where it ends the connection instead."""
    async with open_broker(cluster.client(name), client_id=name) as broker:
        await connected(broker)
        try:
            return await broker.publish(message)
        except UnavailableError:
            return NOT_AUTHORISED


async def _accepted(broker: Broker, message: Message) -> None:
    """As the outbox does: again until it is taken."""
    for _ in range(100):
        if await broker.publish(message) in ACCEPTED:
            return
        await asyncio.sleep(0.2)
    pytest.fail("the nodes that are left take nothing")


async def _refusal(cluster: Cluster, topic: str) -> str:
    """What a thief is told; asked again where the connection of a busy cluster ended before its answer."""
    for _ in range(20):
        async with open_broker(cluster.client(THIEF), client_id=THIEF) as thief:
            await connected(thief)
            try:
                await thief.subscribe(topic)
            except UnavailableError as refused:
                return str(refused)
    pytest.fail("it was granted, or never answered")


async def test_a_box_speaks_for_itself_only(cluster: Cluster) -> None:
    """Its own topics are taken, another's and unnamed ones refused; what others say is not for it to hear."""
    assert await _answer(cluster, THIEF, _message(THIEF, "own")) in ACCEPTED
    assert await _answer(cluster, THIEF, _message(BOX, "another's")) == NOT_AUTHORISED
    assert await _answer(cluster, THIEF, _message(THIEF, "no such topic", kind="filling")) == NOT_AUTHORISED
    foreign = (
        "edge-scanner/v1/d/+/up/counts",
        f"edge-scanner/v1/d/{BOX}/down/#",
        "#",
        "$share/x/edge-scanner/v1/d/+/up/#",
    )
    for topic in foreign:
        assert "refuses the subscription" in await _refusal(cluster, topic)
    assert bindings(cluster, THIEF) == 0


async def test_the_name_is_the_certificate_s(cluster: Cluster) -> None:
    """Whoever calls himself something else than his certificate does is not let in, so nobody is thrown off."""
    async with open_broker(cluster.client(BOX), client_id=BOX) as box:
        await connected(box)
        async with open_broker(cluster.client(THIEF), client_id=BOX) as thief:
            await until(lambda: thief.state.trouble is not Trouble.NONE)
            assert not thief.is_connected
        assert (box.is_connected, box.connections_total) == (True, 1)


async def test_a_revoked_box_is_out_and_nothing_of_it_is_left(cluster: Cluster) -> None:
    """The live session ends, its queue goes, and the certificate opens nothing any more; others go on."""
    name = "ZYXWVTSRQP"
    await asyncio.to_thread(cluster.permit, [name])
    async with AsyncExitStack() as stack:
        link = cluster.client(name)
        revoked = await stack.enter_async_context(open_broker(link, client_id=name))
        await connected(revoked)
        await revoked.subscribe(f"edge-scanner/v1/d/{name}/down/#")
        await until(lambda: f"mqtt-subscription-{name}qos1" in cluster.control("list_queues", "name"))
        await asyncio.to_thread(cluster.revoke, name)
        await until(lambda: not revoked.is_connected and revoked.state.trouble is Trouble.NOT_AUTHORISED)

        assert name not in cluster.control("list_queues", "name")
        assert name not in cluster.control("list_users")
        assert await _answer(cluster, BOX, _message(BOX, "others go on")) in ACCEPTED


async def test_what_is_retained_is_kept_for_later(cluster: Cluster) -> None:
    """The newest message reaches who asks later for exactly this topic, at the node that took it."""
    async with open_broker(cluster.client(BOX), client_id=BOX) as box:
        await connected(box)
        for word in ("older", "newer"):
            assert await box.publish(_message(BOX, word, kind="status", retain=True)) in ACCEPTED
    await asyncio.to_thread(cluster.permit, [TAIL])
    async with open_broker(cluster.client(TAIL), client_id=TAIL, session_s=0) as tail:
        await connected(tail)
        await tail.subscribe(_message(BOX, "", kind="status").topic)
        async with asyncio.timeout(PATIENCE_S):
            incoming = await anext(tail.messages())

    assert (incoming.payload, incoming.retained) == (b"newer", True)


async def test_a_full_session_refuses_and_loses_nothing(cluster: Cluster) -> None:
    """What finds no room is refused, so the box says it again until it is accepted, and everything comes."""
    await asyncio.to_thread(cluster.permit, [SECOND])
    if bindings(cluster):  # a collector that is away and full has everybody's messages refused
        await asyncio.to_thread(cluster.control, "delete_queue", f"mqtt-subscription-{COLLECTOR}qos1")
    topic, queue = _message(BOX, "").topic, f"mqtt-subscription-{SECOND}qos1"
    async with open_broker(cluster.client(SECOND), client_id=SECOND, at_once=5) as collector:
        await connected(collector)
        await collector.subscribe(topic)
    assert '{<<"max-length">>, 200000}' in _bound(cluster, queue)
    few = ["^mqtt-", '{"max-length": 5, "overflow": "reject-publish"}', "--apply-to", "queues"]
    await asyncio.to_thread(cluster.control, "set_policy", "sessions", *few)
    await until(lambda: '{<<"max-length">>, 5}' in _bound(cluster, queue))
    said = [str(number) for number in range(20)]
    async with open_broker(cluster.client(BOX), client_id=BOX) as box:
        await connected(box)
        answers = {word: await box.publish(_message(BOX, word)) for word in said}
        refused = [word for word, answer in answers.items() if answer not in ACCEPTED]
        assert refused
        assert await box.publish(_message(BOX, "x" * 300_000)) == TOO_LARGE
        async with open_broker(cluster.client(SECOND), client_id=SECOND, at_once=5) as collector:
            await collector.subscribe(topic)
            heard = asyncio.create_task(_hear(collector, len(said)))
            for word in refused:
                await _accepted(box, _message(BOX, word))
            assert await heard == set(said)
        assert box.connections_total == 1
    await asyncio.to_thread(cluster.permit, [SECOND])


def _bound(cluster: Cluster, queue: str) -> str:
    """What holds for a session's queue, in RabbitMQ's words."""
    said = cluster.control("list_queues", "name", "effective_policy_definition").splitlines()
    return next(line for line in said if line.split()[0] == queue)


async def _hear(broker: Broker, count: int) -> set[str]:
    """So many different payloads."""
    heard: set[str] = set()
    async with asyncio.timeout(PATIENCE_S):
        while len(heard) < count:
            for one in await broker.take(5, 1.0):
                heard.add(one.message.payload.decode())
                one.acknowledge()
    return heard
