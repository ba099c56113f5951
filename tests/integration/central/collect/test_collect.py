"""The collector on the shipped broker: what boxes say is kept once, whatever else happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from edge_scanner.central.collect import allowance, fleet
from edge_scanner.central.store.model import Reason
from edge_scanner.central.store.store import open_store
from edge_scanner.core.enrolment.box_list import Box
from edge_scanner.core.messages import KINDS
from edge_scanner.mqtt.broker import open_broker
from tests.support.box_client import connected
from tests.support.box_lists import write_boxes
from tests.support.collecting import NAME, Centre, centre, running, subscribed, until
from tests.support.postgres import Postgres
from tests.support.publishing import SITE, Publisher
from tests.support.sealed_logs import HOUR_S

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.central.store.store import Store
    from edge_scanner.core.model import Message

NEIGHBOUR = "K7MP2R9CX4"


def kept(store: Store) -> list[int]:
    """The bins that are kept, in order."""
    return [row["bin_start"] for row in store.read.releases(0, 1 << 40)]


async def test_what_boxes_say_arrives_once_and_proven(tmp_path: Path) -> None:
    """A day of a box over the shipped broker: every bin, every statement, a proven head, nothing set aside."""
    box = Publisher()
    with centre(tmp_path, box) as there:
        box.hours(6)
        box.restart()
        box.hours(2)
        async with there.collecting(lambda: box.log.now_s + 10) as store:
            assert set(await there.publish(box.device, [*box.said, box.status()])) == {0}
            await there.publish(box.device, box.said)  # a repeat of all
            await until(lambda: store.read.tallies(0, 1 << 40).get("counts/repeat") == 8)

            assert len(kept(store)) == 8
            head = store.read.heads()[box.device]
            assert (head.proven, head.size) == (True, box.log.log.extension().size)
            assert store.read.fleet()[0].status["software"] == "0.2.0"
            assert (store.read.alarms(), store.read.aside(None, 0, 10)) == ((), [])


async def test_one_certificate_writes_nobody_elses_future(tmp_path: Path) -> None:
    """A box that speaks about another, on its own topic, about coming hours: nothing of it becomes a figure."""
    box, thief = Publisher(), Publisher(NEIGHBOUR)
    with centre(tmp_path, box, thief) as there:
        box.hours(1)
        async with there.collecting(lambda: box.log.now_s + 10) as store:
            forged = []
            for hour in range(3):
                counts = box.counts(HOUR_S + 3600 * hour, nearby=99_999)
                own = counts.topic.replace(box.device, thief.device)
                forged.append(replace(counts, topic=own))
                body = json.loads(counts.payload) | {"device": thief.device}
                forged.append(replace(counts, topic=own, payload=json.dumps(body).encode()))
            link = {"at": 1, "device": box.device, "kind": "counts", "link": {"segment": 999_999, "link": "00" * 32}}
            forged.append(replace(forged[0], payload=json.dumps(link).encode()))
            await there.publish(thief.device, forged)
            honest = box.counts(HOUR_S)
            await there.publish(box.device, [honest])
            await until(lambda: kept(store))

            assert [row["figures"]["nearby"] for row in store.read.releases(0, 1 << 40)] == [600]
            reasons = {row.reason for _, row in store.read.aside(None, 0, 100)}
            assert reasons <= {Reason.TOPIC, Reason.SCHEMA, Reason.KEY}
            assert sum(count for name, count in store.read.tallies(0, 1 << 40).items() if "aside" in name) == 7
            assert store.read.alarms() == ()


async def test_one_certificate_fills_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thief who says new things without end: his day's measure is kept, an alarm names him, others are heard."""
    monkeypatch.setattr(allowance, "A_DAY", 20)
    box, thief, newcomer = Publisher(), Publisher(NEIGHBOUR), Publisher("AAAAAAAA01")
    with centre(tmp_path, box, thief) as there:
        async with there.collecting(lambda: HOUR_S + 3700) as store:
            await there.publish(newcomer.device, [newcomer.counts(HOUR_S)])
            said = [thief.counts(HOUR_S - second) for second in range(40)]
            junk = [replace(said[0], payload=b"%d" % number) for number in range(20)]
            await there.publish(thief.device, [*said, *junk])
            await there.publish(box.device, [box.counts(HOUR_S)])
            await until(lambda: store.read.tallies(0, 1 << 40).get("counts/new") == 21)

            (alarm,) = store.read.alarms()
            assert (alarm.alarm.kind, alarm.alarm.device) == ("flood", thief.device)
            assert store.read.tallies(0, 1 << 40)["beyond"] == 40
            assert [row.reason for _, row in store.read.aside(None, 0, 100)] == [Reason.UNLISTED]


async def test_the_sites_of_the_list_are_used(tmp_path: Path) -> None:
    """A box cannot add its figures to another site by naming it."""
    box = Publisher()
    with centre(tmp_path, box) as there:
        body = json.loads(box.counts(HOUR_S).payload) | {"site": "cho-ben-thanh"}
        async with there.collecting(lambda: HOUR_S + 3700) as store:
            await there.publish(box.device, [replace(box.counts(HOUR_S), payload=json.dumps(body).encode())])
            await until(lambda: kept(store))

            assert [row["site"] for row in store.read.releases(0, 1 << 40)] == [SITE]


def test_the_plan_says_how_a_site_adds_up(tmp_path: Path) -> None:
    """The rule of the signed list reaches the centre's sites; a list that says nothing means rooms of their own."""
    places = (("hall", ""), ("hall", "same hall"), ("rooms", "separate"), ("old", ""))
    listed = write_boxes(
        tmp_path / "boxes.csv",
        [
            Box(device=f"K7MP2R9CX{number}", site=site, room="", name="A", identity=b"", hall_rule=rule)
            for number, (site, rule) in enumerate(places)
        ],
    )

    assert {site.site: site.rule for site in fleet.read(listed).sites} == {
        "hall": "same hall", "rooms": "separate", "old": "separate",
    }  # fmt: skip


async def test_a_box_that_is_listed_later_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it said before the list knew it is judged again, with its log."""
    monkeypatch.setattr("edge_scanner.central.collect.collector.LIST_S", 0.1)
    box, first = Publisher(), Publisher(NEIGHBOUR)
    with centre(tmp_path, first) as there:
        box.hours(3)
        async with there.collecting(lambda: box.log.now_s + 10) as store:
            await there.publish(box.device, box.said)
            await until(lambda: len(store.read.aside(Reason.UNLISTED, 0, 100)) == len(box.said))
            there.write_list([first, box])
            await until(lambda: len(kept(store)) == 3)
            await until(lambda: not store.read.aside(None, 0, 10))

            assert store.read.heads()[box.device].proven


async def test_a_broker_restart_silences_nobody(tmp_path: Path) -> None:
    """After a restart, in order or not, what boxes publish still arrives."""
    box = Publisher()
    with centre(tmp_path, box) as there:
        async with there.collecting(lambda: HOUR_S + 20 * 3600) as store:
            for hour, end in enumerate((there.broker.stop, there.broker.kill, there.broker.stop)):
                end()
                there.broker.start()
                assert await there.publish(box.device, [box.counts(HOUR_S + 3600 * hour)]) in ([0], [16])
                # Whether the collector was back in time decides the broker's answer: the box repeats what got 16.
                while len(kept(store)) <= hour:
                    await there.publish(box.device, [box.counts(HOUR_S + 3600 * hour)])
                    await asyncio.sleep(0.1)

            assert kept(store) == [HOUR_S, HOUR_S + 3600, HOUR_S + 7200]


async def test_a_broker_that_dies_after_its_word_takes_nothing_from_a_collector_that_is_there(tmp_path: Path) -> None:
    """Acknowledged is not yet on the disk: what waited for who is away may go, what was heard stays."""
    box = Publisher()
    hours = [HOUR_S + 3600 * hour for hour in range(4)]
    with centre(tmp_path, box) as there:
        async with there.collecting(lambda: HOUR_S + 20 * 3600, name="fleet-collector-2"):
            """It was there once, so the broker keeps messages for it."""
        async with there.collecting(lambda: HOUR_S + 20 * 3600) as store:
            assert await there.publish(box.device, [box.counts(hour) for hour in hours]) == [0] * 4
            there.broker.kill()
            await until(lambda: kept(store) == hours)


async def test_two_collectors_side_by_side(tmp_path: Path) -> None:
    """Each of two collectors hears everything; the tables have it once; one that ends takes nothing with it."""
    box = Publisher()
    with centre(tmp_path, box) as there:
        async with there.collecting(lambda: HOUR_S + 20 * 3600) as store:
            async with there.collecting(lambda: HOUR_S + 20 * 3600, name="fleet-collector-2"):
                await there.publish(box.device, [box.counts(HOUR_S + 3600 * hour) for hour in range(8)])
                await until(lambda: sum(store.read.tallies(0, 1 << 40).values()) == 16)
            await there.publish(box.device, [box.counts(HOUR_S + 3600 * hour) for hour in range(8, 12)])
            await until(lambda: len(kept(store)) == 12)

            assert store.read.tallies(0, 1 << 40) == {"counts/new": 12, "counts/repeat": 8}


async def test_two_collectors_share_the_kinds(tmp_path: Path) -> None:
    """One takes what witnesses the logs, the other the rest: together they have all of it, and accuse nobody."""
    box = Publisher()
    shares = {NAME: ("checkpoint", "boot", "audit"), "fleet-collector-2": ("counts", "health", "status")}
    with centre(tmp_path, box) as there, open_store(there.url) as store:
        async with contextlib.AsyncExitStack() as stack:
            for name, kinds in shares.items():
                ready = partial(lambda name, count: subscribed(there.broker, name) >= count, name, len(kinds))
                made = there.settings(name, kinds=kinds)
                here = running(made, store, lambda: box.log.now_s + 10, name=name, ready=ready)
                await stack.enter_async_context(here)
            box.hours(6)
            await there.publish(box.device, [*box.said, box.status()])
            await until(lambda: len(kept(store)) == 6 and box.device in store.read.heads())
            await until(lambda: store.read.heads()[box.device].size == box.log.log.extension().size)

            assert store.read.heads()[box.device].proven
            await until(lambda: _taken(store) == len(box.said) + 1)
            assert (store.read.alarms(), store.read.aside(None, 0, 10)) == ((), [])


async def _say(
    there: Centre, device: str, messages: list[Message], *, pause_s: float = 0.0, may: asyncio.Semaphore | None = None
) -> None:
    """As a box's outbox does: one after the other, each again until the broker has answered; each when it `may`."""
    async with open_broker(there.broker.settings(client=device), client_id=device) as box:
        for message in messages:
            if may is not None:
                await may.acquire()
            while True:
                await connected(box)
                try:
                    if await box.publish(message) == 0:
                        break
                except Exception:  # noqa: BLE001 (the connection ended: the message is repeated, as the outbox does)
                    await asyncio.sleep(0.05)
            await asyncio.sleep(pause_s)


def _taken(store: Store) -> int:
    """How many messages have been committed, repeats among them."""
    return sum(store.read.tallies(0, 1 << 40).values())


async def _another_commit(store: Store, before: int) -> None:
    await until(lambda: _taken(store) > before)


async def _killed(there: Centre, store: Store, boxes: list[Publisher], kills: int) -> None:
    """A collector that is killed `kills` times, each time after a commit and with messages on their way."""
    chance, half = random.Random(17), 6
    now_s = int(time.time()) // 3600 * 3600
    hours = 2 * half * kills
    may = {box.device: asyncio.Semaphore(0) for box in boxes}

    def go_on() -> None:
        for gate in may.values():
            for _ in range(half):
                gate.release()

    async with asyncio.TaskGroup() as tasks:
        for box in boxes:
            said = [box.counts(now_s - 3600 * n) for n in range(1, hours + 1)]
            tasks.create_task(_say(there, box.device, said, pause_s=0.01, may=may[box.device]))
        for _ in range(kills):
            before = await asyncio.to_thread(_taken, store)
            process = there.start()
            go_on()
            await _another_commit(store, before)
            go_on()
            await asyncio.sleep(chance.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
            process.wait()
    there.broker.stop()
    there.broker.start()
    before = subscribed(there.broker, NAME)
    process = there.start()
    # Everything may be kept by now: a program that is just being loaded has no handler for SIGTERM yet.
    await until(lambda: subscribed(there.broker, NAME) > before and len(kept(store)) == hours * len(boxes))
    assert store.read.aside(None, 0, 10) == []
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("sqlite", 12),
        ("postgresql", 12),
        pytest.param("sqlite", 100, marks=[pytest.mark.slow, pytest.mark.system]),  # it starts the program 100 times
    ],
)
async def test_a_collector_that_is_killed_again_and_again(tmp_path: Path, kind: str, kills: int) -> None:
    """SIGKILL under load again and again, then a restart of the broker: each acknowledged message is kept once."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(Postgres()).new_database() if kind == "postgresql" else ""
        boxes = [Publisher(), Publisher(NEIGHBOUR)]
        there = stack.enter_context(centre(tmp_path, *boxes, url=url))
        store = stack.enter_context(open_store(there.url))
        process = there.start()
        await until(lambda: store.read.boxes() and subscribed(there.broker, NAME) >= len(KINDS))
        process.send_signal(signal.SIGKILL)
        process.wait()
        await _killed(there, store, boxes, kills)


async def test_an_outage_of_the_database_costs_nothing(tmp_path: Path) -> None:
    """Thousands of messages while PostgreSQL is stopped: the broker holds them, and each is stored once."""
    boxes = [Publisher(), *(Publisher(f"K7MP2R9CX{digit}") for digit in "456")]
    hours = 1200
    with Postgres(durable=True) as server, centre(tmp_path, *boxes, url=server.new_database()) as there:
        async with there.collecting(lambda: HOUR_S + hours * 3600) as store:
            server.stop()
            answers = await asyncio.gather(
                *(there.publish(box.device, [box.counts(HOUR_S + 3600 * n) for n in range(hours)]) for box in boxes)
            )
            assert {answer for some in answers for answer in some} == {0}
            server.start()
            await until(lambda: _taken(store) >= hours * len(boxes))

            assert len(kept(store)) == hours * len(boxes)
            assert _taken(store) == hours * len(boxes)
            assert store.read.aside(None, 0, 10) == []


async def test_a_database_that_is_away_costs_nothing(tmp_path: Path) -> None:
    """PostgreSQL stopped while boxes publish: nothing is acknowledged, and everything is there once it is back."""
    box = Publisher()
    with Postgres(durable=True) as server, centre(tmp_path, box, url=server.new_database()) as there:
        async with there.collecting(lambda: HOUR_S + 200 * 3600) as store:
            await there.publish(box.device, [box.counts(HOUR_S)])
            await until(lambda: len(kept(store)) == 1)
            server.stop()
            await there.publish(box.device, [box.counts(HOUR_S + 3600 * hour) for hour in range(1, 150)])
            server.start()
            await until(lambda: len(kept(store)) == 150)


async def test_a_full_disk_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite without room: the collector waits and keeps nothing half; with room everything is there."""
    monkeypatch.setattr("edge_scanner.central.collect.collector.PAUSE_MAX_S", 0.2)
    box = Publisher()
    limit = itertools.count(1)
    with centre(tmp_path, box) as there:
        async with there.collecting(lambda: HOUR_S + 400 * 3600) as store:
            engine = store._engine
            with engine.connect() as connection:
                pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
            room = [pages + 8]
            event.listen(engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count = {room[0]}"))
            engine.dispose()
            bins = [box.counts(HOUR_S + 3600 * hour) for hour in range(300)]
            await there.publish(box.device, bins)
            await until(lambda: next(limit) > 20)
            assert len(kept(store)) < 300
            room[0] = pages + 100_000
            await until(lambda: len(kept(store)) == 300)


async def test_a_collector_that_ends_leaves_no_thread_with_the_database(tmp_path: Path) -> None:
    """A commit that takes long is over when the collector is, so whoever ended it may close the store."""
    box, begun = Publisher(), threading.Event()
    with centre(tmp_path, box) as there:
        async with there.collecting(lambda: HOUR_S + 10.0) as store:
            pool = store._engine.pool

            def slowly(_connection: object) -> None:
                begun.set()
                time.sleep(1.0)

            event.listen(store._engine, "commit", slowly)
            await there.publish(box.device, [box.counts(HOUR_S - 3600)])
            await asyncio.to_thread(begun.wait)

        assert isinstance(pool, QueuePool)
        assert pool.checkedout() == 0


async def test_silence_is_an_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet that says nothing for too long: a person is told, and the collector connects anew."""
    box = Publisher()
    with centre(tmp_path, box) as there:
        made = there.settings()
        quiet = replace(made, collect=replace(made.collect, silence_s=1))
        monkeypatch.setattr(there, "settings", lambda _name="": quiet)
        async with there.collecting(lambda: HOUR_S + 10.0) as store:
            await until(store.read.alarms)
            assert [one.alarm.kind for one in store.read.alarms()] == ["silence"]
            await there.publish(box.device, [box.counts(HOUR_S - 3600)])
            await until(lambda: kept(store) == [HOUR_S - 3600])
