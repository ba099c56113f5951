"""What the counts cost in privacy and what they are worth in accuracy: the numbers behind `edge-scanner privacy`."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_scanner.core.counts.release import Budget

STAYS_S = (1800, 7200, 28_800)
"""Half an hour, two hours, a working day: a coffee, a market, an employee."""

ENDS = 2
"""Device-minutes that the ends of a stay add over all tallies, searched for stays of 1 s to 8 h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPrice:
    """One ledger. Errors are of the mean number of devices in a full bin: mean absolute, and not exceeded in 95 %.

    `epsilons` are for `STAYS_S`, the ends of the stay included.
    """

    ledger: str
    bin_s: int
    epsilon: float
    scale: float
    error: float
    error_95: float
    epsilons: tuple[float, ...]


def price(budget: Budget, *, sensitivity: int) -> LedgerPrice:
    """The price of one ledger whose tallies move by `sensitivity` device-minutes an hour."""
    scale = float(budget.scale(sensitivity))
    minutes = budget.bin_s / 60
    ratio = exp(-1 / scale)
    # E|y| of the discrete Laplace distribution.
    error = 2 * ratio / (1 - ratio**2) / minutes
    return LedgerPrice(
        ledger=budget.ledger,
        bin_s=budget.bin_s,
        epsilon=budget.epsilon,
        scale=scale,
        error=error,
        # The tail P(|y| > x) is close to exp(-x / scale).
        error_95=scale * log(20) / minutes,
        epsilons=tuple(budget.epsilon * (stay_s / 3600 + ENDS / sensitivity) for stay_s in STAYS_S),
    )
