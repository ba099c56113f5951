"""What the boxes of a site add up to, against hand-made values and against draws of their noise."""

from __future__ import annotations

import random
from fractions import Fraction
from math import sqrt

import pytest

from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.intervals import Present
from edge_scanner.core.counts.site_total import SAME_HALL, SEPARATE, Part, total


def part(mean: float, half: float = 6.0, week: float = 0.0) -> Part:
    """A box in a bin."""
    return Part(mean=mean, half=half, week=week)


@pytest.mark.parametrize(
    ("parts", "rule", "expected"),
    [
        ((), SEPARATE, None),
        ((), SAME_HALL, None),
        ((part(40.0), part(60.0, 8.0)), SEPARATE, Present(mean=100.0, low=90.0, high=110.0)),
        # A gate where nobody is keeps its noise below zero: a sum of shown figures would grow by each empty gate.
        ((part(40.0), part(-5.0, 8.0)), SEPARATE, Present(mean=35.0, low=25.0, high=45.0)),
        ((part(3.0), part(2.0, 8.0)), SEPARATE, Present(mean=0.0, low=0.0, high=15.0)),
        # The largest is the week's, whatever the noise of one bin says.
        ((part(40.0, week=50.0), part(60.0, week=10.0)), SAME_HALL, Present(mean=40.0, low=34.0, high=46.0)),
        ((part(2.0, week=50.0), part(60.0, week=10.0)), SAME_HALL, Present(mean=0.0, low=0.0, high=8.0)),
    ],
)
def test_by_the_rule(parts: tuple[Part, ...], rule: str, expected: Present | None) -> None:
    """A sum has the interval of the sum; one hall has its largest box with that one's interval; nobody has nothing."""
    assert total(parts, rule) == expected


def test_interval_holds_the_true_sum() -> None:
    """Of sums over three boxes whose true number is 120, 95 in 100 intervals hold it, one or two more or less."""
    draws = 4000
    noise = Laplace(Fraction(230), randbelow=random.Random(20).randrange)
    half = intervals.DEVIATIONS * sqrt(2) * 230 / 60
    held = 0
    for _ in range(draws):
        found = total([part(40 + noise.draw() / 60, half) for _ in range(3)], SEPARATE)
        assert found is not None
        held += found.low <= 120 <= found.high
    assert 0.935 < held / draws < 0.965
