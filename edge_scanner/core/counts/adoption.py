"""Which share of the phones nearby runs a protocol, from released reports only, so it costs no privacy.

`nearby` holds phones of every kind, and one that advertises twice is two: the share is a floor. Said with its noise:
where the noise could be the whole answer, there is none. It needs the tracing figures ([counts] tracing_figures).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.intervals import deviation, tracing_variance
from edge_scanner.core.counts.release import NEARBY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.core.model import Report

SURE = 1.96
"""Two-sided 95 % of a normal distribution; sums of a day's Laplace noises are close to one."""

LEAST_NEARBY_DEVIATIONS = 5.0
"""Below this the denominator's own noise makes the ratio and its range meaningless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """`share` of the phones nearby, 0..1, with its 95 % range, over `device_hours` of released presence."""

    share: float
    low: float
    high: float
    device_hours: float


def adoption(reports: Iterable[Report], protocol: str = "bluezone") -> Adoption | None:
    """Phones of `protocol`, with and without an identifier, among all phones; None where noise hides the answer.

    Take one ledger's disjoint bins, of a day or more: the range shrinks with the root of their number.
    """
    reports = tuple(reports)
    nearby_variance = deviation(reports) ** 2
    ours = (protocol, f"{protocol}_presence")
    inside = nearby = inside_variance = 0.0
    for report in reports:
        nearby += report.figures[NEARBY]
        for name in ours:
            if name in report.figures:
                inside += report.figures[name]
                inside_variance += tracing_variance(report)
    if not inside_variance or nearby <= LEAST_NEARBY_DEVIATIONS * sqrt(nearby_variance):
        return None
    share = inside / nearby
    # First order of a ratio whose noises are independent.
    error = SURE * sqrt(inside_variance + share**2 * nearby_variance) / nearby
    return Adoption(
        share=min(max(share, 0.0), 1.0),
        low=min(max(share - error, 0.0), 1.0),
        high=min(max(share + error, 0.0), 1.0),
        device_hours=nearby / 60,
    )
