"""The capacity alarm follows the released curve, and does not flicker."""

from __future__ import annotations

import pytest

from edge_scanner.core.counts.capacity import over_limit
from edge_scanner.core.counts.occupancy import Level, Point


@pytest.mark.parametrize(
    ("curve", "over"),
    [
        ((50, 80, 95), False),
        ((50, 100), True),
        ((50, 100, 95), True),
        ((50, 100, None, 90), True),
        ((50, 100, 85), False),
        ((100, 85, 95), False),
    ],
)
def test_begins_at_the_limit_and_ends_at_nine_tenths(curve: tuple[int | None, ...], over: bool) -> None:
    """A gap changes nothing."""
    points = tuple(Point(at_s=number * 1800, devices=devices) for number, devices in enumerate(curve))
    assert over_limit(100, Level.QUIET, points) is over


def test_nobody_knows() -> None:
    """Without a limit, while the screen has no word, and at midnight: a crowd that stays is not told to be gone."""
    assert over_limit(100, Level.UNKNOWN, (Point(at_s=0, devices=200),)) is None
    assert over_limit(0, Level.BUSY, (Point(at_s=0, devices=200),)) is None
    assert over_limit(100, Level.BUSY, ()) is None
    assert over_limit(100, Level.BUSY, (Point(at_s=0, devices=None),)) is None
