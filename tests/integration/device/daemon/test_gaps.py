"""`log status` names the minutes that a box did not record, whatever kept it from recording: the real log and store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from edge_scanner import protocols
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.errors import StorageError
from edge_scanner.core.messages import Sender
from edge_scanner.core.pipeline import Pipeline
from edge_scanner.device.commands.log_status import recorded
from edge_scanner.device.daemon import sealing
from edge_scanner.device.daemon.committer import Flush
from edge_scanner.device.health import BoxState
from edge_scanner.device.storage.store import open_store
from tests.support.pulling import FixedClock
from tests.support.sealed_logs import DEVICE, HOUR_S, Box, recipient_set

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edge_scanner.device.storage.store import Store

IDENTITY = Box().identity
MINUTE_S = 60


class Run:
    """A run of the daemon's pipeline, log and committing side, minute by minute."""

    def __init__(self, store: Store, pipeline: Pipeline, flush: Flush, clock: FixedClock) -> None:
        self.store = store
        self.pipeline = pipeline
        self.flush = flush
        self.clock = clock

    async def minutes(self, count: int, *, listening: bool = True) -> None:
        """As `Flush.keep` does it."""
        for _ in range(count * MINUTE_S):
            self.clock.utc_s += 1.0
            if self.pipeline.tick(self.clock.reading(), listening=listening):
                await self.flush._commit()


@asynccontextmanager
async def run(path: Path, clock: FixedClock) -> AsyncIterator[Run]:
    """From a start to an orderly stop."""
    known = protocols.load(["gaen"])
    counter = Counter(known)
    async with open_store(path) as store:
        state = await store.log_state()
        found = recipient_set()
        log = sealing.begin(DEVICE, IDENTITY, found, state, clock.reading())
        ledger = Ledger(figures=counter.figures, sensitivity=counter.sensitivity)
        ledger.resume(await store.releases(0.0))
        pipeline = Pipeline(
            protocols=known,
            counter=counter,
            ledger=ledger,
            log=log,
            sender=Sender(device=DEVICE, site="test", boot=state.next_boot),
            clock=clock.reading(),
        )
        box = BoxState(log=log, recipients=found, retention_days=14, state_dir=path.parent)
        flush = Flush(pipeline, store, clock, box)
        await flush.begin(state.next_boot)
        async with flush_at_end(flush):
            yield Run(store, pipeline, flush, clock)


@asynccontextmanager
async def flush_at_end(flush: Flush) -> AsyncIterator[None]:
    """What the daemon does with its committing side when it is stopped."""
    try:
        yield
    finally:
        await flush.last()


async def missing(path: Path) -> list[tuple[str, str, int]]:
    """Which minutes the log lacks, in UTC."""
    async with open_store(path) as store:
        held = recorded(await store.spans())
    assert all(gap.exact for gap in held.gaps)
    return [(hhmm(gap.from_s), hhmm(gap.to_s), gap.minutes) for gap in held.gaps]


def hhmm(at_s: float) -> str:
    """A time of the day in UTC."""
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M}"


@pytest.fixture
def clock() -> FixedClock:
    """22:00:30 UTC."""
    return FixedClock(HOUR_S + 30.0)


async def test_a_box_that_was_switched_off(tmp_path: Path, clock: FixedClock) -> None:
    """Off in the middle of 22:12, on in that of 22:19: both are recorded; a restart within a minute leaves no gap."""
    path = tmp_path / "state" / "log.db"
    async with run(path, clock) as box:
        await box.minutes(12)
    clock.utc_s += 7 * MINUTE_S
    async with run(path, clock) as box:
        await box.minutes(3)
        clock.utc_s += 20
    clock.utc_s += 15
    async with run(path, clock) as box:
        await box.minutes(3)

    assert await missing(path) == [("22:13", "22:19", 6)]


async def test_a_clock_that_was_set(tmp_path: Path, clock: FixedClock) -> None:
    """Forward over seven minutes: nothing bears their time. Back: they come again and are no gap."""
    path = tmp_path / "state" / "log.db"
    async with run(path, clock) as box:
        await box.minutes(12)
        clock.utc_s += 7 * MINUTE_S
        clock.lead_s += 7 * MINUTE_S
        await box.minutes(10)
        clock.utc_s -= 4 * MINUTE_S
        clock.lead_s -= 4 * MINUTE_S
        await box.minutes(10)

    assert await missing(path) == [("22:13", "22:19", 6)]


async def until_it_is_full(path: Path, clock: FixedClock) -> None:
    """Twice full for four minutes and freed again, then full until the stop."""
    async with run(path, clock) as box:
        await box.minutes(5)
        for full_minutes, freed in ((4, True), (4, True), (7, False)):
            frames = (await box.store.summary()).frames
            await box.store._read(f"PRAGMA max_page_count = {await box.store._value('PRAGMA page_count')}")
            await box.minutes(full_minutes)
            assert (await box.store.summary()).frames < frames + full_minutes
            if freed:
                await box.store._read("PRAGMA max_page_count = 1000000")
                await box.minutes(1)


async def test_a_disk_that_was_full_when_the_box_was_stopped(tmp_path: Path, clock: FixedClock) -> None:
    """What waited is lost with the stop; a full disk that is freed in time costs nothing."""
    path = tmp_path / "state" / "log.db"
    with pytest.raises(StorageError, match="waited for the disk and are lost"):
        await until_it_is_full(path, clock)
    async with run(path, clock) as box:
        await box.minutes(2)

    assert await missing(path) == [("22:15", "22:22", 7)]


async def test_a_radio_that_was_down_is_recorded_as_such(tmp_path: Path, clock: FixedClock) -> None:
    """Frames are sealed on schedule, but a minute in which nothing listened is none that was recorded."""
    path = tmp_path / "state" / "log.db"
    async with run(path, clock) as box:
        await box.minutes(5)
        await box.minutes(5, listening=False)
        await box.minutes(5)
    assert await missing(path) == [("22:06", "22:10", 4)]


async def test_a_run_that_never_listened_is_a_gap(tmp_path: Path, clock: FixedClock) -> None:
    """Its frames are there, and it says of none that anything listened: that is not an older version's silence."""
    path = tmp_path / "state" / "log.db"
    for listening in (True, False, True):
        async with run(path, clock) as box:
            await box.minutes(5, listening=listening)
    assert await missing(path) == [("22:06", "22:10", 4)]
