"""Tallies in, noised reports out: the only maker of a `Report`, so nothing else can publish a number about people.

Device-minutes are summed over a UTC bin and get exact discrete Laplace noise once, when the bin is over. `nearby`, the
phones that stay, has a draw of its own: it is the figure that people use. Where tracing figures are released beside it
(one per protocol and kind, a partition) it has half of the budget and each of them the other half, by parallel
composition; scale = sensitivity / its share of epsilon, epsilon per device-hour under one identity. Accessories, things
and computers are not released: a figure that nobody uses costs nothing. Turned down: `nearby` as the sum of ten noised
figures (a mean error of 15.7 phones an hour where one draw has 4.4); distinct identifiers and sketches, which a
published case key turns into a look-up table; fresh noise on a retry, which averages away.

A bin is named by its start. Its name is the grid's, unless the run began in a bin that was already released in part:
then it is named by its first minute. So each device-minute is in one release, and a name is released once.
"""

from __future__ import annotations

import json
import math
import secrets
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.counts import device_class
from edge_scanner.core.counts.discrete_laplace import Laplace, noise_scale
from edge_scanner.core.counts.estimator import MINUTE_S, PASSING
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import Release, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from fractions import Fraction

    from edge_scanner.core.counts.discrete_laplace import RandBelow
    from edge_scanner.core.model import Tally

NEARBY = "nearby"
"""Phones that stay."""
_NO_PHONES = {*device_class.FIGURES, PASSING} - {device_class.DeviceClass.PHONE.figure}

SENSITIVITY = 66
"""Device-minutes of one device in an hour with a radio that always listens: see `Counter.sensitivity`."""

SETTLE_S = 600
"""A bin whose last tallies never came is closed so long after its end; the slowest counter is five minutes late."""

CATCH_UP_BINS = 24
"""A clock that leaps forward leaves at most so many empty bins; the rest were never watched."""

REMEMBERED = 4096
"""Names of released bins: two ledgers for two weeks. The store's key refuses older ones."""

MAX_BODY = 8192
"""A report with thirty figures has 1 kB."""

ROUND_TO = 5
SHOWN_FROM = 10
"""What a reader is shown: multiples of 5 and "<10" below 10. It calms the eye; the noise is what protects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one reader gets: bins of `bin_s` seconds (a divisor of a day) at `epsilon` per device-hour.

    `total_only`: nothing but `nearby`, with the whole budget; else the tracing figures have half of it.
    """

    ledger: str
    bin_s: int
    epsilon: float
    total_only: bool = False

    def scale(self, sensitivity: int) -> Fraction:
        """The Laplace scale of each figure, for a device that adds at most `sensitivity` device-minutes an hour."""
        return noise_scale(sensitivity if self.total_only else 2 * sensitivity, self.epsilon)


BROKER = Budget(ledger="broker", bin_s=3600, epsilon=0.25)
DISPLAY = Budget(ledger="display", bin_s=600, epsilon=1.0, total_only=True)


class _Bin:
    """The bin being filled: plain sums, in memory only."""

    __slots__ = ("end_s", "last_minute_s", "minutes", "start_s", "sums")

    def __init__(self, start_s: int, end_s: int, figures: Iterable[str]) -> None:
        self.start_s = start_s
        self.end_s = end_s
        self.minutes = 0
        self.last_minute_s = start_s - MINUTE_S
        self.sums = dict.fromkeys(figures, 0)


class _Book:
    """One budget's bins, one after the other without a gap while the clock is sound."""

    def __init__(self, budget: Budget, figures: tuple[str, ...], laplace: Laplace) -> None:
        self.budget = budget
        self._figures = (NEARBY,) if budget.total_only else (NEARBY, *tracing(figures))
        self._laplace = laplace
        self._open: _Bin | None = None
        self._released: deque[int] = deque(maxlen=REMEMBERED)
        self.done: list[Report] = []

    def remember(self, start_s: int) -> None:
        self._released.append(start_s)

    def add(self, tally: Tally) -> None:
        minute_s = tally.minute_s
        if self._open is None and not tally.listened_s:
            return
        if self._open is not None and minute_s <= self._open.last_minute_s:
            # The clock went back: these are other minutes under the same name.
            self.flush()
        self.roll(minute_s)
        if self._open is None:
            self._begin(minute_s)
        bin_ = self._open
        if bin_ is None:
            return
        bin_.last_minute_s = minute_s
        if tally.listened_s >= MINUTE_S / 2:
            bin_.minutes += 1
            counts = {**tally.figures, NEARBY: _nearby(tally.figures)}
            for figure in self._figures:
                bin_.sums[figure] += counts[figure]
        if minute_s + MINUTE_S >= bin_.end_s:
            self._close_bin()
            self._begin(bin_.end_s)

    def roll(self, minute_s: int) -> None:
        """Close the bins that end before `minute_s`, the empty ones between too."""
        for _ in range(CATCH_UP_BINS):
            if self._open is None or minute_s < self._open.end_s:
                return
            end_s = self._open.end_s
            self._close_bin()
            self._begin(end_s)
        if self._open is not None and minute_s >= self._open.end_s:
            self._open = None

    def _begin(self, minute_s: int) -> None:
        grid_s = minute_s - minute_s % self.budget.bin_s
        start_s = grid_s if grid_s not in self._released else minute_s
        if start_s not in self._released:
            self._open = _Bin(start_s, grid_s + self.budget.bin_s, self._figures)

    def flush(self) -> None:
        """Close the open bin early; one without a minute leaves its name to a later run."""
        if self._open is not None and self._open.minutes:
            self._close_bin()
        self._open = None

    def _close_bin(self) -> None:
        """Noise the open bin: the one place where a number about people is made public."""
        bin_ = self._open
        assert bin_ is not None  # noqa: S101 (every caller has looked)
        self._open = None
        self._released.append(bin_.start_s)
        figures = {name: total + self._laplace.draw() for name, total in bin_.sums.items()}
        self.done.append(
            Report(
                ledger=self.budget.ledger,
                bin_start_s=bin_.start_s,
                bin_s=bin_.end_s - bin_.start_s,
                minutes_covered=bin_.minutes,
                epsilon=self.budget.epsilon,
                scale=float(self._laplace.scale),
                figures=figures,
            )
        )


class Ledger:
    """The ledgers of one box: every tally enters each of them once, every bin leaves each of them once.

    `figures` and `sensitivity` are the counter's. `resume` takes what was released before this run.
    """

    def __init__(
        self,
        budgets: Sequence[Budget] = (BROKER, DISPLAY),
        *,
        figures: Sequence[str],
        sensitivity: int = SENSITIVITY,
        randbelow: RandBelow = secrets.randbelow,
    ) -> None:
        self._books = [
            _Book(budget, tuple(figures), Laplace(budget.scale(sensitivity), randbelow=randbelow)) for budget in budgets
        ]

    def resume(self, releases: Iterable[Release]) -> None:
        """Remember bins released by earlier runs, in any order, before the first tally of this one."""
        books = {book.budget.ledger: book for book in self._books}
        for release in sorted(releases, key=lambda release: release.bin_start_s):
            if book := books.get(release.ledger):
                book.remember(release.bin_start_s)

    def add(self, tally: Tally) -> None:
        """Take one minute's tally; a minute listened to for less than half of it is not covered."""
        for book in self._books:
            book.add(tally)

    def due(self, now_s: float) -> tuple[Report, ...]:
        """The reports of the bins that are over, the same objects on each call until they are forgotten."""
        for book in self._books:
            book.roll(int(now_s) - SETTLE_S)
        return tuple(report for book in self._books for report in book.done)

    def flush(self, now_s: float) -> tuple[Report, ...]:
        """The end of a run: what `due` gives and the open bins with the minutes they have."""
        self.due(now_s)
        for book in self._books:
            book.flush()
        return self.due(now_s)

    def leap(self) -> None:
        """The clock leapt forward: close the open bins with the minutes they have, and release none in between."""
        for book in self._books:
            book.flush()

    def forget(self, reports: Iterable[Report]) -> None:
        """These were stored with their outbox rows in one transaction."""
        gone = {id(report) for report in reports}
        for book in self._books:
            book.done = [report for report in book.done if id(report) not in gone]


def tracing(figures: Iterable[str]) -> tuple[str, ...]:
    """The figures of protocols among a counter's: one per protocol and kind, and those who pass."""
    return tuple(name for name in figures if name not in device_class.FIGURES)


def _nearby(figures: Mapping[str, int]) -> int:
    """Every phone that stays: recognised by a protocol or by its class."""
    return sum(value for name, value in figures.items() if name not in _NO_PHONES)


def to_release(report: Report) -> Release:
    """The report as the store keeps it, body canonical JSON."""
    body = {
        "bin_s": report.bin_s,
        "bin_start_s": report.bin_start_s,
        "epsilon": report.epsilon,
        "figures": dict(report.figures),
        "ledger": report.ledger,
        "minutes_covered": report.minutes_covered,
        "scale": report.scale,
    }
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Release(ledger=report.ledger, bin_start_s=report.bin_start_s, body=text.encode())


def from_release(release: Release) -> Report:
    """The report that was stored; raises BadDataError when the body is not one or belongs to another bin."""
    where = f"release {release.ledger} {release.bin_start_s}"
    if len(release.body) > MAX_BODY:
        raise BadDataError("a stored release is too long", where=where)
    try:
        body = json.loads(release.body)
        report = Report(
            ledger=str(body["ledger"]),
            bin_start_s=int(body["bin_start_s"]),
            bin_s=int(body["bin_s"]),
            minutes_covered=int(body["minutes_covered"]),
            epsilon=float(body["epsilon"]),
            scale=float(body["scale"]),
            figures={str(name): int(value) for name, value in body["figures"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadDataError("a stored release is damaged", where=where) from error
    if (report.ledger, report.bin_start_s) != (release.ledger, release.bin_start_s):
        raise BadDataError("a stored release belongs to another bin", where=where)
    return report


def devices(report: Report, figure: str) -> float | None:
    """Mean devices present in the covered minutes, at least 0; None when no minute was covered."""
    if not report.minutes_covered:
        return None
    return max(report.figures[figure] / report.minutes_covered, 0.0)


def shown(report: Report, figure: str) -> str:
    """`devices` for a reader: a multiple of 5, `<10` below 10, empty when no minute was covered."""
    mean = devices(report, figure)
    if mean is None:
        return ""
    if mean < SHOWN_FROM:
        return f"<{SHOWN_FROM}"
    return str(ROUND_TO * math.floor(mean / ROUND_TO + 0.5))
