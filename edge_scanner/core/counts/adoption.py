"""Which share of the devices nearby runs a protocol, from released reports only, so it costs no privacy.

`nearby` holds headsets and watches too, and a phone may advertise twice: the share is of Bluetooth devices that stay,
a floor for the share of phones. Said with its noise: where the noise could be the whole answer, there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.estimator import PASSING
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
    """`share` of the devices nearby, 0..1, with its 95 % range, over `device_hours` of released presence."""

    share: float
    low: float
    high: float
    device_hours: float


def adoption(reports: Iterable[Report], protocol: str = "bluezone") -> Adoption | None:
    """Phones of `protocol`, with and without an identifier, among all devices; None where noise hides the answer.

    Take one ledger's disjoint bins, of a day or more: the range shrinks with the root of their number.
    """
    ours = (protocol, f"{protocol}_presence")
    inside = outside = inside_variance = outside_variance = 0.0
    for report in reports:
        variance = 2 * report.scale**2
        for name, value in report.figures.items():
            if name in ours:
                inside += value
                inside_variance += variance
            elif name not in (NEARBY, PASSING):
                outside += value
                outside_variance += variance
    nearby = inside + outside
    if nearby <= LEAST_NEARBY_DEVIATIONS * sqrt(inside_variance + outside_variance):
        return None
    share = inside / nearby
    # First order of inside / (inside + outside), whose noises are independent.
    error = SURE * sqrt(outside**2 * inside_variance + inside**2 * outside_variance) / nearby**2
    return Adoption(
        share=min(max(share, 0.0), 1.0),
        low=min(max(share - error, 0.0), 1.0),
        high=min(max(share + error, 0.0), 1.0),
        device_hours=nearby / 60,
    )
