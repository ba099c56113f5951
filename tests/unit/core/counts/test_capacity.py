"""The capacity alarm follows the released curve, and does not flicker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_scanner.core.counts.capacity import over_limit
from edge_scanner.core.counts.occupancy import Crowd, Point
from tests.support import snapshots
from tests.support.snapshots import VENUE


@pytest.mark.parametrize(
    ("curve", "over"),
    [
        ((50, 80, 95), False),
        ((50, 100), True),
        ((50, 100, 95), True),
        ((50, 100, None, 90), True),
        ((50, 100, 85), False),
        ((100, 85, 95), False),
        ((), False),
    ],
)
def test_begins_at_the_limit_and_ends_at_nine_tenths(curve: tuple[int | None, ...], over: bool) -> None:
    """A gap changes nothing."""
    points = tuple(Point(at_s=number * 1800, devices=devices) for number, devices in enumerate(curve))
    assert over_limit(replace(snapshots.snapshot(venue=replace(VENUE, limit=100)), today=points)) is over


def test_nobody_knows() -> None:
    """Without a limit, and while the screen has no word."""
    snapshot = snapshots.snapshot(venue=replace(VENUE, limit=100))
    assert over_limit(replace(snapshot, crowd=Crowd())) is None
    assert over_limit(snapshots.snapshot()) is None
