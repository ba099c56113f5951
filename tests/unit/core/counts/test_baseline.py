"""What is always here and what is usual, from released bins made by hand and by the ledger."""

from __future__ import annotations

import random

import pytest

from edge_scanner.core.counts import baseline, occupancy
from edge_scanner.core.counts.occupancy import DAY_S, WEEK_S, Level, Thresholds
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.model import Report, Tally
from tests.support.snapshots import BIN_S, display

EDGES = Thresholds(moderate_from=20, busy_from=60)
OFFSET_S = 7 * 3600
# Monday 7 December 2026, 00:00 in Viet Nam.
MONDAY_S = 1_796_576_400


def night(day: int, devices: float, **more: float) -> list[Report]:
    """One to five o'clock of the night, `day` days after that Monday."""
    start = MONDAY_S + day * DAY_S + 3600
    return [display(at, devices, **more) for at in range(start, start + 4 * 3600, BIN_S)]  # type: ignore[arg-type]


def test_the_median_of_a_week_of_nights() -> None:
    """Six quiet nights and a feast: 43 things; the figure holds from Monday, five o'clock, for the whole week."""
    nights = [report for day in range(-7, 0) for report in night(day, 300 if day == -2 else 43)]
    for now_s in (MONDAY_S + 5 * 3600, MONDAY_S + 6 * DAY_S):
        found = baseline.learn(nights, OFFSET_S, now_s)
        assert found is not None
        assert found.devices == pytest.approx(43)
        assert found.nights == 6
        assert 0 < found.error < 1


def test_the_first_nights_stand_for_a_week() -> None:
    """One night teaches nothing, two do, by the hour that they are over; what came before the request is forgotten."""
    nights = [*night(1, 10), *night(2, 12)]
    assert baseline.learn(nights[:24], OFFSET_S, MONDAY_S + 3 * DAY_S) is None
    found = baseline.learn(nights, OFFSET_S, MONDAY_S + 3 * DAY_S)
    assert found is not None
    assert found.devices == pytest.approx(11)
    assert found.nights == 2
    assert baseline.learn(nights, OFFSET_S, MONDAY_S + 3 * DAY_S, since_s=MONDAY_S + 2 * DAY_S) is None


def test_only_nights_teach() -> None:
    """Days, bins hardly covered, and nights of three weeks ago are passed over."""
    busy = [display(MONDAY_S + day * DAY_S + 12 * 3600, 500) for day in range(4)]
    hardly = [report for day in range(4) for report in night(day, 90, minutes=3)]
    old = [report for day in range(-21, -17) for report in night(day, 90)]
    assert baseline.learn([*busy, *hardly, *old], OFFSET_S, MONDAY_S + 4 * DAY_S) is None


def test_noise_is_nobody() -> None:
    """What noise could explain is not subtracted."""
    nights = [report for day in range(1, 4) for report in night(day, 3, scale=300.0)]
    found = baseline.learn(nights, OFFSET_S, MONDAY_S + 5 * DAY_S)
    assert found is not None
    assert found.devices == 0
    assert found.error > 3


def venue(fixed: int, days: int) -> tuple[Report, ...]:
    """Display bins as released, noise and all: so many fixed things, and 40 phones from 9 to 17 o'clock."""
    ledger = Ledger(figures=("phone",), randbelow=random.Random(fixed).randrange)
    start_s = MONDAY_S - days * DAY_S
    for minute in range(days * 1440):
        hour = minute // 60 % 24
        count = fixed + (40 if 9 <= hour < 17 else 0)
        ledger.add(Tally(minute_s=start_s + 60 * minute, listened_s=60.0, figures={"phone": count}))
    return tuple(report for report in ledger.due(MONDAY_S) if report.ledger == "display")


@pytest.mark.parametrize("fixed", [0, 3, 43])
def test_word_beside_things_that_are_always_here(fixed: int) -> None:
    """After a week of nights the word of the second week is right in 95 % of bins, whatever hangs there."""
    reports = venue(fixed, 14)
    learnt = baseline.learn(reports[: 7 * 48], OFFSET_S, MONDAY_S - WEEK_S + 5 * 3600)
    assert learnt is not None
    assert learnt.devices == pytest.approx(fixed, abs=max(learnt.error * 1.5, 3))
    edges = Thresholds(moderate_from=20, busy_from=60, offset=learnt.devices)
    right = looks = 0
    for number in range(7 * 48 + 1, 14 * 48):
        newest = reports[number]
        end_s = newest.bin_start_s + newest.bin_s
        hour = (newest.bin_start_s + OFFSET_S) % DAY_S // 3600
        crowd = occupancy.read(reports[number - 47 : number + 1], edges, end_s)
        right += crowd.level is (Level.MODERATE if 9 <= hour < 17 else Level.QUIET)
        looks += 1
    assert right / looks >= 0.95


def test_usual_thresholds_are_the_venues_own() -> None:
    """A venue of 10 to 109 phones calls itself moderate from its median and busy from its 85th part in a hundred."""
    reports = [display(MONDAY_S - number * BIN_S, 10 + number) for number in range(1, 100)]
    found = baseline.usual(reports, EDGES, MONDAY_S)
    assert (found.moderate_from, found.busy_from) == (60, 95)
    # Too few bins, empty ones, old ones, and a place that is the same all the time say nothing.
    assert baseline.usual(reports[:40], EDGES, MONDAY_S) is EDGES
    assert baseline.usual(reports, EDGES, MONDAY_S + 4 * WEEK_S) is EDGES
    assert baseline.usual([display(MONDAY_S - BIN_S, 0)] * 99, EDGES, MONDAY_S) is EDGES
    assert baseline.usual([display(MONDAY_S - BIN_S, 50)] * 99, EDGES, MONDAY_S) is EDGES


def test_a_night_of_two_bins_shares_noise() -> None:
    """The interval is that of the nights' sums: two nights of one bin each, whose scale is 30 in ten minutes."""
    bins = [display(MONDAY_S + day * DAY_S + 3600, 50, scale=30.0) for day in (1, 2)]
    found = baseline.learn(bins, OFFSET_S, MONDAY_S + 3 * DAY_S)
    # 2 * sqrt(pi / 2) * sqrt(2) * 30 / 10 / sqrt(2) of two nights.
    assert found is not None
    assert found.error == pytest.approx(2 * (3.14159 / 2) ** 0.5 * 3, rel=1e-4)
