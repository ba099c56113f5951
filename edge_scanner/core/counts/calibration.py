"""People per device at this site, from one count by hand and the noised reports of the same time.

The factor depends on how many people carry a phone that speaks and how many other things do, which only a count at the
site can tell. It uses the broker's own reports: what it publishes the broker could compute, so calibrating costs no
privacy. What the noise and the miscounting leave open goes into the range; a count that noise could explain is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts.intervals import deviation
from edge_scanner.core.counts.release import NEARBY
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.messages import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


def calibrate(people: int, reports: Sequence[Report], now_s: float) -> Calibration:
    """The site's factor from `people` counted while `reports` were being measured (one ledger, disjoint bins).

    Raises RefusedError, codes `people`, `no-minutes` and `too-few`, when no honest factor can be given.
    """
    if not 1 <= people <= MAX_PEOPLE:
        raise RefusedError(f"the count must be 1 to {MAX_PEOPLE}", code="people", where="--people")
    minutes = sum(report.minutes_covered for report in reports)
    if not minutes:
        raise RefusedError(
            "nothing was released while you counted", code="no-minutes", hint="let the box run for an hour, then count"
        )
    devices = sum(report.figures[NEARBY] for report in reports) / minutes
    noise = _deviation(reports)
    if devices < LEAST_DEVIATIONS * noise:
        raise RefusedError(
            "too few devices to tell them from the noise",
            code="too-few",
            hint=f"count at a busier time: {round(LEAST_DEVIATIONS * noise) + 1} devices are needed",
        )
    factor = people / devices
    relative = SURE * sqrt(COUNT_ERROR**2 + (noise / devices) ** 2)
    return Calibration(
        people_per_device=_two_digits(factor),
        low=_two_digits(max(factor * (1 - relative), 0.0)),
        high=_two_digits(factor * (1 + relative)),
        measured_s=now_s,
    )


def people(report: Report, calibration: Calibration) -> People | None:
    """People that `report` means on average; None when it covers no minute. The range has the report's noise too."""
    if not report.minutes_covered:
        return None
    devices = report.figures[NEARBY] / report.minutes_covered
    likely = devices * calibration.people_per_device
    from_noise = SURE * _deviation((report,)) * calibration.people_per_device
    present = max(devices, 0.0)
    below = sqrt(from_noise**2 + (present * (calibration.people_per_device - calibration.low)) ** 2)
    above = sqrt(from_noise**2 + (present * (calibration.high - calibration.people_per_device)) ** 2)
    return People(likely=max(round(likely), 0), low=max(round(likely - below), 0), high=round(max(likely, 0.0) + above))


def to_json(calibration: Calibration) -> bytes:
    """The site's file in the state folder."""
    return (json.dumps(asdict(calibration), indent=2, sort_keys=True) + "\n").encode()


def from_json(text: bytes, *, where: str) -> Calibration:
    """The factor from its file; raises BadDataError naming `where`."""
    try:
        found = json.loads(text)
        calibration = Calibration(**{name: float(found[name]) for name in Calibration.__dataclass_fields__})
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadDataError("the site factor is damaged", where=where, hint="run edge-scanner calibrate") from error
    if not 0 <= calibration.low <= calibration.people_per_device <= calibration.high < float("inf"):
        raise BadDataError("the site factor has no sensible range", where=where, hint="run edge-scanner calibrate")
    return calibration


def _two_digits(value: float) -> float:
    """All that a count by hand can tell."""
    return float(f"{value:.2g}")


def _deviation(reports: Sequence[Report]) -> float:
    """Deviation that the noise gives to the mean of `nearby`, in devices."""
    return deviation(reports) / sum(report.minutes_covered for report in reports)
