"""The times of a capture on one line: what its clock did while it recorded, and records slightly out of order.

* A step back by more than `MAX_STEP_BACK_S`, as a phone's is when its network corrects it, would fold two times into
  one: what follows is moved on by the step.
* A step forward by more than `MAX_SILENCE_S` is no silence. The times stay as written; the step is counted.
* Stamps that leap and come back are glitches: they take the time that was reached.

Which of these it is the next records tell, so a record that leaps waits for them.
"""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edge_scanner.device.replay.captures.records import Losses, Record, Report

REORDER_S = 2.0
"""Records of two interfaces, or of a sniffer's threads, are written this much out of order at most; what is later
still is moved to the time already reached."""
REORDER_REPORTS = 4096
"""The reports held back for ordering: 2 s of the busiest channel is below 3,000."""
MAX_STEP_BACK_S = 60.0
"""A clock set back by less is not told from records out of order."""
MAX_SILENCE_S = 86_400.0
"""A recorder that was on for a whole day without a single packet of any kind did not have its clock right."""
WAITING = 16
"""Records in a row that leap are no glitches: a damaged stamp stands alone."""


class Timeline:
    """The time that was reached, and the records that wait because they leap."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._reached_s: float | None = None
        self._moved_s = 0.0
        self._waiting: list[Record] = []

    def timed(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records in the order of the file with the times that are believed."""
        for record in records:
            if self._waiting or self._reached_s is None or not follows(record.at_s + self._moved_s, self._reached_s):
                yield from self._take(record)
            else:
                yield self._reach(record)
        while self._waiting:
            yield from self._believe()

    def _take(self, record: Record) -> Iterator[Record]:
        self._waiting.append(record)
        if self._reached_s is None:
            # The first stamp of all may be the glitch: the first that a later one agrees with is the beginning.
            first = next((one for one in self._waiting[:-1] if follows(record.at_s, one.at_s)), None)
            if first is not None:
                self._reached_s = first.at_s
                self._losses.stamps_set_aside -= 1
        if self._reached_s is not None and follows(record.at_s + self._moved_s, self._reached_s):
            self._losses.stamps_set_aside += len(self._waiting) - 1
            yield from (replace(one, at_s=self._reached_s) for one in self._waiting[:-1])
            self._waiting.clear()
            yield self._reach(record)
        elif len(self._waiting) == WAITING:
            yield from self._believe()

    def _believe(self) -> Iterator[Record]:
        """The time of the first that waits is the time now; the others are judged anew."""
        first, *others = self._waiting
        self._waiting = []
        if self._reached_s is not None:
            self._losses.clock_steps += 1
            self._moved_s += max(0.0, self._reached_s - first.at_s - self._moved_s)
        yield self._reach(first)
        for record in others:
            yield from self._take(record)

    def _reach(self, record: Record) -> Record:
        at_s = record.at_s + self._moved_s
        self._reached_s = max(at_s, self._reached_s or at_s)
        return replace(record, at_s=at_s) if self._moved_s else record


def follows(at_s: float, reached_s: float) -> bool:
    """Whether a record can follow at this time without a step of the clock."""
    return -MAX_STEP_BACK_S <= at_s - reached_s <= MAX_SILENCE_S


def in_order(reports: Iterable[Report]) -> Iterator[Report]:
    """Slightly unordered reports in order; one that is too late takes the time of the report before it."""
    waiting: list[tuple[float, int, Report]] = []
    number = count()
    reached_s = 0.0
    for report in reports:
        at_s = max(report.at_s, reached_s)
        heapq.heappush(waiting, (at_s, next(number), report))
        while waiting[0][0] <= report.at_s - REORDER_S or len(waiting) > REORDER_REPORTS:
            reached_s, _, first = heapq.heappop(waiting)
            yield _at(first, reached_s)
    while waiting:
        reached_s, _, first = heapq.heappop(waiting)
        yield _at(first, reached_s)


def _at(report: Report, at_s: float) -> Report:
    return report if report.at_s == at_s else replace(report, at_s=at_s)
