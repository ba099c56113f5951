"""What counts cost and how wrong they are, against figures worked out elsewhere."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest

from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.privacy_budget import price
from edge_scanner.core.counts.release import BROKER

PHONES = replace(BROKER, total_only=True)


def test_broker() -> None:
    """Scale 66 / 0.25 = 264 device-minutes: a mean error of 4.4 devices an hour; a stay costs with its ends."""
    found = price(PHONES, sensitivity=66)
    assert (found.ledger, found.bin_s, found.epsilon) == ("broker", 3600, 0.25)
    assert found.scale == 264
    assert found.error == pytest.approx(4.4, abs=0.01)
    assert found.error_95 == pytest.approx(264 * 2.9957 / 60, abs=0.01)
    assert found.epsilons == pytest.approx([0.25 * (hours + 2 / 66) for hours in (0.5, 2, 8)])


def test_tracing_figures_take_half_of_the_budget() -> None:
    """Beside them the phones are half as exact, and a stay costs the same."""
    alone, beside = price(PHONES, sensitivity=66), price(BROKER, sensitivity=66)
    assert beside.error == pytest.approx(2 * alone.error, rel=1e-3)
    assert beside.epsilons == alone.epsilons


def test_error_against_draws() -> None:
    """The mean absolute error by 4,000 seeded draws is the stated one within 6 %; of an hour at most 4.4 phones."""
    dice = random.Random(3)
    laplace = Laplace(Fraction(264), randbelow=dice.randrange)
    drawn = sum(abs(laplace.draw()) for _ in range(4000)) / 4000 / 60
    assert price(PHONES, sensitivity=66).error == pytest.approx(drawn, rel=0.06)
    assert price(PHONES, sensitivity=66).error <= 4.4


def test_coarser_bins_are_more_exact_at_the_same_price() -> None:
    """Four-hour bins: a quarter of the error, the same epsilon for each stay."""
    hour = price(PHONES, sensitivity=66)
    four = price(replace(PHONES, bin_s=14_400), sensitivity=66)
    assert four.error == pytest.approx(hour.error / 4)
    assert four.epsilons == hour.epsilons
