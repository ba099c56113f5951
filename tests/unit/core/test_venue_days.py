"""Opening hours and holidays: what their texts mean, and which texts mean nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from edge_scanner.core import venue_days
from edge_scanner.core.errors import ConfigurationError

WEEK = ("05:00-22:30",) * 5 + ("20:00-02:00", "closed")
"""Monday to Friday by day, Saturday into the night, Sunday not at all."""
HOLIDAYS = (
    "Tết 2025-01-27 2025-02-02",
    "Tết 2026-02-16 2026-02-22",
    "Quốc khánh 2026-09-02",
    "Tết 2027-02-05 2027-02-13",
)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of the week that begins on Monday 23 November 2026."""
    return datetime(2026, 11, 23 + day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (at(0, 4, 59), False),
        (at(0, 5), True),
        (at(0, 22, 29), True),
        (at(0, 22, 30), False),
        (at(5, 19, 59), False),
        (at(5, 23), True),
        (at(6, 1, 59), True),
        (at(6, 2), False),
        (at(6, 12), False),
    ],
)
def test_open_by_the_venues_clock(moment: datetime, *, is_open: bool) -> None:
    """From the first minute to the one before the last, into the next morning too."""
    assert venue_days.is_open(WEEK, moment) is is_open


def test_a_venue_without_hours_is_open() -> None:
    """So is one whose day is empty, and one hour text holds for every day."""
    assert venue_days.is_open((), at(6, 3))
    assert venue_days.is_open(("",) * 7, at(6, 3))
    assert not venue_days.is_open(("05:00-24:00",), at(6, 3))


@pytest.mark.parametrize(
    ("opening", "moment", "opens"),
    [
        (WEEK, at(0, 4), (0, 300)),
        (WEEK, at(0, 23), (1, 300)),
        (WEEK, at(4, 23), (1, 1200)),
        (WEEK, at(6, 3), (1, 300)),
        (("nghỉ",), at(0, 4), None),
        (("05:00-22:30",) + ("closed",) * 6, at(0, 23), (7, 300)),
    ],
)
def test_when_it_opens_next(opening: tuple[str, ...], moment: datetime, opens: tuple[int, int] | None) -> None:
    """Days from now and the minute; none for a venue that is always closed."""
    assert venue_days.next_opening(opening, moment) == opens


@pytest.mark.parametrize(
    "opening",
    [
        ("05:00-22:30", "closed"),
        ("5-22",),
        ("25:00-26:00",),
        ("05:00-24:01",),
        ("05:60-07:00",),
        ("05:00-05:00",),
        ("open",),
    ],
)
def test_hours_that_can_be_none(opening: tuple[str, ...]) -> None:
    """One line says so."""
    with pytest.raises(ConfigurationError, match=r"opening hours|seven"):
        venue_days.check_opening(opening)


def test_the_same_day_of_the_last_holiday_of_that_name() -> None:
    """Its third day beside the third; nothing for a day that the earlier one had not, and for the first ever."""
    venue_days.check_holidays(HOLIDAYS)
    found = venue_days.same_day_before(HOLIDAYS, date(2027, 2, 7))
    assert found is not None
    assert (found[0].name, found[1]) == ("Tết", date(2026, 2, 18))
    assert venue_days.same_day_before(HOLIDAYS, date(2027, 2, 12)) is None
    assert venue_days.same_day_before(HOLIDAYS, date(2026, 9, 2)) is None
    assert venue_days.same_day_before(HOLIDAYS, date(2026, 9, 3)) is None


def test_every_day_of_a_holiday_is_one() -> None:
    """Both ends among them."""
    days = venue_days.days_of(HOLIDAYS)
    assert {date(2026, 2, 16), date(2026, 2, 22), date(2026, 9, 2)} <= days
    assert len(days) == 7 + 7 + 1 + 9
    assert venue_days.falling_on(HOLIDAYS, date(2026, 2, 23)) is None


@pytest.mark.parametrize(
    ("holidays", "complaint"),
    [
        (("2026-02-16",), "is not a holiday"),
        (("Tết 2026-02-30",), "is not a holiday"),
        (("T\x00 2026-02-16",), "is not a holiday"),
        (("Tết 2026-02-16 2026-02-15",), "must last"),
        (("Tết 2026-02-16 2026-03-19",), "must last"),
        (("A 2026-02-16 2026-02-18", "B 2026-02-18"), "a day in common"),
        (tuple(f"A {1900 + n}-01-01" for n in range(41)), "more than 40"),
    ],
)
def test_lines_that_are_no_holidays(holidays: tuple[str, ...], complaint: str) -> None:
    """Each is said in one line."""
    with pytest.raises(ConfigurationError, match=complaint):
        venue_days.check_holidays(holidays)
