"""Hours put together, with the interval of the sum that they are."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from edge_scanner.core.counts import hours
from edge_scanner.core.counts.difference_noise import Chain
from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.hours import Hour
from edge_scanner.core.counts.privacy_budget import equivalent_scale

DRAW = 229.231
SCALE = equivalent_scale(DRAW, 1)
DAY_S = 86_400


def hour(number: int, nearby: int = 2400, *, minutes: int = 60, parts: int = 2) -> Hour:
    """The `number`th hour since 1970."""
    return Hour(start_s=number * 3600, minutes=minutes, nearby=nearby, scale=SCALE, parts=parts)


def day(at_s: int) -> int:
    """The UTC day."""
    return at_s - at_s % DAY_S


def test_hours_become_days() -> None:
    """The mean over the minutes that were listened to, in the order of time; none where nobody listened."""
    found = hours.steps([hour(25, 1200, minutes=30), hour(2), hour(24), hour(48, 0, minutes=0)], day)
    assert [(step.start_s, step.minutes) for step in found] == [(0, 60), (DAY_S, 90), (2 * DAY_S, 0)]
    means = [step.phones.mean if step.phones else None for step in found]
    assert means == [40, 40, None]


def test_where_noise_could_be_all_it_says_none() -> None:
    """A range from none, never a negative figure."""
    few, negative = (hours.steps([hour(0, nearby)], day)[0].phones for nearby in (120, -300))
    assert (str(few), str(negative)) == ("0-13", "0-11")


@pytest.mark.parametrize("length", [1, 24, 720])
def test_95_percent_covers_95_percent(length: int) -> None:
    """Hours, days and months as a box draws them."""
    chain = Chain(Laplace(Fraction(str(DRAW)), randbelow=random.Random(length).randrange))
    tries = max(300, 40_000 // length)
    inside = 0
    for _ in range(tries):
        drawn = [hour(number, 24_000 + chain.figure(0) + chain.figure(0)) for number in range(length)]
        found = hours.steps(drawn, lambda _: 0)[0].phones
        assert found is not None
        inside += found.low <= 400 <= found.high
    assert inside / tries == pytest.approx(0.95, abs=max(0.01, 3 * (0.95 * 0.05 / tries) ** 0.5))


def test_weeks_apart_each_hour_has_a_noise_of_its_own() -> None:
    """Four of them halve the interval of one; of nothing there is none."""
    one, four = hours.apart([hour(0)]), hours.apart([hour(week * 168) for week in range(4)])
    assert one is not None
    assert four is not None
    assert (one.mean, four.mean) == (40, 40)
    assert four.high - four.mean == pytest.approx((one.high - one.mean) / 2)
    assert hours.apart([]) is None
    assert one == hours.steps([hour(0)], day)[0].phones
