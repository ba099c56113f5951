"""What is always here, and what is usual, learnt from the venue's own released bins: it costs no privacy.

Phones that nobody carries (a television that speaks like one, tablets on a wall) are counted day and night. How many
they are is the median of the nights' means of a week, so that one feast does not count; it is learnt anew every Monday
morning and holds for the week. The hours are fixed: the quietest of a night would be the one with the luckiest noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi, sqrt
from statistics import median, quantiles
from typing import TYPE_CHECKING

from edge_scanner.core.counts import occupancy
from edge_scanner.core.counts.intervals import DEVIATIONS, deviation
from edge_scanner.core.counts.release import NEARBY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_scanner.core.counts.occupancy import Thresholds
    from edge_scanner.core.model import Report

NIGHT_S = (3600, 18_000)
"""One to five o'clock of the venue's time."""

LEAST_NIGHTS = 2

MONDAY_S = 4 * occupancy.DAY_S
"""The epoch was a Thursday; the first Monday came four days later."""

USUAL_SHARES = (0.5, 0.85)
"""Busier than half of the hours with people is moderate, busier than 85 % of them is busy."""

LEAST_BINS = 50
"""Bins with people that quantiles are taken of: some days' worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """`devices` that are always here, 0 where noise could be all of it, with half a 95 % interval."""

    devices: float
    error: float
    nights: int


def learn(reports: Iterable[Report], utc_offset_s: int, now_s: float, *, since_s: float = 0.0) -> Baseline | None:
    """From the display bins of any time, in any order; None before there are two nights since `since_s`.

    The week ends on the latest Monday, 05:00; before the first such week the nights up to now stand for it.
    """
    nights: dict[int, list[Report]] = {}
    for report in reports:
        local_s = report.bin_start_s + utc_offset_s
        if report.bin_start_s < since_s or not occupancy.usable(report):
            continue
        if NIGHT_S[0] <= local_s % occupancy.DAY_S and local_s % occupancy.DAY_S + report.bin_s <= NIGHT_S[1]:
            nights.setdefault(local_s // occupancy.DAY_S * occupancy.DAY_S, []).append(report)
    local_now_s = now_s + utc_offset_s
    monday_s = local_now_s - (local_now_s - NIGHT_S[1] - MONDAY_S) % occupancy.WEEK_S
    for end_s in (monday_s, local_now_s):
        week = [bins for night_s, bins in nights.items() if end_s - occupancy.WEEK_S <= night_s < end_s]
        if len(week) >= LEAST_NIGHTS:
            return _of(week)
    return None


def _of(week: Sequence[Sequence[Report]]) -> Baseline:
    means = []
    variance = 0.0
    for bins in week:
        minutes = sum(report.minutes_covered for report in bins)
        means.append(sum(report.figures[NEARBY] for report in bins) / minutes)
        variance += (deviation(bins) / minutes) ** 2
    # A median of n wastes a factor of pi / 2 in the variance of their mean.
    error = DEVIATIONS * sqrt(variance * pi / 2) / len(week)
    devices = median(means)
    return Baseline(devices=devices if devices >= error else 0.0, error=error, nights=len(week))


def usual(reports: Iterable[Report], thresholds: Thresholds, now_s: float) -> Thresholds:
    """`thresholds` with edges at quantiles of the venue's own three weeks; unchanged while there are too few bins.

    Bins that noise could explain as empty are left out: nights would make every day busy.
    """
    values = []
    for report in reports:
        if occupancy.usable(report) and now_s - 3 * occupancy.WEEK_S <= report.bin_start_s <= now_s:
            value, noise = occupancy.measure((report,), thresholds)
            if value >= DEVIATIONS * noise:
                values.append(value)
    if len(values) < LEAST_BINS:
        return thresholds
    cuts = quantiles(values, n=100)
    moderate, busy = (round(cuts[round(share * 100) - 1]) for share in USUAL_SHARES)
    return replace(thresholds, moderate_from=moderate, busy_from=busy) if 0 < moderate < busy else thresholds
