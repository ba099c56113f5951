"""The daemon's side of the venue's screen: every few seconds the anonymised snapshot, written whole or not at all.

Only released reports, health and settings go in (core/snapshot.py), so the kiosk's user can read the file and learn
nothing that was not released. The stored releases and the answered pulls are read again only after a commit.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core import history, snapshot, venue_days
from edge_scanner.core.counts import baseline
from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.counts.occupancy import DAY_S, WEEK_S
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.history import History
from edge_scanner.core.model import ClockQuality
from edge_scanner.device.central import trail
from edge_scanner.device.central.pull import answered
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_scanner.core.counts.hours import Hour
    from edge_scanner.core.health import Health
    from edge_scanner.core.model import Report
    from edge_scanner.core.snapshot import Pull, Snapshot, Venue
    from edge_scanner.device.daemon.committer import Flush
    from edge_scanner.device.daemon.operator import HandCounts
    from edge_scanner.device.storage.store import Store
    from edge_scanner.device.system.clock import Clock

HISTORY_S = 3 * WEEK_S
"""A usual day is the mean of the same weekday in the last three weeks."""
FILE = "snapshot.json"
HISTORY_FILE = "history.json"

_log = journal.get("snapshot")


@dataclass(slots=True, kw_only=True)
class Screen:
    """Where the snapshot goes and what it is made of; `utc_offset_s` is the venue's at a moment (UTC seconds).

    `venue` is what the settings and the operator say of it now.

    `latest` is the newest one; `trouble` is why the last one could not be written. `has_trail`: the store is the box's,
    so that an empty trail means that nothing was opened. `lost`: a damaged store was set aside, so that it does not.
    """

    folder: Path
    venue: Callable[[], Venue]
    store: Store
    flush: Flush
    clock: Clock
    utc_offset_s: Callable[[float], int]
    counted: Counted = field(default_factory=Counted)
    hand_counts: HandCounts | None = None
    reports: tuple[Report, ...] = ()
    pulls: tuple[Pull, ...] = ()
    has_trail: bool = True
    lost: bool = False
    opened_count: int | None = None
    recipients_changed_s: float | None = None
    read_at_commit: int = -1
    read_trail: tuple[bytes | None, int] = (None, -1)
    told: History = field(default_factory=History)
    latest: Snapshot | None = None
    trouble: Code = Code.WELL

    async def show(self, health: Health) -> None:
        """Write one snapshot."""
        now_s = self.clock.now()
        venue = self.venue()
        if self.read_at_commit != (commits := self.flush.commits):
            releases = await self.store.releases(now_s - HISTORY_S)
            self.reports = tuple(anonymise.from_release(release) for release in releases)
            await self._tell_history(now_s, venue)
            # The whole trail is read, so only when it grew, and once an hour for orders that stop being sealed.
            seen = (self.store.audit_head, int(now_s // 3600))
            if self.has_trail and seen != self.read_trail:
                self.pulls, count = await answered(self.store, now_s)
                self.opened_count = None if self.lost and not count else count
                self.recipients_changed_s = await trail.recipients_changed_s(self.store)
                self.read_trail = seen
            self.read_at_commit = commits
        display = [report for report in self.reports if report.ledger == anonymise.DISPLAY]
        if self.hand_counts is not None:
            offset_s = self.utc_offset_s(now_s)
            self.counted = self.hand_counts.take(
                self.counted,
                self.reports,
                lambda since_s: baseline.learn(display, offset_s, now_s, since_s=since_s) if venue.learns else None,
                now_s,
            )
        document = snapshot.build(
            venue=replace(venue, utc_offset_s=self.utc_offset_s(now_s)),
            display=display,
            broker=[report for report in self.reports if report.ledger == anonymise.BROKER],
            health=health,
            counted=self.counted,
            pulls=self.pulls,
            opened_count=self.opened_count,
            recipients_changed_s=self.recipients_changed_s,
            clock_sure=self.clock.reading().quality is not ClockQuality.NONE,
            now_s=now_s,
        )
        self.latest = document
        # Reports carry the site's line as the screen goes by it: it is learnt anew each week.
        self.flush.calibrate(document.calibration)
        # Others may read it, because it is what the public page shows.
        content = snapshot.to_json(document)
        try:
            await asyncio.to_thread(small_files.write, self.folder / FILE, content, mode=0o644)
        except OSError as error:
            # The page goes dark and says so by itself; recording and publishing go on.
            if self.trouble is Code.WELL:
                _log.error("snapshot cannot be written", where=str(self.folder), reason=error.strerror)
            self.trouble = Code.RUNTIME_FULL
            return
        self.trouble = Code.WELL

    async def _tell_history(self, now_s: float, venue: Venue) -> None:
        """Write the hours of two months, and of the holiday that today's is set beside, when there is a new one."""
        hours = await self.store.hours(now_s - history.DAYS * DAY_S, now_s)
        today = datetime.fromtimestamp(now_s + self.utc_offset_s(now_s), UTC).date()
        beside: list[Hour] = []
        if before := venue_days.same_day_before(venue.holidays, today):
            midnight = datetime.combine(before[1], time(), UTC).timestamp()
            midnight -= self.utc_offset_s(midnight)
            beside = await self.store.hours(midnight, midnight + DAY_S)
        found = history.build(hours, now_s, beside)
        if found == self.told:
            return
        try:
            await asyncio.to_thread(small_files.write, self.folder / HISTORY_FILE, history.to_json(found), mode=0o644)
        except OSError as error:
            _log.warning("figures of two months cannot be written", where=str(self.folder), reason=error.strerror)
            return
        self.told = found
