"""From the pipeline to the disk: once a minute, whatever is pending, in one transaction; the watchdog's only feeder.

The watchdog is fed when a minute was closed and the store has answered, also with "disk full": a pipeline that stands
still is restarted, a disk that nobody can write to would only be restarted for ever.

A commit that finds the disk full or read-only keeps its batch in memory and is tried again a minute later: counting
and publishing what is stored go on, the storage light turns red, and the log's own bound decides how long that can
last. A damaged database ends the process, because opening it again is what sets it aside.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.errors import DamagedError, DiskFullError, NotOursError, StorageError
from edge_scanner.core.log import retention
from edge_scanner.core.model import Batch, ClockQuality
from edge_scanner.core.trusted_clock import Kept, TrustedClock
from edge_scanner.core.wording import counted
from edge_scanner.device.health import LATE_SHOWN_S
from edge_scanner.device.system import journal, supervise, unhurried

if TYPE_CHECKING:
    from types import TracebackType

    from edge_scanner.core.messages import Calibration
    from edge_scanner.core.model import ClockReading
    from edge_scanner.core.pipeline import Pipeline
    from edge_scanner.device.health import BoxState
    from edge_scanner.device.storage.store import Store
    from edge_scanner.device.system.clock import Clock

TICK_S = 1.0
"""Between looks at the clock: a minute closes within a second of its time."""
RETENTION_S = 3600.0
"""Segments are an hour long, so looking more often deletes nothing more."""
_TRUSTED = "trusted_clock"

_log = journal.get("flush")


def _kept(text: str | None) -> Kept | None:
    """What an earlier run kept of trusted time; nothing where it is no such numbers."""
    try:
        known_s, claim_s, claimed_s, *lived = json.loads(text or "")
        return Kept(
            known_s=float(known_s),
            claim_s=None if claim_s is None else float(claim_s),
            claimed_s=float(claimed_s),
            lived_s=float(lived[0]) if lived else None,
        )
    except (ValueError, TypeError):
        return None


def trouble_of(error: StorageError) -> Code:
    """The light of a store that refuses."""
    if isinstance(error, NotOursError):
        return Code.STORAGE_NOT_OURS
    return Code.STORAGE_FULL if isinstance(error, DiskFullError) else Code.STORAGE_FAILING


class Flush:
    """The committing side of one run; `commits` counts transactions that the disk has.

    Without a broker (`sends` False) messages are not kept: they would fill the outbox for nobody.
    """

    def __init__(self, pipeline: Pipeline, store: Store, clock: Clock, box: BoxState, *, sends: bool = True) -> None:
        self.commits = 0
        self._sends = sends
        self._pipeline = pipeline
        self._store = store
        self._clock = clock
        self._box = box
        self._retained_at: float | None = None
        self._trusted = TrustedClock(None, clock.reading())

    async def begin(self, boot: int) -> None:
        """Go on with the last run's trusted time, and remember that run `boot` has begun.

        Rows come with the first minute: a run that dies before it leaves none, however often that happens.
        """
        self._trusted = TrustedClock(_kept(await self._store.meta(_TRUSTED)), self._clock.reading())
        try:
            await self._store.reserve_boot(boot)
        except StorageError as error:
            self._failed(error, Batch())

    async def keep(self, changed: asyncio.Event) -> None:
        """Commit every minute, for ever; `changed` tells the outbox that there may be new rows."""
        while True:
            await unhurried.beat(TICK_S / self._clock.speed)
            if self._pipeline.tick(self._clock.reading(), listening=self._listening):
                await self._commit()
                changed.set()
                supervise.notify("WATCHDOG=1")

    async def last(
        self,
        kind: type[BaseException] | None = None,
        _error: BaseException | None = None,
        _trace: TracebackType | None = None,
    ) -> None:
        """The end of the run, by a stop or by an exception of this `kind`: close what is open and commit it.

        A run that crashes before its first commit leaves nothing. Raises StorageError where the disk does not take what
        waits: that is lost, and the line and the exit code are where it is told.
        """
        crashed = kind is not None and not issubclass(kind, asyncio.CancelledError)
        if crashed and not self.commits:
            return
        self._pipeline.tick(self._clock.reading(), listening=self._listening)
        self._pipeline.finish()
        await self._commit()
        lost = self._pipeline.peek()
        if self._box.storage and not self._box.standby and (lost.rows.frames or lost.messages):
            raise StorageError(
                f"{counted(len(lost.rows.frames), 'frame')} and {counted(len(lost.messages), 'message')} "
                "waited for the disk and are lost",
                where=str(self._store.path),
                hint="log status shows the gap",
            )

    def calibrate(self, line: Calibration | None) -> None:
        """From now on reports carry this line from devices to people."""
        self._pipeline.calibration = line

    def tell(self, at_s: float) -> None:
        """The centre's signed word that it is `at_s` or later, UTC seconds; the next minute goes by it."""
        clock = self._clock.reading()
        self._trusted.read(clock)
        doubted = self._trusted.doubted
        self._trusted.tell(at_s, clock)
        if doubted and not self._trusted.doubted:
            _log.info("the centre confirms the time")

    def reading(self) -> ClockReading:
        """Both clocks for whoever stamps what is counted by the day; nobody vouches for a UTC that was set back."""
        clock = self._clock.reading()
        self._trusted.read(clock)
        return replace(clock, quality=ClockQuality.NONE) if self._trusted.behind else clock

    def trusted(self) -> float:
        """Trusted time, UTC seconds."""
        return self._trusted.read(self._clock.reading())

    def lived(self) -> float:
        """Lived time, UTC seconds, by which a quota's days are counted (core/trusted_clock.py)."""
        self._trusted.read(self._clock.reading())
        return self._trusted.lived_s

    @property
    def _listening(self) -> bool:
        """Whether the radio heard all since the last look, and what it heard was handed on in time.

        Both by the box's own state and load, whoever is heard. What came late lowers `minutes_covered`, so that a box
        that cannot keep up says "unknown" and not "quiet".
        """
        source = self._box.source
        if source is None:
            return False
        if not source.punctual:
            before, now = self._box.late_at, self._clock.monotonic()
            if before is None or now - before > LATE_SHOWN_S:
                _log.warning("too busy to listen in time: such minutes do not count as covered")
            self._box.late_at = now
            return False
        return source.listening

    async def _commit(self) -> None:
        batch = self._pipeline.peek()
        drop = None
        try:
            drop = await self._expired()
            kept = batch if self._sends else replace(batch, messages=())
            await self._store.commit(replace(kept, drop_segments_before=drop) if drop is not None else kept)
        except StorageError as error:
            self._failed(error, batch)
            return
        self._pipeline.forget(batch)
        self._box.storage = Code.WELL
        self._box.outbox_dropped = await self._store.outbox_dropped() + self._pipeline.progress.messages_dropped
        self.commits += 1
        self._tell(batch, drop)

    def _failed(self, error: StorageError, batch: Batch) -> None:
        if isinstance(error, DamagedError):
            raise error
        code = trouble_of(error)
        if self._box.storage is not code:
            _log.error("commit failed, kept in memory", reason=str(error), frames=len(batch.rows.frames))
        self._box.storage = code

    async def _expired(self) -> int | None:
        """Once an hour of running, the segment below which everything goes by trusted time; None when nothing does."""
        clock = self._clock.reading()
        now_s = self._trusted.read(clock)
        self._box.clock_doubted = self._trusted.doubted
        if self._retained_at is not None and clock.monotonic_s - self._retained_at < RETENTION_S:
            return None
        self._retained_at = clock.monotonic_s
        segments = await self._store.segments()
        self._box.oldest_record_s = retention.oldest_s(segments)
        drop = retention.plan(segments, now_s=now_s, days=self._box.retention_days)
        kept = self._trusted.kept
        await self._store.set_meta(_TRUSTED, json.dumps([kept.known_s, kept.claim_s, kept.claimed_s, kept.lived_s]))
        return drop

    def _tell(self, batch: Batch, drop: int | None) -> None:
        """One line per commit: how many rows of each sort, nothing about what is in them."""
        progress = self._pipeline.progress
        _log.info(
            "minute committed",
            minutes=progress.minutes,
            frames=len(batch.rows.frames),
            segments_closed=len(batch.rows.leaves),
            reports=len(batch.releases),
            messages=len(batch.messages),
            segments_deleted_below=drop,
        )
        supervise.notify(
            f"STATUS={counted(progress.minutes, 'minute')} logged, {counted(self._box.outbox_rows, 'message')} waiting"
        )
