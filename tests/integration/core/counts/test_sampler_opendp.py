"""The sampler against OpenDP's, whose code shares no line with ours."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import opendp.prelude as dp
import pytest

from edge_scanner.core.counts import difference_noise
from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.privacy_budget import BUDGET, SENSITIVITY, bin_presence, presence

DRAWS = 30_000


def theirs(scale: float) -> dp.Measurement:
    """OpenDP's exact discrete Laplace on integers."""
    space = dp.atom_domain(T=int), dp.absolute_distance(T=int)
    return dp.m.make_laplace(*space, scale=scale)


@pytest.fixture(autouse=True)
def _features() -> None:
    dp.enable_features("contrib")


@pytest.mark.parametrize("scale", [1, 8, 48])
def test_two_samplers_one_distribution(scale: int) -> None:
    """Chi-square of 30,000 draws each, in bins as wide as a sixth of the scale: below the 99.99 % limit."""
    width = max(1, scale // 6)
    reach = 24

    def bins(draws: list[int]) -> Counter[int]:
        return Counter(max(-reach, min(reach, draw // width)) for draw in draws)

    ours_laplace = Laplace(Fraction(scale))
    measure = theirs(float(scale))
    ours = bins([ours_laplace.draw() for _ in range(DRAWS)])
    others = bins([measure(0) for _ in range(DRAWS)])
    statistic = 0.0
    cells = 0
    rare = [0, 0]
    for key in ours.keys() | others.keys():
        a, b = ours[key], others[key]
        if a + b < 20:
            rare = [rare[0] + a, rare[1] + b]
        else:
            statistic += (a - b) ** 2 / (a + b)
            cells += 1
    if sum(rare):
        statistic += (rare[0] - rare[1]) ** 2 / sum(rare)
        cells += 1
    freedom = cells - 1
    # Wilson and Hilferty's approximation of the 99.99 % quantile.
    limit = freedom * (1 - 2 / (9 * freedom) + 3.72 * (2 / (9 * freedom)) ** 0.5) ** 3
    assert statistic < limit


def test_opendp_agrees_about_the_price() -> None:
    """A stay of eight hours moves the releases by 596: at our scale OpenDP's own accounting gives the stated price."""
    moved = difference_noise.cost(presence(28_800, SENSITIVITY), bin_presence(BUDGET.display_bin_s, SENSITIVITY))
    price: float = theirs(float(BUDGET.draw(SENSITIVITY))).map(int(moved))  # type: ignore[no-untyped-call]
    assert moved == 596
    assert price == pytest.approx(BUDGET.day_epsilon, rel=1e-9)
