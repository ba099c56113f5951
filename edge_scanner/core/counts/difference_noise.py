"""Noise on what changed: a figure for every bin from one draw each, at a price for coming and going, not for staying.

Of each bin `2 * total - total of the bin before` is released with exact discrete Laplace noise of scale `draw`; the
figure, (released + figure before) / 2, is computed from that and costs nothing more. So a figure is its total and a
noise in which each draw counts half as much as the one after it. Somebody who stays moves each release by one bin's
presence instead of two; coming and going cost half a bin's presence more each. Turned down: a draw of its own for each
bin (at the price of a day 10 phones of error in half an hour instead of 6.5, 5.5 in an hour instead of 4.2); noise on
sum and difference of two half-hours (the first half is known only when the hour is over); a heavier memory (0.8: a
tenth more exact, twice the price for whoever comes often); smoothing by a state-space filter with the crowd as a
random walk (a standing crowd's word right in 99 % instead of 95 %, a day's rise and fall in 83 % instead of 92 %).
"""

from __future__ import annotations

from fractions import Fraction
from math import exp, pi, sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_scanner.core.counts.discrete_laplace import Laplace

MEMORY = 0.5
"""Share of a figure's noise that the next one inherits; the arithmetic below is for one half."""

_BITS = 20
"""Figures are kept in 2**-20 of a device-minute between bins: a bounded number of digits for an endless halving."""
_EARLIER_DRAWS = 16
"""Draws that stand for the past where a run begins, so that all figures' noise has one law."""
_EXACT_PARTS = 4
"""Up to so many bins the law of a sum is computed exactly; above it is a normal one for all that is stated."""


class Chain:
    """The figures of one process run, bin after bin; the total of the last bin stays in memory until the next."""

    __slots__ = ("_before", "_figure", "_laplace")

    def __init__(self, laplace: Laplace) -> None:
        self._laplace = laplace
        self._before = 0
        self._figure = sum(self._laplace.draw() << (_BITS - later) for later in range(1, _EARLIER_DRAWS))

    def figure(self, total: int) -> int:
        """The released figure of the next bin, whose true total is `total` (device-minutes)."""
        released = 2 * total - self._before + self._laplace.draw()
        self._figure = ((released << _BITS) + self._figure) >> 1
        self._before = total
        return (self._figure + (1 << (_BITS - 1))) >> _BITS


def cost(presence: Fraction, bin_presence: int) -> Fraction:
    """By how much an unbroken stay moves all that is released, summed: epsilon is this divided by the scale `draw`.

    `presence` is what the stay adds to all totals, `bin_presence` the most that it adds to one. A release moves by
    |2x - before|. While somebody stays no bin has less than half of the one before, so the sum telescopes to
    `presence`, and twice what the last two releases fall.
    """
    return min(presence + 2 * bin_presence, worst(presence))


def worst(presence: Fraction | int) -> Fraction:
    """The same for presence in any pattern of coming and going."""
    return Fraction(3 * presence)


def deviation(draw: float, parts: int = 1) -> float:
    """Standard deviation of the sum of `parts` successive figures, device-minutes."""
    # The sum of (parts - lag) * MEMORY**lag over each lag below `parts`.
    inherited = (parts * MEMORY - MEMORY * (1 - MEMORY**parts) / (1 - MEMORY)) / (1 - MEMORY)
    return draw * sqrt(2 / 3 * (parts + 2 * inherited))


def covariance(first: tuple[float, int], second: tuple[float, int], gap: int) -> float:
    """Of two sums of successive figures of one run, each (deviation, parts), with `gap` figures between them."""
    shared = MEMORY ** (gap + 1)
    for one, parts in (first, second):
        # Of a sum's parts the one that is `lag` away from the gap shares 2**-lag of the nearest one's noise.
        shared *= one / deviation(sqrt(3 / 2), parts) * sum(MEMORY**lag for lag in range(parts))
    return shared


def error(draw: float, parts: int) -> tuple[float, float]:
    """Of the sum of `parts` figures: mean absolute error, and what 95 % of the errors stay within, device-minutes."""
    if parts > _EXACT_PARTS:
        spread = deviation(draw, parts)
        return spread * sqrt(2 / pi), 1.96 * spread
    weights = [1 - MEMORY**newest for newest in range(1, parts + 1)]
    weights += [weights[-1] * MEMORY**older for older in range(1, _EARLIER_DRAWS)]
    # A sum of Laplace noises of different scales is a mixture of them, with these shares (partial fractions).
    shares = [_share(weights, number) for number in range(len(weights))]
    mean = sum(share * weight for share, weight in zip(shares, weights, strict=True))
    low, high = 0.0, 20.0
    while high - low > 1e-6:  # noqa: PLR2004 (a millionth of a draw)
        middle = (low + high) / 2
        tail = sum(share * exp(-middle / weight) for share, weight in zip(shares, weights, strict=True))
        low, high = (middle, high) if tail > 0.05 else (low, middle)  # noqa: PLR2004 (all but 95 %)
    return mean * draw, high * draw


def _share(weights: list[float], number: int) -> float:
    share = 1.0
    for other, weight in enumerate(weights):
        if other != number:
            share *= weights[number] ** 2 / (weights[number] ** 2 - weight**2)
    return share
