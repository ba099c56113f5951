"""Retention as the daemon runs it: old hours go as time passes, and a leap of the clock deletes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edge_scanner import protocols
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import ClockQuality, ClockReading
from edge_scanner.core.pipeline import Pipeline
from edge_scanner.device.daemon.committer import Flush
from edge_scanner.device.health import BoxState
from edge_scanner.device.storage.store import open_store
from tests.support.batches import batch

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.device.storage.store import Store

DAYS = 1
LAST_KNOWN_S = 88_000.0
"""Segment 0 of `batch` must go at 90,000 s: an hour of recording and a day of keeping."""


class HandClock:
    """A clock that is set by hand, whatever it says of its quality."""

    speed = 1.0

    def __init__(self, quality: ClockQuality) -> None:
        self.quality = quality
        self.utc_s = LAST_KNOWN_S
        self.monotonic_s = 5.0

    def now(self) -> float:
        """UTC seconds."""
        return self.utc_s

    def monotonic(self) -> float:
        """Seconds since the box was switched on."""
        return self.monotonic_s

    def reading(self) -> ClockReading:
        """Both."""
        return ClockReading(utc_s=self.utc_s, monotonic_s=self.monotonic_s, quality=self.quality)


def made(store: Store, clock: HandClock, folder: Path) -> Flush:
    """The committing side of a box that goes by this clock."""
    known = protocols.load(["gaen"])
    counter = Counter(known)
    pipeline = Pipeline(
        protocols=known,
        counter=counter,
        ledger=Ledger(figures=counter.figures, sensitivity=counter.sensitivity),
        log=None,
        sender=Sender(device="K7MP2R9CX4", site="test", boot=1),
        clock=clock.reading(),
    )
    return Flush(pipeline, store, clock, BoxState(log=None, recipients=None, retention_days=DAYS, state_dir=folder))


@pytest.mark.parametrize(
    ("leap_s", "left"),
    [(0.0, [1, 2]), (3_000.0, [2]), (4_000.0, [2]), (30 * 86_400.0, [2]), (-3_700.0, [0, 1, 2])],
)
@pytest.mark.parametrize("quality", list(ClockQuality))
async def test_no_clock_deletes_more_than_an_hour_early(
    tmp_path: Path, leap_s: float, left: list[int], quality: ClockQuality
) -> None:
    """An hour after a time that was trusted: however far the clock leapt, and whoever keeps it, an hour is the most."""
    clock = HandClock(quality)
    async with open_store(tmp_path / "state" / "log.db") as store:
        await store.commit(batch(range(150)))
        await store.set_meta("trusted_clock", f"[{LAST_KNOWN_S}, null, 0]")
        flush = made(store, clock, tmp_path)
        await flush.begin(1)
        assert [number for number, _ in await store.segments()] == [0, 1, 2]

        clock.monotonic_s += 3_700.0
        clock.utc_s += 3_700.0 + leap_s
        await flush.last()

        assert [number for number, _ in await store.segments()] == left


async def test_a_clock_that_was_set_back_is_vouched_for_by_nobody(tmp_path: Path) -> None:
    """An order that came then would look old once the clock is right and the box starts again, so none is answered."""
    clock = HandClock(ClockQuality.NTP)
    async with open_store(tmp_path / "state" / "log.db") as store:
        await store.set_meta("trusted_clock", f"[{LAST_KNOWN_S}, null, 0]")
        flush = made(store, clock, tmp_path)
        await flush.begin(1)
        qualities = []
        for step_s in (0.0, -3_700.0, -86_400.0, 90_100.0, 30 * 86_400.0):
            clock.utc_s += step_s
            qualities.append(flush.reading().quality)
            assert flush.reading().utc_s == clock.utc_s

        kept = json.loads(await store.meta("trusted_clock") or "")
        assert (len(kept), flush.lived()) == (3, LAST_KNOWN_S)
    sure, unsure = ClockQuality.NTP, ClockQuality.NONE
    assert qualities == [sure, unsure, unsure, sure, sure]


async def test_what_was_lived_through_outlives_a_restart(tmp_path: Path) -> None:
    """Fifty minutes back in one run and fifty in the next are further back than an hour."""
    clock = HandClock(ClockQuality.NTP)
    async with open_store(tmp_path / "state" / "log.db") as store:
        await store.set_meta("trusted_clock", f"[{LAST_KNOWN_S}, null, 0]")
        for sure in (True, False):
            flush = made(store, clock, tmp_path)
            await flush.begin(1)
            clock.utc_s -= 3_000.0
            assert (flush.reading().quality is ClockQuality.NTP) is sure
            await flush.last()
        assert json.loads(await store.meta("trusted_clock") or "") == [
            LAST_KNOWN_S - 3_000.0, LAST_KNOWN_S - 6_000.0, 0.0, LAST_KNOWN_S
        ]  # fmt: skip
