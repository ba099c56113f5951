"""What the counts cost in privacy and what they are worth in accuracy: one budget, and the numbers of its price.

The budget is the epsilon of one device's unbroken stay of eight hours, for whoever sees everything that a box releases:
screen, broker and their difference. From it follow the scales of the noise and every other price.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, exp

from edge_scanner.core.counts import difference_noise

STAYS_S = (1800, 7200, 28_800)
"""Half an hour, two hours, a working day: a coffee, a market, an employee."""

ENDS = 2
"""Device-minutes that the ends of a stay add over all tallies, searched for stays of 1 s to 8 h."""

SENSITIVITY = 66
"""Device-minutes of one device in an hour with a radio that always listens: see `Counter.sensitivity`."""

_CHANGE_MINUTES = 10
"""Identifiers live ten minutes at least; at a change a device may be counted for the grace twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a box may release: `day_epsilon` for a stay of eight hours.

    Bins are divisors of a day, the display's of the broker's. `broker_bin_s` is 0 where nothing goes to a broker.
    `tracing_figures` take half of the budget.
    """

    day_epsilon: float = 2.6
    display_bin_s: int = 1800
    broker_bin_s: int = 3600
    tracing_figures: bool = False

    @property
    def _share(self) -> Fraction:
        """The epsilon of a day for `nearby`, exactly as written."""
        return Fraction(str(self.day_epsilon)) / (2 if self.tracing_figures else 1)

    def draw(self, sensitivity: int) -> Fraction:
        """The Laplace scale of the draws for `nearby`, for a device that adds at most `sensitivity` minutes an hour."""
        moved = difference_noise.cost(presence(STAYS_S[-1], sensitivity), bin_presence(self.display_bin_s, sensitivity))
        return moved / self._share

    def tracing_draw(self, sensitivity: int) -> Fraction:
        """The Laplace scale of each tracing figure of a broker bin: a partition, each with a draw of its own."""
        return presence(STAYS_S[-1], sensitivity) / self._share

    def stay_epsilon(self, stay_s: int, sensitivity: int) -> float:
        """The epsilon of an unbroken stay, its ends included."""
        stayed = presence(stay_s, sensitivity)
        moved = difference_noise.cost(stayed, bin_presence(self.display_bin_s, sensitivity))
        return self._epsilon(moved, stayed, sensitivity)

    def return_epsilon(self, sensitivity: int) -> float:
        """What each further coming and going adds, or a restart of the box in a stay."""
        return float(2 * bin_presence(self.display_bin_s, sensitivity) / self.draw(sensitivity))

    def hour_epsilon(self, sensitivity: int) -> float:
        """The most that an hour of presence costs in any pattern of coming and going: it is linear, without a cap."""
        return self._epsilon(difference_noise.worst(sensitivity), Fraction(sensitivity), sensitivity)

    def _epsilon(self, moved: Fraction, stayed: Fraction, sensitivity: int) -> float:
        both = moved / self.draw(sensitivity)
        if self.tracing_figures:
            both += stayed / self.tracing_draw(sensitivity)
        return float(both)


BUDGET = Budget()


def presence(stay_s: int, sensitivity: int) -> Fraction:
    """Device-minutes that a stay adds to all tallies at most."""
    return Fraction(sensitivity * stay_s, 3600) + ENDS


def bin_presence(bin_s: int, sensitivity: int) -> int:
    """Device-minutes that a device adds to one bin at most: its minutes, and those counted twice at changes."""
    minutes = bin_s // 60
    return minutes + (sensitivity - 60) // 6 * ceil(minutes / _CHANGE_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPrice:
    """One ledger. Errors are of the mean number of phones in a full bin: mean absolute, and not exceeded in 95 %.

    `scale` is as in the ledger's reports. `tracing_error` is of a tracing figure, None where none is released.
    """

    ledger: str
    bin_s: int
    scale: float
    error: float
    error_95: float
    tracing_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What whoever sees everything learns at most: `epsilons` are for unbroken stays of `STAYS_S`, ends included.

    `hour` is the most that an hour of presence costs in any pattern, `again` what a further coming and going adds.
    """

    epsilons: tuple[float, ...]
    hour: float
    again: float
    ledgers: tuple[LedgerPrice, ...]


def price(budget: Budget, *, sensitivity: int = SENSITIVITY) -> Price:
    """The price of a budget whose tallies move by `sensitivity` device-minutes an hour."""
    draw = float(budget.draw(sensitivity))
    ledgers = []
    for ledger, bin_s in (("broker", budget.broker_bin_s), ("display", budget.display_bin_s)):
        if not bin_s:
            continue
        parts = bin_s // budget.display_bin_s
        mean, within = difference_noise.error(draw, parts)
        tracing = ledger == "broker" and budget.tracing_figures
        ledgers.append(
            LedgerPrice(
                ledger=ledger,
                bin_s=bin_s,
                scale=equivalent_scale(draw, parts),
                error=mean * 60 / bin_s,
                error_95=within * 60 / bin_s,
                tracing_error=_laplace_error(float(budget.tracing_draw(sensitivity))) * 60 / bin_s if tracing else None,
            )
        )
    return Price(
        epsilons=tuple(budget.stay_epsilon(stay_s, sensitivity) for stay_s in STAYS_S),
        hour=budget.hour_epsilon(sensitivity),
        again=budget.return_epsilon(sensitivity),
        ledgers=tuple(ledgers),
    )


def equivalent_scale(draw: float, parts: int) -> float:
    """What reports call `scale`: that of a Laplace noise with the same deviation, which is sqrt(2) times it."""
    return round(difference_noise.deviation(draw, parts) / 2**0.5, 3)


def _laplace_error(scale: float) -> float:
    """E|y| of the discrete Laplace distribution."""
    ratio = exp(-1 / scale)
    return 2 * ratio / (1 - ratio**2)
