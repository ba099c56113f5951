"""Every committed message arrives: late, restarted and refusing brokers, and a box that is killed again and again."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.model import Batch, ClockQuality, ClockReading, Message, MessageKind
from edge_scanner.device.central import outbox
from edge_scanner.device.central.outbox import Deliveries, deliver
from edge_scanner.device.storage.store import Store, open_store
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.broker import Broker, open_broker
from edge_scanner.mqtt.connection import IN_FLIGHT
from tests.support.memory_broker import MemoryCentre
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_proxy import MqttProxy
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

UP = "edge-scanner/v1/d/K7MP2R9CX4/up"
NOW = 1_795_507_803.0
FAST = 5000.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnects and retries that do not wait for seconds."""
    monkeypatch.setattr(brokerlink, "RECONNECT_MIN_S", 0.02)
    monkeypatch.setattr(brokerlink, "RECONNECT_MAX_S", 0.1)
    monkeypatch.setattr(outbox, "REFUSED_PAUSE_S", 0.05)
    monkeypatch.setattr(outbox, "RETRY_FIRST_S", 0.2)


def _clock(quality: ClockQuality = ClockQuality.NTP, at_s: float = NOW) -> Callable[[], ClockReading]:
    return lambda: ClockReading(utc_s=at_s, monotonic_s=0.0, quality=quality)


def _message(key: str, *, kind: MessageKind = MessageKind.COUNTS, expires_s: float | None = None) -> Message:
    return Message(
        kind=kind, topic=f"{UP}/{kind}", payload=key.encode(), key=key, created_s=NOW - 60, expires_s=expires_s
    )


class Box:
    """A store and what fills it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.changed = asyncio.Event()
        self.deliveries = Deliveries()
        self.delivering: asyncio.Task[None] | None = None

    async def commit(self, *messages: Message) -> None:
        """As the daemon does once a minute."""
        await self.store.commit(Batch(messages=messages))
        self.changed.set()

    async def empty(self) -> None:
        """Return once the outbox is empty."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.store.outbox_size():  # noqa: ASYNC110 (the outbox empties in its own task)
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def deliver(
        self, broker: Broker, *, per_s: float = FAST, trusted: Callable[[], float] = lambda: NOW
    ) -> AsyncIterator[None]:
        """The outbox at work; its failure is the test's."""
        self.delivering = asyncio.create_task(
            deliver(
                self.store,
                broker,
                changed=self.changed,
                clock=lambda: NOW,
                trusted=trusted,
                deliveries=self.deliveries,
                per_s=per_s,
            )
        )
        try:
            yield
        finally:
            self.delivering.cancel()
            with suppress(asyncio.CancelledError):
                await self.delivering


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    """A box with an empty database."""
    async with open_store(tmp_path / "box.db") as store:
        yield Box(store)


def _returned(reader: Broker, times: int) -> bool:
    """Whether this is the reader's connection number `times`, with its subscription acknowledged."""
    return reader.is_connected and reader.connections_total == times


class Collector:
    """Reads all that the boxes say; keys are the payloads of these tests."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @asynccontextmanager
    async def at(self, mosquitto: Mosquitto) -> AsyncIterator[Broker]:
        """Subscribed and acknowledged before the body begins."""
        async with open_broker(mosquitto.settings(), client_id="collector") as broker:
            await broker.subscribe("edge-scanner/#")
            async with asyncio.timeout(PATIENCE_S):
                await broker.connected()
            reading = asyncio.create_task(self._read(broker))
            try:
                yield broker
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading

    def has(self, number: int) -> bool:
        """Whether so many messages have come."""
        return len(self.seen) >= number

    async def quiet(self) -> None:
        """Return once nothing has come for a while: everything that the broker accepted is read."""
        seen = -1
        while seen != len(self.seen):
            seen = len(self.seen)
            await asyncio.sleep(0.3)

    async def _read(self, broker: Broker) -> None:
        async for incoming in broker.messages():
            self.seen.append(incoming.payload.decode())


async def test_late_broker(box: Box, tmp_path: Path) -> None:
    """What was committed before there was a broker arrives in order, and new commits follow at once."""
    collector = Collector()
    early = [f"early {number:02}" for number in range(50)]
    await box.commit(*(_message(key) for key in early))
    with Mosquitto(tmp_path, start=False) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id="box") as broker, box.deliver(broker):
            await asyncio.sleep(0.2)
            assert await box.store.outbox_size() == 50
            mosquitto.start()
            async with collector.at(mosquitto):
                await box.empty()
                await box.commit(_message("late"))
                await eventually(lambda: "late" in collector.seen)
                await box.empty()

    delivered = [key for key in collector.seen if key.startswith("early")]
    assert delivered == sorted(delivered)
    assert sum(box.deliveries.pubacks.values()) == 51
    assert set(box.deliveries.pubacks) <= {"accepted", "no_subscribers"}
    assert box.deliveries.last_contact_s == NOW


async def test_nobody_subscribed_is_counted(box: Box, tmp_path: Path) -> None:
    """A broker without a collector takes the messages; the counter tells that nobody read them."""
    await box.commit(*(_message(str(number)) for number in range(3)))
    with Mosquitto(tmp_path) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id="box") as broker, box.deliver(broker):
            await box.empty()

    assert box.deliveries.pubacks == {"no_subscribers": 3}


async def test_broker_killed_in_mid_stream(box: Box, tmp_path: Path) -> None:
    """A broker that is killed three times misses nothing; what it had not answered comes twice, with the same key.

    The answers are held back first, and the collector catches up: what a broker has answered and then loses with its
    memory is no box's to repeat.
    """
    collector = Collector()
    keys = [f"{number:03}" for number in range(300)]
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            collector.at(mosquitto) as reader,
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(port=wire.port), client_id="box") as broker,
            box.deliver(broker, per_s=200.0),
        ):
            for start in range(0, 300, 100):
                await box.commit(*(_message(key) for key in keys[start : start + 100]))
                await eventually(partial(collector.has, start + 10))
                wire.answering.clear()
                await eventually(lambda: wire.unanswered > 0)
                await collector.quiet()
                wire.closed = True
                wire.cut()
                mosquitto.restart()
                wire.answering.set()
                await eventually(partial(_returned, reader, start // 100 + 2))
                wire.closed = False
            await box.empty()
            await eventually(lambda: set(collector.seen) == set(keys))

    twice = [key for key, times in Counter(collector.seen).items() if times > 1]
    assert 3 <= len(twice) <= 3 * IN_FLIGHT


async def test_refused_row_waits_for_the_permission(box: Box, tmp_path: Path) -> None:
    """A refused message (0x87) stays in the outbox, the others pass it, and it arrives once the ACL is mended."""
    collector = Collector()
    await box.commit(
        _message("first"), _message("forbidden", kind=MessageKind.AUDIT), *(_message(f"{n}") for n in range(30))
    )
    with Mosquitto(tmp_path, acl=f"topic read edge-scanner/#\ntopic write {UP}/counts\n") as mosquitto:
        async with (
            collector.at(mosquitto),
            open_broker(mosquitto.settings(), client_id="box") as broker,
            box.deliver(broker),
        ):
            await eventually(lambda: len(collector.seen) == 31)
            await eventually(lambda: box.deliveries.pubacks.get("not_authorised", 0) > 1)
            assert [row.message.key for row in await box.store.oldest(10)] == ["forbidden"]

            mosquitto.set_acl(f"topic read edge-scanner/#\ntopic write {UP}/#\n")

            await box.empty()
            await eventually(lambda: "forbidden" in collector.seen)
    assert Counter(collector.seen).most_common(1)[0][1] == 1


async def test_refusals_slow_down(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that refuses everything is asked ever less often, one message at a time after the first window."""
    monkeypatch.setattr(outbox, "REFUSED_PAUSE_S", 0.01)
    centre = MemoryCentre()
    centre.denied.add("edge-scanner/#")
    await box.commit(*(_message(f"{number}") for number in range(30)))
    asked = []
    async with centre.open("box") as broker, box.deliver(broker):
        await eventually(lambda: box.deliveries.pubacks.get("not_authorised", 0) >= 30)
        for _ in range(3):
            await asyncio.sleep(0.4)
            asked.append(box.deliveries.pubacks.get("not_authorised", 0))

    assert 30 <= asked[0] <= 120
    assert asked[2] - asked[1] <= asked[0]
    assert await box.store.outbox_size() == 30


async def test_only_a_window_is_in_flight(box: Box) -> None:
    """However full the outbox, at most WINDOW messages are in memory and wait for an answer."""
    centre = MemoryCentre()
    await box.commit(*(_message(f"{number}") for number in range(200)))
    async with centre.open("box") as broker, box.deliver(broker):
        await box.empty()

    assert centre.max_unanswered <= outbox.WINDOW
    assert [message.key for message in centre.published] == [f"{number}" for number in range(200)]


async def test_backfill_is_paced(box: Box) -> None:
    """After an outage the first window goes at once, the rest at the given rate, so the fleet drowns nobody."""
    centre = MemoryCentre()
    await box.commit(*(_message(f"{number}") for number in range(outbox.WINDOW + 20)))
    async with centre.open("box") as broker:
        async with box.deliver(broker, per_s=1e-6):
            await eventually(lambda: len(centre.published) >= outbox.WINDOW)
        assert len(centre.published) == outbox.WINDOW
        await box.commit(*(_message(f"more {number}") for number in range(outbox.WINDOW)))
        started = time.monotonic()
        async with box.deliver(broker, per_s=50.0):
            await box.empty()

    assert time.monotonic() - started >= 20 / 50.0


async def test_expired_rows_are_dropped_and_counted(box: Box) -> None:
    """What is past its time is not sent; what never expires and what still has time is."""
    centre = MemoryCentre()
    await box.commit(_message("late", expires_s=NOW - 1), _message("timely", expires_s=NOW + 60), _message("for ever"))
    async with centre.open("box") as broker, box.deliver(broker):
        await box.empty()

    assert [message.key for message in centre.published] == ["timely", "for ever"]
    assert box.deliveries.expired == 1


async def test_nothing_expires_by_a_clock_that_is_not_trusted(box: Box) -> None:
    """A clock that is ahead of trusted time throws nothing away."""
    centre = MemoryCentre()
    await box.commit(_message("perhaps late", expires_s=NOW - 1))
    async with centre.open("box") as broker, box.deliver(broker, trusted=lambda: NOW - 2):
        await box.empty()

    assert [message.key for message in centre.published] == ["perhaps late"]


async def test_cancelled_in_the_middle_loses_nothing(box: Box) -> None:
    """Deliveries that are cancelled at any moment leave every unanswered row in the outbox."""
    centre = MemoryCentre()
    keys = [f"{number:03}" for number in range(100)]
    await box.commit(*(_message(key) for key in keys))
    dice = random.Random(2)
    for _ in range(20):
        async with centre.open("box") as broker, box.deliver(broker, per_s=1000.0):
            await asyncio.sleep(dice.random() * 0.02)
    async with centre.open("box") as broker, box.deliver(broker):
        await box.empty()

    assert {message.key for message in centre.published} == set(keys)


@pytest.mark.slow
async def test_box_killed_twenty_times(tmp_path: Path) -> None:
    """A box that is SIGKILLed at twenty random moments, twice without a broker: every committed message arrives."""
    database = tmp_path / "box.db"
    collector = Collector()
    dice = random.Random(20)
    committed: list[str] = []
    with Mosquitto(tmp_path) as mosquitto:
        for run in range(20):
            if run in (7, 13):
                mosquitto.kill()
                committed += await _run_and_kill(database, mosquitto.port, run, after_s=0.1 + dice.random() * 0.3)
                mosquitto.start()
                continue
            async with collector.at(mosquitto):
                committed += await _run_and_kill(database, mosquitto.port, run, after_s=0.1 + dice.random() * 0.3)
                await collector.quiet()
        async with collector.at(mosquitto):
            child = await _spawn(database, mosquitto.port, -1)
            try:
                await eventually(lambda: set(committed) <= set(collector.seen))
            finally:
                child.kill()
                await child.wait()

    assert len(committed) > 100
    assert set(collector.seen) >= set(committed)


async def _spawn(database: Path, port: int, run: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.outbox_child",
        str(database),
        str(port),
        str(run),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[4],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


async def _run_and_kill(database: Path, port: int, run: int, *, after_s: float) -> list[str]:
    """Keys that the child had committed before it was killed, `after_s` after its first commit."""
    child = await _spawn(database, port, run)
    assert child.stdout is not None
    first = (await asyncio.wait_for(child.stdout.readline(), PATIENCE_S)).decode().strip()
    await asyncio.sleep(after_s)
    child.kill()
    rest = (await child.stdout.read()).decode().split()
    await child.wait()
    return [first, *rest]
