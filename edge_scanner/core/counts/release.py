"""Tallies in, noised reports out: the only maker of a `Report`, so nothing else can publish a number about people.

Device-minutes are summed over a bin of the display and noised once, when the bin is over (`difference_noise.py`). What
the broker gets is computed from what the display got, so that whoever sees both spends one budget. `nearby`, the phones
that stay, is the figure that people use. Where tracing figures are released beside it (one per protocol and kind, a
partition) it has half of the budget, and each of them the other half by parallel composition, with a draw of its own
for each bin of the broker. Accessories, things and computers are not released: a figure that nobody uses costs nothing.
Turned down: `nearby` as the sum of ten noised figures (a mean error of 15.7 phones an hour where one draw has 4.1); a
ledger for each reader (their budgets add up: 10 in eight hours); distinct identifiers and sketches, which a published
case key turns into a look-up table; fresh noise on a retry, which averages away.

A bin is named by its start. Its name is the grid's, unless the run began in a bin that was already released in part:
then it is named by its first minute. So each device-minute is in one release, and a name is released once.
"""

from __future__ import annotations

import json
import math
import secrets
from collections import deque
from typing import TYPE_CHECKING

from edge_scanner.core.counts import device_class
from edge_scanner.core.counts.difference_noise import Chain
from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.estimator import MINUTE_S, PASSING
from edge_scanner.core.counts.privacy_budget import BUDGET, SENSITIVITY, Budget, equivalent_scale
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import Release, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_scanner.core.counts.discrete_laplace import RandBelow
    from edge_scanner.core.model import Tally

BROKER = "broker"
DISPLAY = "display"
"""The two ledgers, by who reads them."""

NEARBY = "nearby"
"""Phones that stay."""
_NO_PHONES = {*device_class.FIGURES, PASSING} - {device_class.DeviceClass.PHONE.figure}

SETTLE_S = 600
"""A bin whose last tallies never came is closed so long after its end; the slowest counter is five minutes late."""

CATCH_UP_BINS = 48
"""A clock that leaps forward leaves at most so many empty bins; the rest were never watched."""

REMEMBERED = 4096
"""Names of released bins: a ledger for two weeks at least. The store's key refuses older ones."""

MAX_BODY = 8192
"""A report with thirty figures has 1 kB."""


class _Bin:
    """A bin being filled: plain sums, in memory only. `parts` are the display's bins in one of the broker."""

    __slots__ = ("end_s", "last_minute_s", "minutes", "parts", "start_s", "sums")

    def __init__(self, start_s: int, end_s: int, figures: Iterable[str]) -> None:
        self.start_s = start_s
        self.end_s = end_s
        self.minutes = 0
        self.parts = 0
        self.last_minute_s = start_s - MINUTE_S
        self.sums = dict.fromkeys(figures, 0)


class Ledger:
    """The ledgers of one box: every tally enters once, every bin leaves once, the broker's made of the display's.

    `figures` and `sensitivity` are the counter's. `resume` takes what was released before this run.
    """

    def __init__(
        self,
        budget: Budget = BUDGET,
        *,
        figures: Sequence[str],
        sensitivity: int = SENSITIVITY,
        randbelow: RandBelow = secrets.randbelow,
    ) -> None:
        self._budget = budget
        self._tracing = tracing(figures) if budget.tracing_figures and budget.broker_bin_s else ()
        self._draw = float(budget.draw(sensitivity))
        self._chain = Chain(Laplace(budget.draw(sensitivity), randbelow=randbelow))
        self._tracing_laplace = Laplace(budget.tracing_draw(sensitivity), randbelow=randbelow)
        self._epsilon = math.ceil(budget.hour_epsilon(sensitivity) * 10_000) / 10_000
        self._released: dict[str, deque[int]] = {name: deque(maxlen=REMEMBERED) for name in (BROKER, DISPLAY)}
        self._open: _Bin | None = None
        self._broker: _Bin | None = None
        self._done: list[Report] = []

    def resume(self, releases: Iterable[Release]) -> None:
        """Remember bins released by earlier runs, in any order, before the first tally of this one."""
        for release in sorted(releases, key=lambda release: release.bin_start_s):
            if (names := self._released.get(release.ledger)) is not None:
                names.append(release.bin_start_s)

    def add(self, tally: Tally) -> None:
        """Take one minute's tally; a minute listened to for less than half of it is not covered."""
        minute_s = tally.minute_s
        if self._open is None and not tally.listened_s:
            return
        if self._open is not None and minute_s <= self._open.last_minute_s:
            # The clock went back: these are other minutes under the same name.
            self.leap()
        self._roll(minute_s)
        if self._open is None:
            self._begin(minute_s)
        bin_ = self._open
        if bin_ is None:
            return
        bin_.last_minute_s = minute_s
        if tally.listened_s >= MINUTE_S / 2:
            bin_.minutes += 1
            counts = {**tally.figures, NEARBY: _nearby(tally.figures)}
            for figure in bin_.sums:
                bin_.sums[figure] += counts[figure]
        if minute_s + MINUTE_S >= bin_.end_s:
            self._close(bin_)
            self._begin(bin_.end_s)

    def due(self, now_s: float) -> tuple[Report, ...]:
        """The reports of the bins that are over, the same objects on each call until they are forgotten."""
        self._roll(int(now_s) - SETTLE_S)
        return tuple(self._done)

    def flush(self, now_s: float) -> tuple[Report, ...]:
        """The end of a run: what `due` gives and the open bins with the minutes they have."""
        self.due(now_s)
        self.leap()
        return self.due(now_s)

    def leap(self) -> None:
        """Close the open bins with the minutes they have, and release none in between: the clock leapt, or it ends.

        A bin without a minute leaves its name to a later run.
        """
        if self._open is not None and self._open.minutes:
            self._close(self._open)
        self._open = None
        self._close_broker()

    def forget(self, reports: Iterable[Report]) -> None:
        """These were stored with their outbox rows in one transaction."""
        gone = {id(report) for report in reports}
        self._done = [report for report in self._done if id(report) not in gone]

    def _roll(self, minute_s: int) -> None:
        """Close the bins that end before `minute_s`, the empty ones between too."""
        for _ in range(CATCH_UP_BINS):
            if self._open is None or minute_s < self._open.end_s:
                break
            end_s = self._open.end_s
            self._close(self._open)
            self._begin(end_s)
        if self._open is not None and minute_s >= self._open.end_s:
            self._open = None
        if self._open is None and self._broker is not None and minute_s >= self._broker.end_s:
            self._close_broker()

    def _begin(self, minute_s: int) -> None:
        self._open = self._named(DISPLAY, self._budget.display_bin_s, minute_s, (NEARBY, *self._tracing))

    def _named(self, ledger: str, bin_s: int, minute_s: int, figures: Sequence[str]) -> _Bin | None:
        """A bin that begins with this minute; None where its names are taken."""
        grid_s = minute_s - minute_s % bin_s
        start_s = grid_s if grid_s not in self._released[ledger] else minute_s
        return _Bin(start_s, grid_s + bin_s, figures) if start_s not in self._released[ledger] else None

    def _close(self, bin_: _Bin) -> None:
        """Noise a bin of the display: the one place where the number of phones is made public."""
        self._open = None
        figure = self._chain.figure(bin_.sums[NEARBY])
        self._release(DISPLAY, bin_, {NEARBY: figure}, parts=1)
        if not self._budget.broker_bin_s:
            return
        if self._broker is None:
            self._broker = self._named(BROKER, self._budget.broker_bin_s, bin_.start_s, (*bin_.sums,))
        broker = self._broker
        if broker is None:
            return
        broker.parts += 1
        broker.minutes += bin_.minutes
        for name, value in {**bin_.sums, NEARBY: figure}.items():
            broker.sums[name] += value
        if bin_.end_s >= broker.end_s:
            self._close_broker(empty=True)

    def _close_broker(self, *, empty: bool = False) -> None:
        """Release the broker's bin: `nearby` as the display had it, each tracing figure with a draw of its own."""
        broker, self._broker = self._broker, None
        if broker is None or not (broker.minutes or empty):
            return
        figures = {name: total + self._tracing_laplace.draw() for name, total in broker.sums.items() if name != NEARBY}
        self._release(BROKER, broker, {NEARBY: broker.sums[NEARBY], **figures}, parts=broker.parts)

    def _release(self, ledger: str, bin_: _Bin, figures: dict[str, int], *, parts: int) -> None:
        self._released[ledger].append(bin_.start_s)
        self._done.append(
            Report(
                ledger=ledger,
                bin_start_s=bin_.start_s,
                bin_s=bin_.end_s - bin_.start_s,
                minutes_covered=bin_.minutes,
                epsilon=self._epsilon,
                scale=equivalent_scale(self._draw, parts),
                tracing_scale=float(self._tracing_laplace.scale) if len(figures) > 1 else None,
                parts=parts,
                figures=figures,
            )
        )


def tracing(figures: Iterable[str]) -> tuple[str, ...]:
    """The figures of protocols among a counter's: one per protocol and kind, and those who pass."""
    return tuple(name for name in figures if name not in device_class.FIGURES)


def _nearby(figures: Mapping[str, int]) -> int:
    """Every phone that stays: recognised by a protocol or by its class."""
    return sum(value for name, value in figures.items() if name not in _NO_PHONES)


def to_release(report: Report) -> Release:
    """The report as the store keeps it, body canonical JSON."""
    body: dict[str, object] = {
        "bin_s": report.bin_s,
        "bin_start_s": report.bin_start_s,
        "epsilon": report.epsilon,
        "figures": dict(report.figures),
        "ledger": report.ledger,
        "minutes_covered": report.minutes_covered,
        "parts": report.parts,
        "scale": report.scale,
    }
    if report.tracing_scale is not None:
        body["tracing_scale"] = report.tracing_scale
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
            tracing_scale=float(body["tracing_scale"]) if "tracing_scale" in body else None,
            # Releases of an older version have neither; their bins were one draw.
            parts=max(1, int(body.get("parts", 1))),
            figures={str(name): int(value) for name, value in body["figures"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadDataError("a stored release is damaged", where=where) from error
    if (report.ledger, report.bin_start_s) != (release.ledger, release.bin_start_s):
        raise BadDataError("a stored release belongs to another bin", where=where)
    return report
