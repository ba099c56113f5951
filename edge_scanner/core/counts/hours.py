"""Released hours of two years: what a day, a month or a year was like, with the interval of the sum that it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.intervals import of_successive, present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge_scanner.core.counts.intervals import Present

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
class Step:
    """An hour or longer of a curve; `phones` is None where nothing was listened to."""

    start_s: int
    minutes: int
    phones: Present | None


def apart(hours: Iterable[Hour]) -> Present | None:
    """The average of hours that lie a day or longer apart, whose noises are independent, or of one."""
    found = tuple(hours)
    return _together(found, sum(_variance((hour,)) for hour in found))


def steps(hours: Iterable[Hour], start_of: Callable[[int], int]) -> tuple[Step, ...]:
    """The hours put together by what `start_of` says of each one's start, in the order of time."""
    groups: dict[int, list[Hour]] = {}
    for hour in hours:
        groups.setdefault(start_of(hour.start_s), []).append(hour)
    return tuple(_step(start_s, groups[start_s]) for start_s in sorted(groups))


def _step(start_s: int, hours: Sequence[Hour]) -> Step:
    return Step(start_s=start_s, minutes=sum(hour.minutes for hour in hours), phones=_together(hours, _variance(hours)))


def _together(hours: Sequence[Hour], variance: float) -> Present | None:
    return present(sum(hour.nearby for hour in hours), sum(hour.minutes for hour in hours), sqrt(variance))


def _variance(hours: Sequence[Hour]) -> float:
    """Of their sum. Neighbouring bins share noise; where hours are missing they share less: this is a little much."""
    independent = sum(2 * hour.scale**2 * hour.parts for hour in hours)
    return independent * of_successive(sum(hour.parts for hour in hours), 1)
