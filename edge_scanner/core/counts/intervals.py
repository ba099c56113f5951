"""The noise of sums of released bins: what "95 %" beside a figure is made of."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts import difference_noise
from edge_scanner.core.counts.difference_noise import covariance
from edge_scanner.core.counts.release import NEARBY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.core.model import Report

DEVIATIONS = 2
"""Of a noise between Laplace and normal, 94 to 96 % are within so many deviations."""

_FORGOTTEN = 20
"""Bins after which the noise of a figure is no part of another's: 2**-20."""


def deviation(reports: Iterable[Report]) -> float:
    """Deviation of the sum of `nearby` over disjoint bins of one ledger and box, device-minutes.

    Each bin's noise holds a share of the noise before it. Where a restart lies between them it does not, which is not
    known here, and the answer is then a little too large.
    """
    bins = sorted(reports, key=lambda report: report.bin_start_s)
    if not bins:
        return 0.0
    figure_s = max(report.bin_s / report.parts for report in bins)
    total = 0.0
    for number, early in enumerate(bins):
        first = (sqrt(2) * early.scale, early.parts)
        total += first[0] ** 2
        for late in bins[number + 1 :]:
            gap = max(0, round((late.bin_start_s - early.bin_start_s - early.bin_s) / figure_s))
            if gap > _FORGOTTEN:
                break
            total += 2 * covariance(first, (sqrt(2) * late.scale, late.parts), gap)
    return sqrt(total)


def of_successive(bins: int, parts: int) -> float:
    """Variance of the sum of `bins` successive bins over that of independent ones; each is a sum of `parts` figures."""
    alone = difference_noise.deviation(1, parts)
    return (difference_noise.deviation(1, bins * parts) / alone) ** 2 / bins


def tracing_variance(report: Report) -> float:
    """Variance of one tracing figure, device-minutes squared: it has a draw of its own."""
    return 2 * (report.tracing_scale or report.scale) ** 2


def error(report: Report, figure: str) -> float:
    """Half the 95 % interval of a figure, device-minutes."""
    return DEVIATIONS * (sqrt(2) * report.scale if figure == NEARBY else sqrt(tracing_variance(report)))


def devices(report: Report, figure: str) -> float | None:
    """Mean devices present in the covered minutes; 0 where the noise could be all of it, None without a minute."""
    if not report.minutes_covered:
        return None
    value = report.figures[figure]
    return value / report.minutes_covered if value >= error(report, figure) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Whole devices present on average, and the ends of the 95 % interval; `likely` is 0 where it may be none."""

    likely: int
    low: int
    high: int


def bounds(report: Report, figure: str) -> Bounds | None:
    """`devices` with its interval, neither below 0; None without a minute."""
    mean = devices(report, figure)
    if mean is None:
        return None
    half = error(report, figure) / report.minutes_covered
    if not mean:
        return Bounds(likely=0, low=0, high=round(max(report.figures[figure] / report.minutes_covered, 0.0) + half))
    return Bounds(likely=round(mean), low=max(0, round(mean - half)), high=round(mean + half))


def shown(report: Report, figure: str) -> str:
    """`devices` for a reader with its 95 % interval: `41 ± 11`, `0-14` where it may be none, empty without a minute."""
    found = bounds(report, figure)
    if found is None:
        return ""
    if not found.likely:
        return f"0-{found.high}"
    return f"{found.likely} ± {round(error(report, figure) / report.minutes_covered)}"
