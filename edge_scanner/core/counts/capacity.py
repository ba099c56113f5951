"""Whether a venue is over the limit that it set itself: a function of the screen's released curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.counts.occupancy import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.core.counts.occupancy import Point

_ENDS_BELOW = 0.9
"""An alarm ends at nine tenths of the limit, or a crowd that stands at it would ring all day."""


def over_limit(limit: int, level: Level, curve: Iterable[Point]) -> bool | None:
    """Whether the curve reached the limit and has not fallen below nine tenths of it since; None when nobody knows
    or there is no limit.

    The curve begins at midnight (in the first week 24 hours ago), so that nobody knows until its first bin is over. It
    is rounded: a limit is worth setting from ten.
    """
    if not limit or level is Level.UNKNOWN:
        return None
    over = None
    for point in curve:
        if point.devices is not None:
            over = point.devices >= limit * (_ENDS_BELOW if over else 1)
    return over
