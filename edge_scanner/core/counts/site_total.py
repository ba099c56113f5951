"""What several boxes of one site add up to in one bin, by the site's rule, with the interval of the sum that it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING

from edge_scanner.core.counts.intervals import around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.core.counts.intervals import Present

SEPARATE, SAME_HALL = "separate", "same hall"
"""The site's rule: its boxes hear different people, or the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One box in one bin: its mean phones as released, so at times below zero, and half their 95 % interval.

    `week` is the box's mean over its week, by which the largest is chosen.
    """

    mean: float
    half: float
    week: float


def total(parts: Sequence[Part], rule: str) -> Present | None:
    """The boxes' sum or, in one hall, its largest box; None without a box.

    The boxes draw their noises apart from one another, so variances add up. The largest is that of the week: in one bin
    it would be the one whose noise was highest.
    """
    if not parts:
        return None
    if rule == SAME_HALL:
        largest = max(parts, key=lambda part: part.week)
        return around(largest.mean, largest.half)
    return around(sum(part.mean for part in parts), hypot(*(part.half for part in parts)))
