"""What the counts cost in privacy and what they are worth in accuracy: the numbers behind `edge-scanner privacy`."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, pi, sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.discrete_laplace import noise_scale
from edge_scanner.core.counts.estimator import PASSING
from edge_scanner.core.counts.release import NEARBY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.core.counts.release import Budget

STAYS_S = (1800, 7200, 28_800)
"""Half an hour, two hours, a working day: a coffee, a market, an employee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPrice:
    """One ledger. Errors are of the mean number of devices in a full bin: mean absolute, and not exceeded in 95 %.

    `epsilons` are for `STAYS_S`; `nearby_error` is for the sum of the figures.
    """

    ledger: str
    bin_s: int
    epsilon: float
    scale: float
    error: float
    error_95: float
    nearby_error: float
    epsilons: tuple[float, ...]


def price(budget: Budget, *, figures: Sequence[str], sensitivity: int) -> LedgerPrice:
    """The price of one ledger whose tallies have `figures` and move by `sensitivity` device-minutes an hour."""
    scale = float(noise_scale(sensitivity, budget.epsilon))
    minutes = budget.bin_s / 60
    ratio = exp(-1 / scale)
    # E|y| of the discrete Laplace distribution.
    error = 2 * ratio / (1 - ratio**2) / minutes
    summed = sum(figure not in (NEARBY, PASSING) for figure in figures)
    # Sums of several draws are close to normal, whose mean absolute value is sqrt(2 / pi) deviations.
    of_a_sum = sqrt(2 * summed) * scale * sqrt(2 / pi) / minutes
    return LedgerPrice(
        ledger=budget.ledger,
        bin_s=budget.bin_s,
        epsilon=budget.epsilon,
        scale=scale,
        error=error,
        # The tail P(|y| > x) is close to exp(-x / scale).
        error_95=scale * log(20) / minutes,
        nearby_error=error if budget.total_only or summed == 1 else of_a_sum,
        epsilons=tuple(budget.epsilon * stay_s / 3600 for stay_s in STAYS_S),
    )
