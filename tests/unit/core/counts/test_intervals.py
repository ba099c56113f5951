"""Intervals of figures and of their sums, against hand-made values and against draws."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from math import sqrt

import pytest

from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.difference_noise import MEMORY, Chain
from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.intervals import Present
from edge_scanner.core.counts.privacy_budget import equivalent_scale
from edge_scanner.core.model import Report

HOUR_S = 1_700_002_800
DRAW = 229.231


def report(number: int = 0, *, nearby: int = 0, parts: int = 1, minutes: int = 30) -> Report:
    """The `number`th bin of half an hour, or of `parts` of them."""
    return Report(
        ledger="display",
        bin_start_s=HOUR_S + number * 1800 * parts,
        bin_s=1800 * parts,
        minutes_covered=minutes * parts,
        epsilon=0.8638,
        scale=equivalent_scale(DRAW, parts),
        parts=parts,
        figures={"nearby": nearby, "gaen": nearby},
        tracing_scale=100.0,
    )


@pytest.mark.parametrize(
    ("nearby", "minutes", "text"),
    [
        (-400, 30, "0-12"),
        (0, 30, "0-12"),
        (300, 30, "0-22"),
        (375, 30, "12 ± 12"),
        (1230, 30, "41 ± 12"),
        (9, 0, "None"),
    ],
)
def test_shown(nearby: int, minutes: int, text: str) -> None:
    """A figure has its interval beside it; what may be noise is a range from nobody; nothing covered is nothing."""
    assert str(intervals.of(report(nearby=nearby, minutes=minutes), "nearby")) == text
    assert str(Present(mean=0.4, low=0.1, high=0.7)) == "0-1"


def test_programs_get_tenths() -> None:
    """Three numbers, or three times none."""
    assert intervals.tenths(Present(mean=41.23, low=30.0, high=52.46)) == (41.2, 30.0, 52.5)
    assert intervals.tenths(None) == (None, None, None)


def test_a_tracing_figure_has_its_own_noise() -> None:
    """Its interval is that of its own draw."""
    assert intervals.error(report(), "gaen") == pytest.approx(2 * sqrt(2) * 100)
    plain = replace(report(), tracing_scale=None)
    assert intervals.error(plain, "gaen") == pytest.approx(intervals.error(plain, "nearby"))


def test_an_empty_hall_shows_nobody() -> None:
    """The mean of what is shown of 20,000 empty bins is below one phone."""
    chain = Chain(Laplace(Fraction("229.231"), randbelow=random.Random(2).randrange))
    bins = [intervals.of(report(nearby=chain.figure(0)), "nearby") for _ in range(20_000)]
    shown = [one.mean for one in bins if one]
    assert sum(shown) / len(shown) <= 1


@pytest.mark.parametrize(("bins", "parts"), [(1, 1), (3, 1), (1, 2), (24, 2), (6, 8)])
def test_interval_of_a_sum_over_time(bins: int, parts: int) -> None:
    """Two deviations of the sum of successive bins cover 94 to 96 % of what is drawn (100,000 figures)."""
    chain = Chain(Laplace(Fraction("229.231"), randbelow=random.Random(bins * parts).randrange))
    long = bins * parts
    drawn = [chain.figure(0) for _ in range(100_000)]
    bound = intervals.DEVIATIONS * intervals.deviation([report(number, parts=parts) for number in range(bins)])
    # Sums that begin at every figure: the fewer are independent, the wider is what is accepted.
    sums = [sum(drawn[start : start + long]) for start in range(0, len(drawn) - long, max(1, long // 4))]
    covered = sum(abs(one) <= bound for one in sums) / len(sums)
    assert covered == pytest.approx(0.95, abs=0.01 if long <= 3 else 0.02)


def test_sums_of_bins_far_apart_are_independent() -> None:
    """A day later nothing is left of a figure's noise; no bin has no noise."""
    alone = intervals.deviation([report()])
    assert intervals.deviation([report(), report(48)]) == pytest.approx(sqrt(2) * alone)
    assert intervals.deviation([]) == 0
    # Neighbours share a half.
    assert intervals.deviation([report(1), report()]) == pytest.approx(sqrt(3) * alone)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_long_sum_is_bounded(parts: int) -> None:
    """A month of bins comes near the bound, bins that are sums themselves less, and nothing exceeds it."""
    alone = intervals.deviation([report(parts=parts)])
    month = intervals.deviation([report(number, parts=parts) for number in range(720)])
    ratio = month**2 / (720 * alone**2)

    assert (2.99 if parts == 1 else 1.7) < ratio < (1 + MEMORY) / (1 - MEMORY)


def test_successive_bins_by_their_number() -> None:
    """The same as of the bins themselves; one bin shares nothing with itself."""
    for bins, parts in ((1, 1), (1, 6), (4, 1), (24, 2), (7, 8)):
        alone = intervals.deviation([report(parts=parts)])
        both = intervals.deviation([report(number, parts=parts) for number in range(bins)])
        assert intervals.of_successive(bins, parts) == pytest.approx(both**2 / (bins * alone**2), rel=1e-4)
    assert intervals.of_successive(2, 1) == pytest.approx(1.5)
