"""The law of the noise on what changed: against draws, against hand-made sums, and against every stay that is tried."""

from __future__ import annotations

import random
from fractions import Fraction
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.counts import difference_noise
from edge_scanner.core.counts.difference_noise import Chain
from edge_scanner.core.counts.discrete_laplace import Laplace

DRAW = 200.0


def noise(count: int, seed: int = 3) -> list[int]:
    """Seeded noise of so many successive figures."""
    chain = Chain(Laplace(Fraction(200), randbelow=random.Random(seed).randrange))
    return [chain.figure(0) for _ in range(count)]


def test_a_figure_is_its_total_and_noise() -> None:
    """Whatever came before, a figure's noise has no part of a total: with the same dice totals shift figures."""
    totals = [0, 1000, 7, 500, 500, 0, 3]
    plain = noise(len(totals))
    chain = Chain(Laplace(Fraction(200), randbelow=random.Random(3).randrange))
    assert [chain.figure(total) - still for total, still in zip(totals, plain, strict=True)] == totals


def test_each_figure_inherits_half_of_the_noise_before() -> None:
    """Neighbours correlate by a half, figures two apart by a quarter; the deviation is as stated, from the start."""
    drawn = noise(20_000)
    variance = sum(one * one for one in drawn) / len(drawn)
    for lag in (1, 2):
        shared = sum(a * b for a, b in zip(drawn, drawn[lag:], strict=False)) / len(drawn) / variance
        assert shared == pytest.approx(0.5**lag, abs=0.05)
    assert sqrt(variance) == pytest.approx(difference_noise.deviation(DRAW), rel=0.04)
    first = [noise(1, seed)[0] for seed in range(3000)]
    assert sqrt(sum(one * one for one in first) / 3000) == pytest.approx(difference_noise.deviation(DRAW), rel=0.07)


@pytest.mark.parametrize("parts", [1, 2, 4, 8])
def test_error_of_a_sum_against_draws(parts: int) -> None:
    """The stated mean error and the 95 % bound of a sum, and two deviations of it, by 40,000 draws."""
    drawn = noise(40_000, parts)
    sums = [abs(sum(drawn[start : start + parts])) for start in range(0, len(drawn), parts)]
    mean, within = difference_noise.error(DRAW, parts)
    assert sum(sums) / len(sums) == pytest.approx(mean, rel=0.04)
    assert sum(one <= within for one in sums) / len(sums) == pytest.approx(0.95, abs=0.01)
    covered = sum(one <= 2 * difference_noise.deviation(DRAW, parts) for one in sums) / len(sums)
    assert covered == pytest.approx(0.95, abs=0.012)


def test_covariance_makes_one_sum_of_two() -> None:
    """Two hours' variance is both hours' and twice what they share."""
    hour = difference_noise.deviation(DRAW, 2)
    shared = difference_noise.covariance((hour, 2), (hour, 2), 0)
    assert difference_noise.deviation(DRAW, 4) ** 2 == pytest.approx(2 * hour**2 + 2 * shared)
    # Half an hour, an hour later: one figure lies between them.
    half = difference_noise.deviation(DRAW)
    assert difference_noise.covariance((half, 1), (half, 1), 1) == pytest.approx(half**2 / 4)


def moved(presence: list[int]) -> int:
    """By how much all releases of a device's presence move, summed; the last one is the bin after it."""
    return sum(abs(2 * now - before) for before, now in zip([0, *presence], [*presence, 0], strict=True))


@given(
    stay=st.integers(1, 2000),
    start=st.integers(0, 29),
    doubled=st.lists(st.integers(0, 2000), max_size=8),
)
def test_no_stay_costs_more_than_is_said(stay: int, start: int, doubled: list[int]) -> None:
    """Unbroken stays of any length and beginning, some minutes counted twice, against the bound of their presence."""
    bins: dict[int, int] = {}
    for minute in range(start, start + stay):
        bins[minute // 30] = bins.get(minute // 30, 0) + 1
    for minute in doubled:
        place = (start + minute % stay) // 30
        bins[place] += min(1, 33 - bins[place])
    presence = [bins.get(number, 0) for number in range(max(bins) + 1)]
    assert moved(presence) <= difference_noise.cost(Fraction(sum(presence)), 33)


@given(presence=st.lists(st.integers(0, 33), min_size=1, max_size=50))
def test_no_pattern_costs_more_than_the_worst(presence: list[int]) -> None:
    """Coming and going as one likes costs three for each minute of presence at most; some pattern costs just that."""
    assert moved(presence) <= difference_noise.worst(sum(presence))
    assert moved([33, 0, 33]) == difference_noise.worst(66)


@given(before=st.integers(1, 33), presence=st.integers(1, 900), cut=st.integers(1, 900))
def test_a_restart_costs_as_much_as_coming_again(before: int, presence: int, cut: int) -> None:
    """Two chains of one stay cost the stay's price and one bin's presence at most."""
    bins = [before, *[30] * (presence // 30), presence % 30 + 1]
    at = cut % len(bins)
    # The first chain ends with its last bin: nothing is released after it.
    apart = sum(abs(2 * b - a) for a, b in zip([0, *bins[:at]], bins[:at], strict=False)) + moved(bins[at:])
    assert apart <= difference_noise.cost(Fraction(sum(bins)), 33) + 66
