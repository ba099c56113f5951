"""Released hours of two years: what a day, a month or a year was like, with the interval of the sum that it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.intervals import DEVIATIONS, of_successive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HOUR_S = 3600
KEPT_HOURS = 731 * 24
"""Two years, one of them a leap year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """The sum of the screen's bins that began in an hour: `parts` of them, each with a noise of `scale`.

    `nearby` is in device-minutes, noise included, hence at times negative.
    """

    start_s: int
    minutes: int
    nearby: int
    scale: float
    parts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Phones:
    """Mean phones present and the 95 % interval of the noise; 0 where the noise could be all of it."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """`41 ± 11`, or `0-14` where it may be none."""
        if not self.mean:
            return f"0-{round(self.high)}"
        return f"{round(self.mean)} ± {round(self.high - self.mean)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An hour or longer of a curve; `phones` is None where nothing was listened to."""

    start_s: int
    minutes: int
    phones: Phones | None


def phones(nearby: float, minutes: int, deviation: float) -> Phones | None:
    """Phones by device-minutes over covered minutes, and the deviation of their noise; None without a minute."""
    if not minutes:
        return None
    mean, half = nearby / minutes, DEVIATIONS * deviation / minutes
    if mean < half:
        return Phones(mean=0.0, low=0.0, high=max(mean, 0.0) + half)
    return Phones(mean=mean, low=mean - half, high=mean + half)


def steps(hours: Iterable[Hour], start_of: Callable[[int], int]) -> tuple[Step, ...]:
    """The hours put together by what `start_of` says of each one's start, in the order of time."""
    groups: dict[int, list[Hour]] = {}
    for hour in hours:
        groups.setdefault(start_of(hour.start_s), []).append(hour)
    return tuple(_step(start_s, groups[start_s]) for start_s in sorted(groups))


def _step(start_s: int, hours: Sequence[Hour]) -> Step:
    minutes = sum(hour.minutes for hour in hours)
    # Neighbouring bins share noise. Where hours are missing between them they share less: then this is a little much.
    independent = sum(2 * hour.scale**2 * hour.parts for hour in hours)
    deviation = sqrt(independent * of_successive(sum(hour.parts for hour in hours), 1))
    return Step(start_s=start_s, minutes=minutes, phones=phones(sum(hour.nearby for hour in hours), minutes, deviation))
