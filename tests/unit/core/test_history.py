"""Two months of released figures in a file that the kiosk reads and distrusts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edge_scanner.core import history
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.history import Bin, Figure, figure
from edge_scanner.core.json_documents import MAX_ITEMS
from tests.support.snapshots import TUESDAY_S, hourly

HOUR_S = TUESDAY_S // 3600 * 3600


def test_round_trip() -> None:
    """What the box writes is what the kiosk reads, in order, as devices and not device-minutes."""
    found = history.build([hourly(HOUR_S + 3600, 40), hourly(HOUR_S, 20)])

    assert [one.at_s for one in found.bins] == [HOUR_S, HOUR_S + 3600]
    assert [one.mean for one in found.bins] == [20, 40]
    assert history.from_json(history.to_json(found)) == found


def test_bins_nobody_listened_to_are_left_out() -> None:
    """Less than half an hour of an hour is no figure; nor is a bin without the figure."""
    deaf, bare = replace(hourly(HOUR_S, 40), minutes_covered=29), replace(hourly(HOUR_S, 40), figures={})
    assert history.build([deaf, bare]).bins == ()


def test_two_months_fit_and_no_more_is_kept_than_fits() -> None:
    """Sixty-two days of hours are far below the limit; short bins keep the newest."""
    months = history.build([hourly(HOUR_S + number * 3600, 300) for number in range(history.DAYS * 24)])
    assert len(history.to_json(months)) < history.MAX_BYTES / 2
    many = history.build([hourly(HOUR_S + number * 3600, 300) for number in range(MAX_ITEMS + 5)])
    assert many.bins[0].at_s == HOUR_S + 5 * 3600
    assert history.from_json(history.to_json(many)) == many


@pytest.mark.parametrize(
    ("means", "half", "told"),
    [
        ((40.0,), 12.0, Figure(likely=40, low=28, high=52)),
        ((5.0,), 12.0, Figure(likely=0, low=0, high=17)),
        ((-9.0,), 12.0, Figure(likely=0, low=0, high=12)),
        ((40.0, 44.0, 36.0, 40.0), 12.0, Figure(likely=40, low=34, high=46)),
    ],
)
def test_nothing_negative_is_told(means: tuple[float, ...], half: float, told: Figure) -> None:
    """Where the noise could be all of it there is a range from 0; four weeks halve the error of one."""
    bins = [Bin(at_s=HOUR_S, bin_s=3600, mean=mean, half=half) for mean in means]
    assert figure(bins) == told


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"bins": [{"at_s": -1, "bin_s": 3600, "mean": 1, "half": 1}]},
        {"bins": [{"at_s": 0, "bin_s": 0, "mean": 1, "half": 1}]},
        {"bins": [{"at_s": 0, "bin_s": 3600, "mean": 1, "half": -1}]},
        {"bins": [{"at_s": 0, "bin_s": 3600, "mean": "=1+1", "half": 1}]},
    ],
)
def test_a_hostile_file_is_refused(changes: dict[str, Any]) -> None:
    """By a sentence that names the field."""
    good = json.loads(history.to_json(history.build([hourly(HOUR_S, 40)])))
    with pytest.raises(BadDataError):
        history.from_json(json.dumps(good | changes).encode())
