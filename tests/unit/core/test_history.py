"""Two months of released hours in a file that the kiosk reads and distrusts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_scanner.core import history
from edge_scanner.core.errors import BadDataError
from tests.support.snapshots import TUESDAY_S, hour

HOUR_S = TUESDAY_S // 3600 * 3600


def test_round_trip() -> None:
    """What the box writes is what the kiosk reads."""
    found = history.build([hour(HOUR_S, 20), hour(HOUR_S + 3600, -3)], HOUR_S + 7200)

    assert [one.start_s for one in found.hours] == [HOUR_S, HOUR_S + 3600]
    assert history.from_json(history.to_json(found)) == found


def test_hours_nobody_listened_to_and_the_present_one_are_left_out() -> None:
    """Less than half an hour of an hour is no figure, and one that is not over may still change."""
    kept = [hour(HOUR_S - 3600, 40, minutes=29), hour(HOUR_S, 40, minutes=30), hour(HOUR_S + 3600, 40)]
    assert [one.start_s for one in history.build(kept, HOUR_S + 3600).hours] == [HOUR_S]


def test_two_months_fit() -> None:
    """Sixty-two days are far below the limit."""
    months = history.build([hour(HOUR_S + number * 3600, 300) for number in range(history.DAYS * 24 + 1)], 2 * HOUR_S)
    assert len(history.to_json(months)) < history.MAX_BYTES / 2
    assert history.from_json(history.to_json(months)) == months


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        *(
            {"hours": [{"start_s": 0, "minutes": 60, "nearby": 1, "scale": 1, "parts": 1} | wrong]}
            for wrong in (
                {"start_s": -1},
                {"start_s": 1 << 60},
                {"minutes": 0},
                {"nearby": -(1 << 60)},
                {"scale": -1},
                {"scale": 1e300},
                {"parts": 0},
                {"nearby": "=1+1"},
            )
        ),
    ],
)
def test_a_hostile_file_is_refused(changes: dict[str, Any]) -> None:
    """By a sentence that names the field."""
    good = json.loads(history.to_json(history.build([hour(HOUR_S, 40)], 2 * HOUR_S)))
    with pytest.raises(BadDataError, match=next(iter(changes))):
        history.from_json(json.dumps(good | changes).encode())


def test_the_holiday_before_is_apart() -> None:
    """Its hours are no part of the months, and are bounded like them."""
    found = history.build([hour(HOUR_S, 20)], 2 * HOUR_S, [hour(3600, 7), hour(7200, 7, minutes=3)])
    assert ([one.start_s for one in found.hours], [one.start_s for one in found.holiday]) == ([HOUR_S], [3600])
    assert history.from_json(history.to_json(found)) == found
    with pytest.raises(BadDataError, match="hours"):
        history.from_json(history.to_json(found).replace(b'"start_s":3600', b'"start_s":-3600'))
