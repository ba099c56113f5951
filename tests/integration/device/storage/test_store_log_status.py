"""`log status` on real files: which minutes are recorded and which are not, by segments of this and older versions."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device.commands.log_status import Recorded, recorded, run_log_status
from edge_scanner.device.storage.rows import Span
from tests.support.log_files import VIET_NAM, edit, put, utc
from tests.support.sealed_logs import HOUR_S, Box

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.language.errors import Language


def spans(*given: tuple[float, int, int | None]) -> list[Span]:
    """Segments of an hour, with their frames and minutes."""
    return [Span(hour_s=hour_s, frames=frames, minutes=minutes) for hour_s, frames, minutes in given]


def test_a_minute_that_was_not_recorded_is_named() -> None:
    """Whatever the number of frames; segments of one hour count together, also out of order, as a clock leaves them."""
    hour, whole = 3600.0, (1 << 60) - 1
    stopped = whole & ~(0b1111111 << 12)

    found = recorded(spans((2 * hour, 500, stopped), (0.0, 61, whole & ~0b11111), (hour, 20, 7), (hour, 57, whole ^ 7)))

    assert (found.from_s, found.to_s) == (300.0, 3 * hour)
    assert [(gap.from_s, gap.to_s, gap.minutes, gap.exact) for gap in found.gaps] == [
        (2 * hour + 12 * 60, 2 * hour + 19 * 60, 7, True)
    ]
    assert recorded([]) == Recorded()


def test_minutes_of_an_older_version_are_counted() -> None:
    """Which minutes its segments hold is sealed: a hole has a number, within hours. A restart of a minute is none."""
    hour, whole = 3600.0, (1 << 60) - 1
    older = ((hour, 30), (2 * hour, 500), (3 * hour, 5), (3 * hour, 54), (4 * hour, 60), (9 * hour, 1))

    before = recorded(spans(*((at_s, frames, None) for at_s, frames in older)))
    after = recorded(spans((0.0, 60, whole), (hour, 30, None), (hour, 5, 0b11111), (2 * hour, 58, whole & ~3)))

    told = [(gap.from_s, gap.to_s, gap.minutes, gap.exact) for gap in before.gaps]
    assert told == [(hour, 2 * hour, 30, False), (4 * hour, 9 * hour, 240, False)]
    assert [(gap.from_s, gap.to_s, gap.minutes) for gap in after.gaps] == [(hour, 2 * hour + 120, 27)]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "en",
            "2026-11-29 05:12-05:19 ICT (7 min); 2026-11-29 05:30 ICT to 2026-12-01 03:59 ICT (2,789 min) (box",
        ),
        ("vi", "2026-11-29 05:12-05:19 ICT (7 phút); 2026-11-29 05:30 ICT đến 2026-12-01 03:59 ICT (2,789 phút) (hộp"),
    ],
)
def test_status_names_the_missing_minutes_at_the_venue(
    path: Path, capsys: pytest.CaptureFixture[str], language: Language, said: str
) -> None:
    """A stop of seven minutes, then one of two days: as spans in the venue's zone, and for programs in UTC."""
    box = Box().minutes(12)
    box.stop().now_s += 7 * 60
    box.restart().minutes(11)
    box.stop().now_s = HOUR_S + 47 * 3600 - 60
    box.restart().minutes(2)
    put(path, box)

    run_log_status(path, zone=VIET_NAM, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    run_log_status(path, zone=VIET_NAM, language=language)
    table = " ".join(capsys.readouterr().out.split())

    assert (answer["oldest"], answer["newest"]) == (utc(0), utc(47 * 3600 + 60))
    assert answer["not_recorded"] == [
        [utc(12 * 60), utc(19 * 60), 7],
        [utc(30 * 60), utc(47 * 3600 - 60), 47 * 60 - 31],
    ]
    assert said in table


def test_a_gap_to_midnight_is_of_one_day(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A venue's night ends at 24:00 of its own day."""
    box = Box(start_s=HOUR_S - 14 * 3600).minutes(1)
    box.stop().now_s = HOUR_S - 5 * 3600
    put(path, box.restart().minutes(1))

    run_log_status(path, zone=VIET_NAM)

    assert "2026-11-28 15:01-24:00 ICT (539 min)" in " ".join(capsys.readouterr().out.split())


def test_a_log_of_an_older_version_is_read_as_it_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A card of a box that was never upgraded, in a reader: nothing is migrated, and its minutes are counted."""
    box = Box().minutes(50)
    box.stop().now_s = HOUR_S + 3600
    put(path, box.restart().minutes(5))
    edit(path, "DROP TABLE recorded")
    edit(path, "PRAGMA user_version = 2")

    run_log_status(path, zone=UTC, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    run_log_status(path, zone=UTC)

    assert answer["not_recorded"] == [[utc(0), utc(3600), 9]]
    assert "9 min between" in " ".join(capsys.readouterr().out.split())
