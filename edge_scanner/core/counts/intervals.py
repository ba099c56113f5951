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


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Mean devices present and the ends of the 95 % interval of the noise; all 0 but `high` where it could be all."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """`41 ± 11`, or `0-14` where it may be none."""
        if not round(self.mean):
            return f"0-{round(self.high)}"
        return f"{round(self.mean)} ± {round(self.high - self.mean)}"


def present(total: float, minutes: int, deviation: float) -> Present | None:
    """Devices by device-minutes over covered minutes, and the deviation of their noise; None without a minute."""
    return around(total / minutes, DEVIATIONS * deviation / minutes) if minutes else None


def around(mean: float, half: float) -> Present:
    """What a reader sees of a mean and half its 95 % interval: nothing negative, none where it could be all noise."""
    if mean < half:
        return Present(mean=0.0, low=0.0, high=max(mean, 0.0) + half)
    return Present(mean=mean, low=mean - half, high=mean + half)


def of(report: Report, figure: str) -> Present | None:
    """A figure of a released bin as a reader sees it."""
    return present(report.figures[figure], report.minutes_covered, error(report, figure) / DEVIATIONS)


def tenths(found: Present | None) -> tuple[float, float, float] | tuple[None, None, None]:
    """Mean and ends as programs get them."""
    return (None, None, None) if found is None else (round(found.mean, 1), round(found.low, 1), round(found.high, 1))
