"""The noise of sums of released bins: what "95 %" beside a figure is made of."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.difference_noise import covariance

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


def tracing_variance(report: Report) -> float:
    """Variance of one tracing figure, device-minutes squared: it has a draw of its own."""
    return 2 * (report.tracing_scale or report.scale) ** 2
