"""What an MQTT connection carries, on mosquitto and broken wires: wills, windows, subscriptions, a slow reader."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import UnavailableError
from edge_scanner.mqtt import brokerlink, connection, uplink
from edge_scanner.mqtt.broker import Broker, Trouble, open_broker
from edge_scanner.mqtt.connection import IN_FLIGHT
from edge_scanner.mqtt.uplink import INBOX
from tests.support.box_client import BOX, connected, impatient, message
from tests.support.memory_broker import MemoryCentre
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_proxy import MqttProxy
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import Message


quick = pytest.fixture(autouse=True)(impatient)


async def test_will_without_version_5(tmp_path: Path) -> None:
    """MQTT 3.1.1 has no goodbye that leaves the will behind, so the box says it before it goes."""
    will = message("offline", topic="status", retain=True)
    with Mosquitto(tmp_path) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id="centre") as centre:
            await centre.subscribe("status")
            await connected(centre)
            async with open_broker(mosquitto.settings(protocol="3.1.1"), client_id=BOX, will=will) as box:
                await connected(box)

            incoming = await asyncio.wait_for(anext(centre.messages()), PATIENCE_S)

            assert incoming.payload == b"offline"


async def test_will_waits_for_a_box_that_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wire that breaks for less than the will delay is never announced; one that stays broken is."""
    monkeypatch.setattr(connection, "WILL_DELAY_S", 1)
    will = message("offline", topic="status", retain=True)
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(), client_id="centre") as centre,
            open_broker(
                mosquitto.settings(port=wire.port),
                client_id=BOX,
                will=will,
                birth=lambda: message("online", topic="status", retain=True),
            ) as box,
        ):
            await connected(box)
            await centre.subscribe("status")
            await connected(centre)
            wire.cut()
            await eventually(lambda: box.connections_total == 2)
            await asyncio.sleep(1.5)
            wire.closed = True
            wire.cut()
            seen: list[bytes] = []
            async with asyncio.timeout(PATIENCE_S):
                async for incoming in centre.messages():
                    seen.append(incoming.payload)
                    if incoming.payload == b"offline":
                        break

    assert seen == [b"online", b"online", b"offline"]


async def test_at_most_twenty_unanswered_on_the_wire(tmp_path: Path) -> None:
    """However many publish at once, the wire never carries more than IN_FLIGHT messages without an answer."""
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port) as wire:
            async with open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box:
                await connected(box)
                wire.answering.clear()
                tasks = [asyncio.create_task(box.publish(message(str(number)))) for number in range(5 * IN_FLIGHT)]
                await eventually(lambda: wire.unanswered == IN_FLIGHT)
                await asyncio.sleep(0.1)
                wire.answering.set()

                codes = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

            assert set(codes) == {0x10}
            assert wire.max_unanswered == IN_FLIGHT


async def test_smaller_receive_maximum_is_honoured(tmp_path: Path) -> None:
    """A broker that announces room for five gets five at a time."""
    with Mosquitto(tmp_path, options="max_inflight_messages 5") as mosquitto:
        async with MqttProxy(mosquitto.port) as wire:
            async with open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box:
                await connected(box)
                wire.answering.clear()
                tasks = [asyncio.create_task(box.publish(message(str(number)))) for number in range(IN_FLIGHT)]
                await eventually(lambda: wire.unanswered == 5)
                await asyncio.sleep(0.1)
                wire.answering.set()

                await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

            assert wire.max_unanswered == 5


async def test_silent_broker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers nothing more is given up after ANSWER_S, and the connection is made anew."""
    monkeypatch.setattr(uplink, "ANSWER_S", 0.3)
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box,
        ):
            await connected(box)
            wire.answering.clear()

            with pytest.raises(UnavailableError, match="no answer"):
                await box.publish(message("hello?"))

            wire.answering.set()
            await eventually(lambda: box.connections_total == 2)
            assert await box.publish(message("again")) == 0x10


async def test_goodbye_of_the_broker_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that throws a box off says why: here another client has the same name, as a cloned card would.

    The wire says it, because mosquitto 2.0.11 closes without a word.
    """
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box,
        ):
            await connected(box)
            monkeypatch.setattr(brokerlink, "RECONNECT_MIN_S", 30.0)

            wire.say(b"\xe0\x01\x8e")

            await eventually(lambda: not box.state.connected)
            assert box.state.trouble is Trouble.TAKEN_OVER
            assert box.state.detail == "another client connected under our name (0x8e)"


async def test_refused_birth_is_told(tmp_path: Path) -> None:
    """A box whose own status is refused is connected, and says that something is wrong."""
    with Mosquitto(tmp_path, acl="topic write elsewhere/#\n") as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX, birth=lambda: message("online")) as box:
            await connected(box)

            assert (box.state.connected, box.state.trouble) == (True, Trouble.NOT_AUTHORISED)


async def test_refused_subscription_is_told(tmp_path: Path) -> None:
    """A broker that refuses a subscription is an error for who asks, and a trouble after every reconnect."""
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box,
        ):
            await connected(box)
            wire.granting = False

            with pytest.raises(UnavailableError, match="refuses the subscription"):
                await box.subscribe("down/#")

            wire.cut()
            await eventually(lambda: box.state.trouble is Trouble.NOT_AUTHORISED)
            assert box.state.connected


async def test_subscription_that_the_wire_cuts_short_is_remembered() -> None:
    """A connection that ends before the subscription is acknowledged is no error: the next one asks again."""
    centre = MemoryCentre()
    async with centre.open(BOX) as box, centre.open("centre") as other:
        await connected(box)
        centre.answering.clear()
        asking = asyncio.create_task(box.subscribe("down/#"))
        await asyncio.sleep(0.05)

        centre.stop()
        await asking
        centre.start()

        await connected(box)
        await connected(other)
        assert await other.publish(message("order", topic="down/x")) == 0


async def test_subscriptions_during_the_greeting(tmp_path: Path) -> None:
    """Subscriptions that are asked for while the box connects are all in force once it is connected."""
    with Mosquitto(tmp_path) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX) as box:
            await box.subscribe("down/first")
            asking = [asyncio.create_task(_ask_later(box, number)) for number in range(50)]
            await asyncio.gather(*asking)
            await connected(box)

            assert {await box.publish(message("x", topic=f"down/{number}")) for number in range(50)} == {0}


async def _ask_later(box: Broker, number: int) -> None:
    """At a moment somewhere around the handshake."""
    await asyncio.sleep(number / 5000)
    await box.subscribe(f"down/{number}")


async def test_reader_that_is_slow_loses_nothing(tmp_path: Path) -> None:
    """Orders beyond the inbox stay with the broker until the reader takes the first ones."""
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            open_broker(mosquitto.settings(), client_id=BOX) as box,
            open_broker(mosquitto.settings(), client_id="centre") as centre,
        ):
            await box.subscribe("down/#")
            await connected(box)
            await connected(centre)
            orders = [f"{number:03}" for number in range(3 * INBOX)]
            for order in orders:
                await centre.publish(message(order, topic="down/x"))
            await asyncio.sleep(0.2)
            seen = []

            async with asyncio.timeout(PATIENCE_S):
                async for incoming in box.messages():
                    seen.append(incoming.payload.decode())
                    if len(seen) == len(orders):
                        break

            assert seen == orders
            assert box.dropped_total == 0


async def test_offline_costs_no_memory(tmp_path: Path) -> None:
    """Ten thousand publishes without a broker leave nothing behind in memory."""
    with Mosquitto(tmp_path, start=False) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX) as box:
            large = message("x" * 1000)
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(10_000):
                with pytest.raises(UnavailableError):
                    await box.publish(large)
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()

    assert after - before < 200_000


async def test_our_own_failure_is_not_hidden(tmp_path: Path) -> None:
    """A birth that cannot be made crashes whoever uses the broker, instead of a box that is silently offline."""

    def birth() -> Message:
        raise ZeroDivisionError

    with Mosquitto(tmp_path) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX, birth=birth) as box:
            with pytest.raises(ZeroDivisionError):
                await connected(box)
            with pytest.raises(ZeroDivisionError):
                await box.publish(message("x"))
