"""People per device at this site, from one or two counts by hand and the noised reports of the same time.

A count with nobody there says how many devices are always here (else the nights do), a count with many the factor.

The factor depends on how many people carry a phone that speaks and how many other things do, which only a count at the
site can tell. It uses the broker's own reports: what it publishes the broker could compute, so calibrating costs no
privacy. What the noise and the miscounting leave open goes into the range; a count that noise could explain is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from math import isfinite, sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.intervals import DEVIATIONS, deviation
from edge_scanner.core.counts.release import BROKER, NEARBY
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.messages import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_scanner.core.counts.baseline import Baseline
    from edge_scanner.core.model import Report

SURE = 1.96
COUNT_ERROR = 0.05
"""A careful person counting a hall twice is within 5 % (one standard deviation)."""

LEAST_DEVIATIONS = 4.0
"""The devices must stand out from the noise by this much, or the factor has no upper end."""

MAX_PEOPLE = 100_000

WINDOW_S = 3600
"""The reports a count is compared with end within the last hour: enough minutes to tell 40 devices from noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """People present, likely and with a 95 % range, rounded to whole people."""

    likely: int
    low: int
    high: int


def recent(reports: Iterable[Report], ledger: str, now_s: float) -> list[Report]:
    """The reports of one ledger whose bins lie within the last hour, in any order."""
    return [
        report
        for report in reports
        if report.ledger == ledger and now_s - WINDOW_S <= report.bin_start_s + report.bin_s <= now_s
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandCount:
    """One count by hand: `people` while `devices` were released on average, with their noise's `deviation`."""

    people: int
    devices: float
    deviation: float
    measured_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What was counted at a site: with nobody there, and with many. Nights before `forgotten_s` teach nothing."""

    empty: HandCount | None = None
    full: HandCount | None = None
    forgotten_s: float = 0.0

    @property
    def newest_s(self) -> float:
        """When something was counted or forgotten last."""
        return max(self.forgotten_s, *(one.measured_s for one in (self.empty, self.full) if one), 0.0)

    def with_count(self, one: HandCount) -> Counted:
        """The newest count of its kind takes the place of the one before."""
        return replace(self, full=one) if one.people else replace(self, empty=one)


def count(people: int, reports: Sequence[Report], now_s: float) -> HandCount:
    """`people` counted while `reports` were being measured (one ledger, disjoint bins); 0 for an empty place.

    Raises RefusedError, codes `people` and `no-minutes`.
    """
    if not 0 <= people <= MAX_PEOPLE:
        raise RefusedError(f"the count must be 0 to {MAX_PEOPLE}", code="people", where="--people")
    minutes = sum(report.minutes_covered for report in reports)
    if not minutes:
        raise RefusedError(
            "nothing was released while you counted", code="no-minutes", hint="let the box run for an hour, then count"
        )
    devices = sum(report.figures[NEARBY] for report in reports) / minutes
    return HandCount(people=people, devices=devices, deviation=deviation(reports) / minutes, measured_s=now_s)


def nobody(counted: Counted, learnt: Baseline | None, now_s: float) -> HandCount | None:
    """The count of nobody: by hand, or the nights where none was made."""
    if counted.empty is not None or learnt is None:
        return counted.empty
    return HandCount(people=0, devices=learnt.devices, deviation=learnt.error / DEVIATIONS, measured_s=now_s)


def calibrate(full: HandCount, empty: HandCount | None = None) -> Calibration:
    """The site's line through two counts, or through one and the origin: how many are always here, and the factor.

    Raises RefusedError, code `too-few`, when the noise could explain the difference.
    """
    always = max(empty.devices, 0.0) if empty is not None else 0.0
    noise = sqrt(full.deviation**2 + (empty.deviation**2 if empty is not None else 0.0))
    devices = full.devices - always
    if devices < LEAST_DEVIATIONS * noise:
        raise RefusedError(
            "too few devices to tell them from the noise",
            code="too-few",
            hint=f"count at a busier time: {round(always + LEAST_DEVIATIONS * noise) + 1} devices are needed",
        )
    factor = full.people / devices
    relative = SURE * sqrt(COUNT_ERROR**2 + (noise / devices) ** 2)
    return Calibration(
        people_per_device=_two_digits(factor),
        low=_two_digits(max(factor * (1 - relative), 0.0)),
        high=_two_digits(factor * (1 + relative)),
        measured_s=full.measured_s,
        empty=float(round(always)),
        empty_error=float(round(SURE * empty.deviation)) if empty is not None else 0.0,
    )


def factor(counted: Counted, learnt: Baseline | None, now_s: float) -> Calibration | None:
    """The site's line as it stands, None before a count of many; raises RefusedError as `calibrate` does."""
    return calibrate(counted.full, nobody(counted, learnt, now_s)) if counted.full is not None else None


def take(
    counted: Counted, people: int, reports: Iterable[Report], learnt: Baseline | None, now_s: float
) -> tuple[Counted, HandCount, Calibration | None]:
    """The site's counts with one more of the last hour, that count, and the line through them.

    `reports` are released ones of the broker's ledger. Raises RefusedError as `count` and `calibrate` do.
    """
    one = count(people, recent(reports, BROKER, now_s), now_s)
    counted = counted.with_count(one)
    return counted, one, factor(counted, learnt, now_s)


def people(report: Report, calibration: Calibration) -> People | None:
    """People that `report` means on average; None when it covers no minute. The range has the report's noise too."""
    if not report.minutes_covered:
        return None
    devices = report.figures[NEARBY] / report.minutes_covered - calibration.empty
    likely = devices * calibration.people_per_device
    noise = SURE * deviation((report,)) / report.minutes_covered
    from_noise = sqrt(noise**2 + calibration.empty_error**2) * calibration.people_per_device
    present = max(devices, 0.0)
    below = sqrt(from_noise**2 + (present * (calibration.people_per_device - calibration.low)) ** 2)
    above = sqrt(from_noise**2 + (present * (calibration.high - calibration.people_per_device)) ** 2)
    return People(likely=max(round(likely), 0), low=max(round(likely - below), 0), high=round(max(likely, 0.0) + above))


def to_json(counted: Counted) -> bytes:
    """The site's file in the state folder."""
    return (json.dumps(asdict(counted), indent=2, sort_keys=True) + "\n").encode()


def from_json(text: bytes, *, where: str) -> Counted:
    """The counts from their file; raises BadDataError naming `where`."""
    try:
        found = json.loads(text)
        counted = Counted(
            empty=_hand_count(found["empty"]),
            full=_hand_count(found["full"]),
            forgotten_s=float(found["forgotten_s"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadDataError("the site's counts are damaged", where=where, hint="run edge-scanner calibrate") from error
    if not sound(counted):
        raise BadDataError("the site's counts are damaged", where=where, hint="run edge-scanner calibrate")
    return counted


def sound(counted: Counted) -> bool:
    """Whether counts from a file can be some."""
    return all(
        0 <= one.people <= MAX_PEOPLE and isfinite(one.devices) and one.deviation > 0
        for one in (counted.empty, counted.full)
        if one is not None
    )


def _hand_count(found: Mapping[str, float] | None) -> HandCount | None:
    if found is None:
        return None
    return HandCount(
        people=int(found["people"]),
        devices=float(found["devices"]),
        deviation=float(found["deviation"]),
        measured_s=float(found["measured_s"]),
    )


def _two_digits(value: float) -> float:
    """All that a count by hand can tell."""
    return float(f"{value:.2g}")
