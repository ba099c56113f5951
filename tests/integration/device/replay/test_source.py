"""The stand-in behind the radio's door: a capture or a simulated crowd that lives by its own clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from edge_scanner.core.pipeline import LATENESS_S
from edge_scanner.device.commands.replay import all_protocols
from edge_scanner.device.replay import replay
from edge_scanner.device.replay.source import open_stand_in
from edge_scanner.device.simulation.crowd import CrowdPlan, open_crowd, simulate
from edge_scanner.device.system.clock import SimulatedClock
from edge_scanner.protocols import load
from tests.support import captures as make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_scanner.core.model import Advert


EVERY_PROTOCOL = load(all_protocols())
T = make.START_S


async def test_a_capture_behind_the_radios_door(tmp_path: Path) -> None:
    """The stand-in hands on the capture's adverts as they are taken, tells their time and counts the damaged."""
    log = make.android_log(tmp_path / "log", [(T, make.GAEN), (T + 1, make.GAEN[:20]), (T + 2, make.GAEN)])
    intake = replay.Intake()
    stream = replay.adverts([log], EVERY_PROTOCOL, intake)
    async with open_stand_in(stream, unreadable=lambda: intake.malformed) as source:
        states = [source.listening]
        assert [advert.last_s async for advert in source] == [T, T + 1, T + 2]
        assert source.now() == T + 2
        assert [*states, source.listening] == [True, False]
        assert source.drain() == []
    assert (source.counters.heard, source.counters.unreadable, source.counters.dropped) == (3, 1, 0)
    assert source.fault is None


class HandClock(SimulatedClock):
    """A clock that stands until it is moved."""

    def __init__(self, at_s: float) -> None:
        super().__init__(1.0)
        self.at_s = at_s

    def now(self) -> float:
        """The time it was moved to."""
        return self.at_s


async def test_a_twin_that_cannot_keep_up_says_so(tmp_path: Path) -> None:
    """An advert that is due for longer than a burst may be late was not handed on in time."""
    log = make.android_log(tmp_path / "log", [(T, make.GAEN), (T + 100, make.GAEN)])
    clock = HandClock(T)
    async with open_stand_in(replay.adverts([log], EVERY_PROTOCOL, replay.Intake()), clock=clock) as source:
        seen = [source.punctual]
        await anext(source)
        taking = asyncio.ensure_future(anext(source))
        await asyncio.sleep(0)
        for at_s in (T + 50, T + 100 + LATENESS_S, T + 101 + LATENESS_S):
            clock.at_s = at_s
            seen.append(source.punctual)
        taking.cancel()
        assert [advert.last_s for advert in source.drain()] == [T + 100]
        seen.append(source.punctual)

    assert seen == [True, True, True, False, True]


async def test_a_crowd_lives_by_its_clock() -> None:
    """At speed 200 one real second holds about 200 simulated ones, and no advert comes before its time."""
    before_s = time.monotonic()
    clock = SimulatedClock(200.0)
    begin_s, after_s = clock.now(), time.monotonic()
    heard: list[float] = []
    async with open_crowd(clock=clock, phones=5, seed=1) as source:
        async for advert in source:
            assert advert.last_s <= source.now() + 0.5
            heard.append(advert.last_s)
            if advert.last_s - begin_s > 100:
                break
        assert source.listening
        assert source.counters.heard >= len(heard) > 50
        at_least_s = time.monotonic() - after_s
        simulated_s = clock.now() - begin_s
        assert 200 * at_least_s - 1 <= simulated_s <= 200 * (time.monotonic() - before_s) + 1
        assert simulated_s > 100
        await asyncio.sleep(0.1)
        late = source.drain()
        assert late
        assert all(advert.last_s <= source.now() for advert in late)


class FleeingClock(HandClock):
    """A clock that runs on by a minute at each look, as a fast one does on a busy machine."""

    def now(self) -> float:
        """A minute later than the last time."""
        self.at_s += 60
        return self.at_s


async def test_a_crowd_that_comes_faster_than_it_is_taken_lets_the_box_stop() -> None:
    """The last commit takes what was due when it was asked for, not what becomes due meanwhile."""
    clock = FleeingClock(T)
    async with open_crowd(clock=clock, phones=5, seed=1) as source:
        due = source.drain()

    assert due
    assert max(advert.last_s for advert in due) <= clock.at_s


async def test_a_crowd_goes_on_after_its_plan() -> None:
    """When the plan is over, another crowd follows without a pause."""
    clock = SimulatedClock(5000.0)
    plan = CrowdPlan(devices=3, duration_s=120.0)
    begin_s = clock.now()
    async with open_crowd(clock=clock, plan=plan, seed=1) as source:
        async for advert in source:
            if advert.last_s > begin_s + 300:
                break
    assert advert.last_s > begin_s + 300


async def test_a_busy_twin_lets_others_run() -> None:
    """A stream that is always due still gives the event loop its turns."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    async with open_stand_in(due()) as source:
        async for _ in source:
            pass
    task.cancel()
    assert turns > 10


def due() -> Iterator[Advert]:
    """Ten minutes of a small crowd of the past."""
    return simulate(CrowdPlan(devices=20, duration_s=600), seed=1, start_s=1e9)
