"""The share of devices that run a protocol, from numbers chosen by hand."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest

from edge_scanner.core.counts.adoption import adoption
from edge_scanner.core.model import Report


def report(bluezone: int, presence: int, other: int, *, scale: float = 264.0) -> Report:
    """An hour with these device-minutes."""
    return Report(
        ledger="broker",
        bin_start_s=1_700_002_800,
        bin_s=3600,
        minutes_covered=60,
        epsilon=0.25,
        scale=scale,
        figures={
            "other": other,
            "bluezone": bluezone,
            "bluezone_presence": presence,
            "passing": 99_999,
            "nearby": other + bluezone + presence,
        },
    )


def test_share_and_range() -> None:
    """3,000 of 10,000 device-minutes are 30 %; the range is 1.96 deviations of the ratio, worked out here."""
    found = adoption([report(2000, 1000, 7000)])
    assert found is not None
    variance = 2 * 264.0**2
    deviation = sqrt(2 * variance + 0.3**2 * variance) / 10_000
    assert found.share == pytest.approx(0.3)
    assert found.high - found.share == pytest.approx(1.96 * deviation)
    assert found.share - found.low == pytest.approx(1.96 * deviation)
    assert found.device_hours == pytest.approx(10_000 / 60)


def test_more_bins_narrow_the_range() -> None:
    """Four hours like one, hours apart: the same share, half the range."""
    hour = report(2000, 1000, 7000)
    one = adoption([hour])
    four = adoption([replace(hour, bin_start_s=hour.bin_start_s + number * 40 * 3600) for number in range(4)])
    assert one is not None
    assert four is not None
    assert four.share == pytest.approx(one.share)
    assert four.high - four.low == pytest.approx((one.high - one.low) / 2)


def test_noise_hides_the_answer() -> None:
    """A shop with three devices, and no report at all, have no share."""
    assert adoption([report(60, 0, 120)]) is None
    # Five deviations of one noise are 1,867.
    assert adoption([report(400, 400, 1000)]) is None
    assert adoption([report(500, 500, 900)]) is not None
    assert adoption([]) is None


def test_phones_alone_have_no_share() -> None:
    """Reports without tracing figures say nothing of any app."""
    alone = replace(report(0, 0, 10_000), figures={"nearby": 10_000})
    assert adoption([alone]) is None


def test_share_stays_a_share() -> None:
    """Noise may push figures below zero and above the whole; the share stays within 0 and 1."""
    none = adoption([report(-500, 0, 10_000)])
    assert none is not None
    assert (none.share, none.low) == (0.0, 0.0)
    deviation = sqrt(2 + (500 / 9500) ** 2) * sqrt(2) * 264 / 9500
    assert none.high == pytest.approx(-500 / 9500 + 1.96 * deviation)
    full = adoption([report(10_000, 0, -500)])
    assert full is not None
    assert (full.share, full.high) == (1.0, 1.0)
