"""What the rest of the box may expect of a broker: one suite, the in-memory stand-in and a real mosquitto."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.broker import Broker, Trouble, open_broker
from edge_scanner.mqtt.connection import IN_FLIGHT
from tests.support.memory_broker import MemoryCentre
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

ACL = "topic deny secret/#\ntopic readwrite #\n"


class World(Protocol):
    """A broker that can be stopped, and clients of it."""

    def open(
        self, client_id: str, *, will: Message | None = None, birth: Callable[[], Message] | None = None
    ) -> AbstractAsyncContextManager[Broker]:
        """A client."""

    def stop(self) -> None:
        """Break every connection."""

    def start(self) -> None:
        """Listen again."""


class RealWorld:
    """mosquitto."""

    def __init__(self, process: Mosquitto) -> None:
        self._process = process
        self.stop = process.kill
        self.start = process.start

    def open(
        self, client_id: str, *, will: Message | None = None, birth: Callable[[], Message] | None = None
    ) -> AbstractAsyncContextManager[Broker]:
        """A client over loopback."""
        return open_broker(self._process.settings(), client_id=client_id, will=will, birth=birth)


@pytest.fixture(params=["memory", "mosquitto"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both implementations, with reconnects that do not wait a second."""
    monkeypatch.setattr(brokerlink, "RECONNECT_MIN_S", 0.02)
    monkeypatch.setattr(brokerlink, "RECONNECT_MAX_S", 0.1)
    if request.param == "memory":
        centre = MemoryCentre()
        centre.denied.add("secret/#")
        yield centre
        return
    with Mosquitto(tmp_path, acl=ACL, options="max_packet_size 70000") as process:
        yield RealWorld(process)


def _message(text: str, *, topic: str = "edge-scanner/up", qos: int = 1, retain: bool = False) -> Message:
    return Message(
        kind=MessageKind.COUNTS,
        topic=topic,
        payload=text.encode(),
        key=text,
        qos=qos,
        retain=retain,
        created_s=0.0,
    )


async def _read(broker: Broker, number: int) -> list[tuple[str, bytes]]:
    """The next `number` messages."""
    found: list[tuple[str, bytes]] = []
    async with asyncio.timeout(PATIENCE_S):
        async for incoming in broker.messages():
            found.append((incoming.topic, incoming.payload))
            if len(found) == number:
                break
    return found


async def _connected(broker: Broker) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await broker.connected()


async def test_nobody_listens(world: World) -> None:
    """A message without a subscriber is accepted with code 16."""
    async with world.open("box") as box:
        await _connected(box)

        assert await box.publish(_message("alone")) == 0x10


async def test_somebody_listens(world: World) -> None:
    """A message with a subscriber is accepted with code 0 and reaches it with its properties."""
    async with world.open("box") as box, world.open("centre") as centre:
        await _connected(box)
        await _connected(centre)
        await centre.subscribe("edge-scanner/#")

        code = await box.publish(_message("hello"), response_topic="edge-scanner/answers", correlation=b"\0\xff")

        assert code == 0
        incoming = await asyncio.wait_for(anext(centre.messages()), PATIENCE_S)
        assert (incoming.topic, incoming.payload, incoming.retained) == ("edge-scanner/up", b"hello", False)
        assert (incoming.response_topic, incoming.correlation) == ("edge-scanner/answers", b"\0\xff")


async def test_expiry_travels(world: World) -> None:
    """A message with an end carries the seconds that are left, one without carries none."""
    async with world.open("centre") as centre, world.open("box") as box:
        await _connected(centre)
        await _connected(box)
        await centre.subscribe("edge-scanner/#")
        mortal = Message(
            kind=MessageKind.HEALTH,
            topic="edge-scanner/up",
            payload=b"mortal",
            key="mortal",
            created_s=time.time(),
            expires_s=time.time() + 600,
        )

        await box.publish(mortal)
        await box.publish(_message("immortal"))

        messages = centre.messages()
        first = await asyncio.wait_for(anext(messages), PATIENCE_S)
        second = await asyncio.wait_for(anext(messages), PATIENCE_S)
        assert first.expiry_s is not None
        assert 590 <= first.expiry_s <= 600
        assert second.expiry_s is None


async def test_refused_publish(world: World) -> None:
    """A topic that the permissions forbid is answered with 0x87, and the connection lives on."""
    async with world.open("box") as box:
        await _connected(box)

        assert await box.publish(_message("psst", topic="secret/x")) == 0x87
        assert await box.publish(_message("hello")) == 0x10


async def test_too_large(world: World) -> None:
    """A message beyond the broker's limit is refused with 0x95 instead of ending the connection."""
    async with world.open("box") as box:
        await _connected(box)

        assert await box.publish(_message("x" * 70_000)) == 0x95
        assert await box.publish(_message("hello")) == 0x10


async def test_quality_zero(world: World) -> None:
    """QoS 0 is answered at once and arrives."""
    async with world.open("box") as box, world.open("centre") as centre:
        await _connected(box)
        await _connected(centre)
        await centre.subscribe("edge-scanner/#")

        assert await box.publish(_message("light", qos=0)) == 0
        assert await _read(centre, 1) == [("edge-scanner/up", b"light")]


async def test_order_is_kept(world: World) -> None:
    """Many at once arrive in the order in which they were handed over, all answered."""
    async with world.open("box") as box, world.open("centre") as centre:
        await _connected(box)
        await _connected(centre)
        await centre.subscribe("edge-scanner/#")
        names = [f"{number:03}" for number in range(3 * IN_FLIGHT // 2)]

        reading = asyncio.create_task(_read(centre, len(names)))
        codes = await asyncio.gather(*(box.publish(_message(name)) for name in names))

        assert set(codes) == {0}
        assert [payload.decode() for _, payload in await reading] == names


async def test_offline_publish_is_an_error_and_never_sent(world: World) -> None:
    """Without a connection a publish fails at once, says where, and nothing of it appears later."""
    world.stop()
    async with world.open("box") as box:
        with pytest.raises(UnavailableError, match="not connected"):
            await box.publish(_message("lost"))
        assert not box.is_connected
        world.start()
        async with world.open("centre") as centre:
            await _connected(box)
            await _connected(centre)
            await centre.subscribe("edge-scanner/#")

            await box.publish(_message("after"))

            assert await _read(centre, 1) == [("edge-scanner/up", b"after")]


async def test_reason_is_kept(world: World) -> None:
    """Why there is no connection can be read, with a code for the technician."""
    world.stop()
    async with world.open("box") as box:
        await eventually(lambda: box.state.trouble is not Trouble.NONE)

        assert not box.state.connected
        assert box.state.trouble is Trouble.UNREACHABLE
        assert box.state.detail.startswith("the broker cannot be reached")


async def test_reconnect_brings_birth_and_subscriptions(world: World) -> None:
    """After a broken connection the birth is sent again first, and subscriptions work without being asked for again."""
    births = iter(range(100))

    def birth() -> Message:
        return _message(f"birth {next(births)}", topic="edge-scanner/status", retain=True)

    async with world.open("box", birth=birth) as box:
        await _connected(box)
        await box.subscribe("edge-scanner/down/#")
        first = box.connections_total
        world.stop()
        await eventually(lambda: not box.is_connected)
        world.start()
        await _connected(box)
        async with world.open("centre") as centre:
            await _connected(centre)
            await centre.subscribe("edge-scanner/status")

            code = await centre.publish(_message("order", topic="edge-scanner/down/order"))

            assert code == 0
            assert await _read(box, 1) == [("edge-scanner/down/order", b"order")]
            (_, status) = (await _read(centre, 1))[0]
            assert (first, box.connections_total) == (1, 2)
            assert status == b"birth 1"


async def test_subscribe_before_there_is_a_connection(world: World) -> None:
    """A subscription may be asked for while offline; it is in force once connected."""
    world.stop()
    async with world.open("box") as box:
        await box.subscribe("edge-scanner/down/#")
        world.start()
        await _connected(box)

        assert await box.publish(_message("to myself", topic="edge-scanner/down/x")) == 0
        assert await _read(box, 1) == [("edge-scanner/down/x", b"to myself")]


async def test_retained_reaches_the_late(world: World) -> None:
    """The last retained message of a topic reaches who subscribes later, marked as such."""
    async with world.open("box") as box, world.open("centre") as centre:
        await _connected(box)
        await _connected(centre)
        await box.publish(_message("old", retain=True))
        await box.publish(_message("new", retain=True))

        await centre.subscribe("edge-scanner/#")

        incoming = await asyncio.wait_for(anext(centre.messages()), PATIENCE_S)
        assert (incoming.payload, incoming.retained) == (b"new", True)


async def test_orders_wait_for_a_box_that_is_away(world: World) -> None:
    """What is sent to a subscribed box while it is away is accepted with 0 and waits for its return."""
    async with world.open("centre") as centre:
        await _connected(centre)
        async with world.open("box") as box:
            await _connected(box)
            await box.subscribe("edge-scanner/down/#")

        assert await centre.publish(_message("wait for me", topic="edge-scanner/down/x")) == 0
        assert await centre.publish(_message("nobody", topic="edge-scanner/other")) == 0x10
        async with world.open("box") as box:
            assert await _read(box, 1) == [("edge-scanner/down/x", b"wait for me")]


async def test_publishers_fail_when_the_connection_breaks(world: World) -> None:
    """Publishing on and on through a broken connection ends in UnavailableError, never in silence."""

    async def on_and_on(box: Broker) -> None:
        while True:
            await box.publish(_message("more"))

    async with world.open("box") as box:
        await _connected(box)
        publishers = [asyncio.create_task(on_and_on(box)) for _ in range(2 * IN_FLIGHT)]
        await asyncio.sleep(0.05)
        world.stop()

        done, late = await asyncio.wait(publishers, timeout=PATIENCE_S)

        assert not late
        assert {type(task.exception()) for task in done} == {UnavailableError}


async def test_cancelled_publish_leaves_no_hole(world: World) -> None:
    """Publishers that are cancelled in the middle give their places back: as many as before can follow."""
    async with world.open("box") as box:
        await _connected(box)
        for _ in range(3):
            tasks = [asyncio.create_task(box.publish(_message("never mind"))) for _ in range(IN_FLIGHT)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

        codes = await asyncio.wait_for(
            asyncio.gather(*(box.publish(_message("x")) for _ in range(2 * IN_FLIGHT))), PATIENCE_S
        )

        assert set(codes) == {0x10}


async def test_will_is_left_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches the status of a box that has left reads its will, and later ones read it, too."""
    monkeypatch.setattr("edge_scanner.mqtt.connection.WILL_DELAY_S", 1)
    will = _message("offline", topic="edge-scanner/status", retain=True)
    async with world.open("centre") as centre:
        await _connected(centre)
        await centre.subscribe("edge-scanner/status")
        async with world.open(
            "box", will=will, birth=lambda: _message("online", topic="edge-scanner/status", retain=True)
        ):
            assert await _read(centre, 1) == [("edge-scanner/status", b"online")]

        assert await _read(centre, 1) == [("edge-scanner/status", b"offline")]


async def test_leaving_is_quick(world: World) -> None:
    """Leaving waits for nobody, connected or not, and the state says that there is no connection."""
    for running in (True, False):
        async with world.open("box") as box:
            if running:
                await _connected(box)
        assert not box.is_connected
        world.stop()
