"""What counts cost and how wrong they are, against figures worked out elsewhere."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.privacy_budget import price
from edge_scanner.core.counts.release import BROKER, DISPLAY, Budget

FIGURES = ("other", "bluezone", "gaen", "passing")


def test_broker() -> None:
    """Scale 66 / 0.25 = 264 device-minutes: a mean error of 4.4 devices an hour; 0.125, 0.5 and 2 for the stays."""
    found = price(BROKER, figures=FIGURES, sensitivity=66)
    assert (found.ledger, found.bin_s, found.epsilon) == ("broker", 3600, 0.25)
    assert found.scale == 264
    assert found.error == pytest.approx(4.4, abs=0.01)
    assert found.error_95 == pytest.approx(264 * 2.9957 / 60, abs=0.01)
    assert found.epsilons == (0.125, 0.5, 2.0)


def test_a_total_costs_one_draw() -> None:
    """The display's `nearby` is as exact as one figure; the broker's, a sum of three, is not."""
    display = price(DISPLAY, figures=FIGURES, sensitivity=66)
    assert display.nearby_error == display.error == pytest.approx(6.6, abs=0.01)
    broker = price(BROKER, figures=FIGURES, sensitivity=66)
    assert broker.nearby_error > 1.5 * broker.error
    alone = price(BROKER, figures=("other", "passing"), sensitivity=66)
    assert alone.nearby_error == alone.error


def test_error_of_a_sum_against_draws() -> None:
    """The mean absolute error of a sum of three draws, by 4,000 seeded draws, is the stated one within 6 %."""
    dice = random.Random(3)
    laplace = Laplace(Fraction(264), randbelow=dice.randrange)
    drawn = sum(abs(sum(laplace.draw() for _ in range(3))) for _ in range(4000)) / 4000 / 60
    assert price(BROKER, figures=FIGURES, sensitivity=66).nearby_error == pytest.approx(drawn, rel=0.06)


def test_coarser_bins_are_more_exact_at_the_same_price() -> None:
    """Four-hour bins: a quarter of the error, the same epsilon for each stay."""
    hour = price(BROKER, figures=FIGURES, sensitivity=66)
    four = price(Budget(ledger="broker", bin_s=14_400, epsilon=0.25), figures=FIGURES, sensitivity=66)
    assert four.error == pytest.approx(hour.error / 4)
    assert four.epsilons == hour.epsilons
