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
class Share:
    """Of the phones nearby, 0..1, those that run the app, with its 95 % range."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption(Share):
    """The share over `device_hours` of released presence."""

    device_hours: float


def share(inside: float, nearby: float, *, inside_variance: float, nearby_variance: float) -> Share | None:
    """`inside` of `nearby`, both sums of noised figures whose noises are independent; None where noise hides it.

    An `inside_variance` of 0 is a protocol that nobody counted.
    """
    if not inside_variance or nearby <= LEAST_NEARBY_DEVIATIONS * sqrt(nearby_variance):
        return None
    found = inside / nearby
    # First order of a ratio whose noises are independent.
    error = SURE * sqrt(inside_variance + found**2 * nearby_variance) / nearby
    low, middle, high = (min(max(one, 0.0), 1.0) for one in (found - error, found, found + error))
    return Share(share=middle, low=low, high=high)


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
    found = share(inside, nearby, inside_variance=inside_variance, nearby_variance=nearby_variance)
    if found is None:
        return None
    return Adoption(share=found.share, low=found.low, high=found.high, device_hours=nearby / 60)
