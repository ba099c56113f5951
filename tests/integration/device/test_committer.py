"""Retention as the daemon runs it: old hours go as time passes, and a leap of the clock deletes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner import protocols
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import ClockQuality, ClockReading
from edge_scanner.core.pipeline import Pipeline
from edge_scanner.device.committer import Flush
from edge_scanner.device.health import BoxState
from edge_scanner.device.storage.store import open_store
from tests.support.batches import batch

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize(
    ("leap_s", "left"),
    [(0.0, [1, 2]), (3_000.0, [2]), (4_000.0, [2]), (30 * 86_400.0, [2]), (-3_700.0, [0, 1, 2])],
)
@pytest.mark.parametrize("quality", list(ClockQuality))
async def test_no_clock_deletes_more_than_an_hour_early(
    tmp_path: Path, leap_s: float, left: list[int], quality: ClockQuality
) -> None:
    """An hour after a time that was trusted: however far the clock leapt, and whoever keeps it, an hour is the most."""
    known = protocols.load(["gaen"])
    counter, clock = Counter(known), HandClock(quality)
    pipeline = Pipeline(
        protocols=known,
        counter=counter,
        ledger=Ledger(figures=counter.figures, sensitivity=counter.sensitivity),
        log=None,
        sender=Sender(device="K7MP2R9CX4", site="test", boot=1),
        clock=clock.reading(),
    )
    async with open_store(tmp_path / "state" / "log.db") as store:
        await store.commit(batch(range(150)))
        await store.set_meta("trusted_clock", f"[{LAST_KNOWN_S}, null, 0]")
        state = BoxState(log=None, recipients=None, retention_days=DAYS, state_dir=tmp_path)
        flush = Flush(pipeline, store, clock, state)
        await flush.begin(1)
        assert [number for number, _ in await store.segments()] == [0, 1, 2]

        clock.monotonic_s += 3_700.0
        clock.utc_s += 3_700.0 + leap_s
        await flush.last()

        assert [number for number, _ in await store.segments()] == left
