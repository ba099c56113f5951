"""The sampler against theory worked out from the definition, with dice that are loaded or seeded."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from math import exp
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.counts.discrete_laplace import Laplace

if TYPE_CHECKING:
    from collections.abc import Callable

DRAWS = 15_000


def loaded(*faces: int) -> Callable[[int], int]:
    """Dice that fall as given."""
    falls = iter(faces)

    def roll(sides: int) -> int:
        face = next(falls)
        assert 0 <= face < sides
        return face

    return roll


def chi_square(scale: Fraction, draws: list[int], reach: int) -> tuple[float, int]:
    """Pearson's statistic of the draws against (1-q)/(1+q) q**|y|, tails pooled, and its degrees of freedom."""
    ratio = exp(-1 / scale)
    seen = Counter(min(max(draw, -reach), reach) for draw in draws)
    statistic = 0.0
    for value in range(-reach, reach + 1):
        weight = ratio ** abs(value) / (1 + ratio)
        share = weight if abs(value) == reach else weight * (1 - ratio)
        expected = share * len(draws)
        statistic += (seen[value] - expected) ** 2 / expected
    return statistic, 2 * reach


@pytest.mark.parametrize("scale", [Fraction(1), Fraction(3, 2), Fraction(8), Fraction(2, 7)])
def test_distribution(scale: Fraction) -> None:
    """15,000 seeded draws fit the discrete Laplace distribution: chi-square below its 99.9 % limit."""
    dice = random.Random(20201118)
    laplace = Laplace(scale, randbelow=dice.randrange)
    reach = max(2, int(5 * scale))
    statistic, freedom = chi_square(scale, [laplace.draw() for _ in range(DRAWS)], reach)
    # Wilson and Hilferty's approximation of the 99.9 % quantile.
    assert statistic < freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3


def test_distribution_is_noticed_when_wrong() -> None:
    """The same statistic rejects draws of a scale that is 10 % off, so it could fail."""
    dice = random.Random(20201118)
    laplace = Laplace(Fraction(44, 5), randbelow=dice.randrange)
    statistic, freedom = chi_square(Fraction(8), [laplace.draw() for _ in range(DRAWS)], 40)
    assert statistic > 2 * freedom


def test_a_draw_step_by_step() -> None:
    """Scale 5/2: part 3 of 5, kept; two whole steps; (3 + 2*5) // 2 = 6; the sign coin says minus."""
    # The coin exp(-3/5): 4 of 5 ends it at the first try, an odd one, so true. The coin exp(-1): the only face of one
    # continues, 0 of 2 continues, 2 of 3 ends at the third try, true; 1 of 2 ends at the second, false.
    whole = (0, 0, 2)
    end = (0, 1)
    assert Laplace(Fraction(5, 2), randbelow=loaded(3, 4, *whole, *whole, *end, 1)).draw() == -6
    assert Laplace(Fraction(5, 2), randbelow=loaded(3, 4, *whole, *whole, *end, 0)).draw() == 6


def test_refused_part_and_negative_zero_are_drawn_anew() -> None:
    """A part its coin refuses, and a zero with a minus, start over; nothing else does."""
    end = (0, 1)
    refused = (4, 0, 9)
    negative_zero = (0, 0, *end, 1)
    positive_zero = (0, 0, *end, 0)
    dice = loaded(*refused, *negative_zero, *positive_zero)
    assert Laplace(Fraction(5), randbelow=dice).draw() == 0


def test_default_randomness_is_the_systems() -> None:
    """Without dice of one's own two runs differ."""
    laplace = Laplace(Fraction(1000))
    assert [laplace.draw() for _ in range(8)] != [laplace.draw() for _ in range(8)]


@pytest.mark.parametrize("scale", [Fraction(0), Fraction(-1)])
def test_scale_must_be_positive(scale: Fraction) -> None:
    """No noise is no privacy."""
    with pytest.raises(ValueError, match="positive"):
        Laplace(scale)
