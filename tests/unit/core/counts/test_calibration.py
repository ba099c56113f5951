"""The site factor, from a count by hand and numbers chosen by hand."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from edge_scanner.core.counts.baseline import Baseline
from edge_scanner.core.counts.calibration import (
    Counted,
    HandCount,
    People,
    calibrate,
    count,
    factor,
    from_json,
    nobody,
    people,
    recent,
    sound,
    take,
    to_json,
)
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.messages import Calibration
from edge_scanner.core.model import Report

NOW_S = 1_700_006_400.0


def report(nearby: int, *, minutes: int = 10, scale: float = 66.0, number: int = 0) -> Report:
    """A bin, the `number`th of this hour."""
    return Report(
        ledger="display",
        bin_start_s=1_700_002_800 + 600 * number,
        bin_s=600,
        minutes_covered=minutes,
        epsilon=1.0,
        scale=scale,
        figures={"other": nearby // 2, "bluezone": nearby - nearby // 2, "passing": 7, "nearby": nearby},
    )


def full(counted: int, *reports: Report) -> HandCount:
    """A count of so many people."""
    return count(counted, reports, NOW_S)


def test_factor_and_range() -> None:
    """Sixty people while six bins said 100 devices: 0.6, with 5 % of miscounting and the noise of their sum."""
    factor = calibrate(full(60, *(report(1000, number=number) for number in range(6))))
    # Neighbours share a half of their noise, the next a quarter, and so on.
    shared = 6 + 2 * (5 / 2 + 4 / 4 + 3 / 8 + 2 / 16 + 1 / 32)
    noise = sqrt(shared * 2 * 66.0**2) / 60 / 100
    assert factor.people_per_device == pytest.approx(0.6)
    assert factor.high == pytest.approx(0.6 * (1 + 1.96 * sqrt(0.05**2 + noise**2)), abs=0.005)
    assert factor.low == pytest.approx(0.6 * (1 - 1.96 * sqrt(0.05**2 + noise**2)), abs=0.005)
    assert (factor.measured_s, factor.empty, factor.empty_error) == (NOW_S, 0, 0)


def test_two_counts_give_slope_and_offset() -> None:
    """Forty devices with nobody there, 200 with 80 people: half a person for each above forty, with both noises."""
    empty = full(0, report(400))
    factor = calibrate(full(80, report(2000)), empty)
    noise = sqrt(2 * 2 * 66.0**2) / 10
    assert (factor.people_per_device, factor.empty) == (0.5, 40)
    assert factor.empty_error == round(1.96 * 66 * sqrt(2) / 10)
    assert factor.high == pytest.approx(0.5 * (1 + 1.96 * sqrt(0.05**2 + (noise / 160) ** 2)), abs=0.005)
    # Noise below nobody is nobody.
    assert calibrate(full(80, report(2000)), full(0, report(-90))).empty == 0


def test_counts_are_kept_by_their_kind() -> None:
    """The newest count of nobody and the newest of many stand; nights are the count of nobody where none was made."""
    none, many = full(0, report(400)), full(80, report(2000))
    counted = Counted().with_count(many).with_count(none)
    assert (counted.empty, counted.full) == (none, many)
    learnt = Baseline(devices=100.0, error=4.0, nights=7)
    nights = HandCount(people=0, devices=100.0, deviation=2.0, measured_s=NOW_S)
    assert [nobody(one, learnt, NOW_S) for one in (counted, Counted())] == [none, nights]
    assert factor(counted, learnt, NOW_S) == calibrate(many, none)
    assert factor(Counted(full=many), learnt, NOW_S) == calibrate(many, nights)
    assert factor(Counted(full=many), None, NOW_S) == calibrate(many)
    assert factor(Counted(empty=none), learnt, NOW_S) is None
    # Noise hides what the nights leave of it.
    with pytest.raises(RefusedError):
        factor(Counted(full=many), Baseline(devices=195.0, error=4.0, nights=7), NOW_S)


@pytest.mark.parametrize(
    ("counted", "reports", "code"),
    [
        (-1, [report(1000)], "people"),
        (100_001, [report(1000)], "people"),
        (60, [], "no-minutes"),
        (60, [report(1000, minutes=0)], "no-minutes"),
        (60, [report(360)], "too-few"),
    ],
)
def test_refused(counted: int, reports: list[Report], code: str) -> None:
    """No factor where none would be honest; 36 devices in ten minutes are within the noise of the display."""
    with pytest.raises(RefusedError) as caught:
        calibrate(count(counted, reports, NOW_S))
    assert caught.value.code == code


def test_recent() -> None:
    """The bins of the last hour count: not another ledger's, not an older bin, not one that is not over."""
    bin_ = report(1000)
    end_s = bin_.bin_start_s + bin_.bin_s
    assert recent([bin_], "display", end_s) == [bin_]
    assert recent([bin_], "display", end_s + 3600) == [bin_]
    assert recent([bin_], "display", end_s + 3601) == []
    assert recent([bin_], "display", end_s - 1) == []
    assert recent([bin_], "broker", end_s) == []


FACTOR = Calibration(people_per_device=0.5, low=0.4, high=0.7, measured_s=NOW_S)


def test_people() -> None:
    """200 devices at 0.5 are 100 people; the range joins the factor's and the noise's."""
    noise = 1.96 * sqrt(2 * 66.0**2) / 10 * 0.5
    assert people(report(2000), FACTOR) == People(
        likely=100, low=round(100 - sqrt(noise**2 + 20**2)), high=round(100 + sqrt(noise**2 + 40**2))
    )


def test_people_of_an_empty_hall() -> None:
    """Noise below zero means nobody, with an upper end; a bin without a minute means nothing."""
    empty = people(report(-200), FACTOR)
    assert empty is not None
    assert (empty.likely, empty.low) == (0, 0)
    assert empty.high > 0
    assert people(report(-200, minutes=0), FACTOR) is None


def test_people_above_those_that_are_always_here() -> None:
    """Forty devices are nobody's; how sure that is goes into the range."""
    line = replace(FACTOR, empty=40.0, empty_error=6.0)
    noise = 1.96 * sqrt(2 * 66.0**2) / 10
    found = people(report(2000), line)
    assert found is not None
    assert found.likely == 80
    assert found.low == round(80 - sqrt((noise**2 + 6**2) * 0.25 + 16**2))


COUNTED = Counted(empty=full(0, report(400)), full=full(80, report(2000)), forgotten_s=12.0)


def test_file_round_trip() -> None:
    """What calibrate writes, the program reads."""
    for counted in (COUNTED, Counted()):
        assert from_json(to_json(counted), where="site.json") == counted


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        to_json(COUNTED).replace(b"80", b'"many"'),
        to_json(COUNTED).replace(b"80", b"-3"),
        to_json(COUNTED).replace(b"200.0", b"NaN"),
    ],
)
def test_damaged_file(text: bytes) -> None:
    """A damaged file is named."""
    with pytest.raises(BadDataError, match=r"site\.json"):
        from_json(text, where="site.json")


def test_one_more_count_is_judged_with_those_before() -> None:
    """The broker's hour is compared; nobody first gives no line, many then do; the newest time is known."""
    hour = replace(report(6000, minutes=60, scale=264.0), ledger="broker", bin_s=3600)
    display = report(9_999)
    quiet, one, line = take(Counted(), 0, [replace(hour, figures={"nearby": 600}), display], None, NOW_S)
    assert (one.devices, line, quiet.newest_s) == (10.0, None, NOW_S)
    busy, _, line = take(quiet, 45, [hour, display], None, NOW_S)
    assert line is not None
    assert line.people_per_device == pytest.approx(0.5)
    assert (busy.empty, busy.newest_s, Counted().newest_s) == (quiet.empty, NOW_S, 0.0)
    with pytest.raises(RefusedError, match="too few devices"):
        take(quiet, 45, [replace(hour, figures={"nearby": 660})], None, NOW_S)
    with pytest.raises(RefusedError, match="nothing was released"):
        take(quiet, 45, [display], None, NOW_S)


def test_counts_that_can_be_none() -> None:
    """Negative people and a noise of nothing are no count."""
    good = full(60, report(1000))
    assert sound(Counted(full=good))
    assert not sound(Counted(full=replace(good, people=-1)))
    assert not sound(Counted(empty=replace(good, deviation=0.0)))
