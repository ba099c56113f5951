"""From noised releases to what a passer-by reads: a word, a trend, a place on a bar, a curve.

Only `Report`s come in, so nothing here can see a raw count; everything is a pure function of the released bins, so a
restart shows the same word as before it and no tracker has to be saved. The word has hysteresis of at least one
standard deviation of the noise, or a crowd that stands still at a threshold would make the screen flicker.

Averages over a bin are device-minutes / minutes covered: the mean number of devices present. They are rounded after
the noise, "fewer than ten" is 0. Bins are `anonymise.py`'s display bins; `docs/architecture.md` has the privacy law.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import TYPE_CHECKING, Literal

from edge_scanner.core.counts.intervals import deviation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_scanner.core.model import Report

DAY_S = 86_400
WEEK_S = 7 * DAY_S

# Bins shorter than half an hour are read two by two, for five minutes of delay; longer ones show who is here now.
_SMOOTH_BINS = 2
# A trend compares half an hour with the half hour before: shorter is noise, longer is history.
_HALF_HOUR_S = 1800
# The two halves may have gaps (a restart), but not so many that they belong to different hours.
_TREND_SPAN = 1.5
# A bin covered for less than half its time has more noise than signal.
_MIN_COVERAGE = 0.5
# The word survives half an hour of missing bins (a restart, a recovery of the radio) and one missing long bin.
_MAX_AGE_BINS = 2
_MAX_AGE_S = 1800
# Hysteresis and trend ignore changes below these shares even where the noise is small.
_MARGIN_SHARE = 0.1
_TREND_SHARE = 0.15
# A difference of half-hour means counts as a trend from two standard deviations: one look in twenty at a still crowd.
_TREND_DEVIATIONS = 2
# Below ten devices no figure is told apart; the same floor as on the broker's side.
_FLOOR = 10
_FINE_ROUNDING_BELOW = 100
# The bar has three equal parts; its end is twice the busy threshold.
_PART = 100 / 3


class Level(StrEnum):
    """The word: quiet (Vắng), moderate (Vừa phải), busy (Đông)."""

    QUIET = "quiet"
    MODERATE = "moderate"
    BUSY = "busy"
    UNKNOWN = "unknown"


class Trend(StrEnum):
    """Where the crowd is going, over the last hour."""

    UP = "up"
    DOWN = "down"
    FLAT = "flat"
    UNKNOWN = "unknown"


_RANKS = (Level.QUIET, Level.MODERATE, Level.BUSY)


ThresholdUnit = Literal["phones", "people", "usual"]
"""What a site's thresholds are, as `[kiosk] word` has it: phones, people, or quantiles of the site's usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From how many present a site calls itself moderate and busy, and the figures that are added up.

    Present are the devices less the `offset` of those that are always here, times `per_device`: 1, or people.
    """

    moderate_from: int
    busy_from: int
    figures: tuple[str, ...] = ("nearby",)
    offset: float = 0.0
    per_device: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One bin of a curve: `devices` present on average, rounded; 0 is fewer than ten, None is not known."""

    at_s: int
    devices: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What the latest bins say: `position` is 0..100 on the bar, `at_s` the end of the newest bin in it."""

    level: Level = Level.UNKNOWN
    trend: Trend = Trend.UNKNOWN
    position: int | None = None
    at_s: int | None = None


def read(reports: Iterable[Report], thresholds: Thresholds, now_s: float) -> Crowd:
    """The crowd now, from the display bins of the last day in any order; unknown when the newest bin is too old."""
    bins = sorted(
        (r for r in reports if usable(r) and r.bin_start_s > now_s - DAY_S and r.bin_start_s + r.bin_s <= now_s),
        key=lambda report: report.bin_start_s,
    )
    if not bins or _end_s(bins[-1]) < now_s - max(_MAX_AGE_S, _MAX_AGE_BINS * bins[-1].bin_s):
        return Crowd()
    rank = None
    value = 0.0
    for i in range(len(bins)):
        recent = bins[max(0, i + 1 - _SMOOTH_BINS) : i + 1] if bins[i].bin_s < _HALF_HOUR_S else bins[i : i + 1]
        value, noise = measure(recent, thresholds)
        rank = _next_rank(rank, value, noise, thresholds)
    level = _RANKS[rank or 0]
    return Crowd(
        level=level,
        trend=_trend(bins, thresholds),
        position=position(_rounded(value), thresholds, level),
        at_s=_end_s(bins[-1]),
    )


def position(devices: int, thresholds: Thresholds, level: Level | None = None) -> int:
    """Where `devices` stand on the bar, 0..100; kept inside the part of `level` when one is given."""
    if devices < thresholds.moderate_from:
        place = devices / thresholds.moderate_from * _PART
    elif devices < thresholds.busy_from:
        share = (devices - thresholds.moderate_from) / (thresholds.busy_from - thresholds.moderate_from)
        place = _PART + share * _PART
    else:
        place = min(100.0, 2 * _PART + (devices / thresholds.busy_from - 1) * _PART)
    if level is not None:
        part = _RANKS.index(level)
        place = min(max(place, part * _PART + 1), (part + 1) * _PART - 1)
    return round(place)


def today(reports: Iterable[Report], thresholds: Thresholds, utc_offset_s: int, now_s: float) -> tuple[Point, ...]:
    """The curve of the local day that contains `now_s`; a bin not covered well enough is a gap."""
    return since(reports, thresholds, _midnight_s(utc_offset_s, now_s), now_s)


def since(reports: Iterable[Report], thresholds: Thresholds, from_s: float, now_s: float) -> tuple[Point, ...]:
    """The curve of the bins that began in [from_s, now_s]; a bin not covered well enough is a gap."""
    points = [
        Point(at_s=r.bin_start_s, devices=_rounded(_mean((r,), thresholds)) if usable(r) else None)
        for r in reports
        if from_s <= r.bin_start_s <= now_s
    ]
    return tuple(sorted(points, key=lambda point: point.at_s))


def usual_day(reports: Sequence[Report], thresholds: Thresholds, utc_offset_s: int, now_s: float) -> tuple[Point, ...]:
    """The mean of earlier days of the same weekday, moved onto today; empty until there is one.

    Each point averages its bin with its two neighbours over all those days, which leaves the noise of a day small.
    """
    midnight = _midnight_s(utc_offset_s, now_s)
    slots: dict[int, list[Report]] = {}
    for report in reports:
        ago = midnight - report.bin_start_s
        if ago > 0 and -ago % WEEK_S < DAY_S and usable(report):
            slots.setdefault(-ago % WEEK_S, []).append(report)
    points = []
    for slot, same in sorted(slots.items()):
        step = same[0].bin_s
        around = [*same, *slots.get(slot - step, ()), *slots.get(slot + step, ())]
        points.append(Point(at_s=midnight + slot, devices=_rounded(_mean(around, thresholds))))
    return tuple(points)


def _midnight_s(utc_offset_s: int, now_s: float) -> int:
    local = int(now_s) + utc_offset_s
    return local - local % DAY_S - utc_offset_s


def _end_s(report: Report) -> int:
    return report.bin_start_s + report.bin_s


def usable(report: Report) -> bool:
    """Whether a bin was covered well enough to say how many were there."""
    return report.minutes_covered * 60 >= _MIN_COVERAGE * report.bin_s


def measure(reports: Sequence[Report], thresholds: Thresholds) -> tuple[float, float]:
    """Present on average over the reports' covered minutes, which noise can make negative; the noise's deviation."""
    minutes = sum(report.minutes_covered for report in reports)
    total = sum(report.figures.get(name, 0) for report in reports for name in thresholds.figures)
    per_device = thresholds.per_device
    return (total / minutes - thresholds.offset) * per_device, deviation(reports) / minutes * per_device


def _mean(reports: Sequence[Report], thresholds: Thresholds) -> float:
    return measure(reports, thresholds)[0]


def _next_rank(rank: int | None, value: float, deviation: float, thresholds: Thresholds) -> int:
    edges = (thresholds.moderate_from, thresholds.busy_from)
    if rank is None:
        return sum(value >= edge for edge in edges)
    climbed = sum(value >= edge + _margin(edge, deviation) for edge in edges)
    held = sum(value >= edge - _margin(edge, deviation) for edge in edges)
    return max(climbed, min(rank, held))


def _margin(edge: int, deviation: float) -> float:
    return max(_MARGIN_SHARE * edge, deviation)


def _trend(bins: Sequence[Report], thresholds: Thresholds) -> Trend:
    half = max(1, _HALF_HOUR_S // bins[-1].bin_s)
    late, early = bins[-half:], bins[-2 * half : -half]
    if len(early) < half or _end_s(late[-1]) - early[0].bin_start_s > _TREND_SPAN * 2 * half * late[-1].bin_s:
        return Trend.UNKNOWN
    before, early_noise = measure(early, thresholds)
    now, late_noise = measure(late, thresholds)
    change = now - before
    # Noise that both halves share is in no difference: var(a - b) = 2 var(a) + 2 var(b) - var(a + b).
    both = 2 * measure((*early, *late), thresholds)[1]
    noise = sqrt(max(0.0, 2 * early_noise**2 + 2 * late_noise**2 - both**2))
    if abs(change) < max(_TREND_SHARE * before, _TREND_DEVIATIONS * noise):
        return Trend.FLAT
    return Trend.UP if change > 0 else Trend.DOWN


def _rounded(devices: float) -> int:
    """0 below ten, to the nearest 5 below a hundred, then two significant digits."""
    if devices < _FLOOR:
        return 0
    if devices < _FINE_ROUNDING_BELOW:
        return 5 * round(devices / 5)
    step: int = 10 ** (len(str(int(devices))) - 2)
    return step * round(devices / step)
