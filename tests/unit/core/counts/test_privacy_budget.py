"""What counts cost and how wrong they are, against figures worked out elsewhere."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from edge_scanner.core.counts.privacy_budget import BUDGET, bin_presence, presence, price

TRACED = replace(BUDGET, tracing_figures=True)


def test_as_it_is_set() -> None:
    """Eight hours add 530 device-minutes, half an hour 33 at most: a draw's scale is (530 + 66) / 2.6."""
    assert presence(28_800, 66) == Fraction(530)
    assert bin_presence(1800, 66) == 33
    assert BUDGET.draw(66) == Fraction(596) / Fraction("2.6")
    found = price(BUDGET, sensitivity=66)
    draw = 596 / 2.6
    assert found.epsilons == pytest.approx([(35 + 66) / draw, (134 + 66) / draw, 2.6])
    assert found.hour == pytest.approx(3 * 66 / draw)
    assert found.again == pytest.approx(66 / draw)


def test_an_eight_hour_day_costs_less_than_is_asked() -> None:
    """Whoever sees everything learns 2.64 of a working day at most, and the hour is within 4.4 phones on average."""
    found = price(BUDGET, sensitivity=66)
    broker, display = found.ledgers
    assert found.epsilons[-1] <= 2.64
    assert (broker.ledger, broker.bin_s) == ("broker", 3600)
    assert broker.error <= 4.4
    assert (display.ledger, display.bin_s) == ("display", 1800)


def test_a_stay_never_costs_more_than_its_worst_pattern() -> None:
    """Short stays are bounded by their presence alone: a minute costs no coming and going of half an hour."""
    assert BUDGET.stay_epsilon(60, 66) == pytest.approx(float(3 * (Fraction(66, 60) + 2) / BUDGET.draw(66)))


def test_tracing_figures_take_half_of_the_budget() -> None:
    """Beside them the phones are half as exact, a working day costs the same, and their own error is stated."""
    alone, beside = price(BUDGET, sensitivity=66), price(TRACED, sensitivity=66)
    assert beside.ledgers[0].error == pytest.approx(2 * alone.ledgers[0].error)
    assert beside.epsilons[-1] == pytest.approx(alone.epsilons[-1])
    # Laplace of scale 530 / 1.3 in an hour.
    assert beside.ledgers[0].tracing_error == pytest.approx(530 / 1.3 / 60, rel=1e-3)
    assert beside.ledgers[1].tracing_error is alone.ledgers[0].tracing_error is None


def test_coarser_bins_are_more_exact_at_the_same_price() -> None:
    """Four hours at the broker: the same price of each stay, less error."""
    four = price(replace(BUDGET, broker_bin_s=14_400), sensitivity=66)
    assert four.ledgers[0].error < 0.7 * price(BUDGET, sensitivity=66).ledgers[0].error
    assert four.epsilons == price(BUDGET, sensitivity=66).epsilons


def test_a_box_without_a_broker_has_one_reader() -> None:
    """It releases the display's ledger and nothing else."""
    assert [one.ledger for one in price(replace(BUDGET, broker_bin_s=0), sensitivity=66).ledgers] == ["display"]


@pytest.mark.parametrize(
    ("bin_s", "sensitivity", "most"), [(600, 66, 11), (900, 66, 17), (1800, 72, 36), (3600, 66, 66)]
)
def test_presence_in_a_bin(bin_s: int, sensitivity: int, most: int) -> None:
    """Its minutes, and one more at each change of identifier that fits; two with a grace of 90 s."""
    assert bin_presence(bin_s, sensitivity) == most
