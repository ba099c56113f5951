"""When a venue is open and which days are its holidays, in the words of its settings.

Opening hours are one text for every day or seven from Monday on: `05:00-22:30`, `closed` (`nghỉ`), or empty for the
whole day. An end before its beginning is in the next morning. A holiday is a name and its first and last day,
`Tết 2027-02-05 2027-02-11`; the same name in another year is the same holiday, so that days can be compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from edge_scanner.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

CLOSED = ("closed", "nghỉ")
MAX_HOLIDAYS = 40
MAX_DAYS = 31
"""Of one holiday."""
WEEKDAYS = 7
_DAY_MINUTES = 24 * 60
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_HOLIDAY = re.compile(r"(\S.*?) (\d{4}-\d\d-\d\d)(?: (\d{4}-\d\d-\d\d))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """Its days, both ends among them."""

    name: str
    first: date
    last: date


def check_opening(opening: Sequence[str]) -> None:
    """Raises ConfigurationError for hours that can be none."""
    if len(opening) not in (0, 1, WEEKDAYS):
        raise ConfigurationError("must be one text for every day, or seven from Monday to Sunday")
    for text in opening:
        _minutes(text)


def holiday(text: str) -> Holiday:
    """The holiday that a line means; raises ConfigurationError."""
    found = _HOLIDAY.fullmatch(text)
    days = _days(found[2], found[3] or found[2]) if found and found[1].isprintable() else None
    if found is None or days is None:
        raise ConfigurationError(
            f"{text!r} is not a holiday", hint="write its name, first and last day: Tet 2027-02-05 2027-02-11"
        )
    first, last = days
    if not timedelta(0) <= last - first < timedelta(days=MAX_DAYS):
        raise ConfigurationError(f"{text!r} must last 1 to {MAX_DAYS} days")
    return Holiday(name=found[1], first=first, last=last)


def check_holidays(holidays: Sequence[str]) -> None:
    """Raises ConfigurationError for lines that are no holidays, for too many, and for two on one day."""
    if len(holidays) > MAX_HOLIDAYS:
        raise ConfigurationError(f"has more than {MAX_HOLIDAYS} lines")
    known = sorted(map(holiday, holidays), key=lambda one: one.first)
    for one, after in pairwise(known):
        if after.first <= one.last:
            raise ConfigurationError(f"{one.name} and {after.name} have a day in common")


def is_open(opening: Sequence[str], at: datetime) -> bool:
    """Whether the venue is open at a moment of its own clock; a venue without hours is always open."""
    minute = at.hour * 60 + at.minute
    begin, end = _day(opening, at.weekday())
    _, of_yesterday = _day(opening, at.weekday() - 1)
    return begin <= minute < end or minute < of_yesterday - _DAY_MINUTES


def next_opening(opening: Sequence[str], at: datetime) -> tuple[int, int] | None:
    """Days from now and minute of that day at which a closed venue opens; None when it does not within a week."""
    for days in range(WEEKDAYS + 1):
        begin, end = _day(opening, at.weekday() + days)
        if begin < end and (days or begin > at.hour * 60 + at.minute):
            return days, begin
    return None


def days_of(holidays: Iterable[str]) -> frozenset[date]:
    """Every day that is one."""
    return frozenset(
        one.first + timedelta(days=number)
        for one in map(holiday, holidays)
        for number in range((one.last - one.first).days + 1)
    )


def falling_on(holidays: Iterable[str], day: date) -> Holiday | None:
    """The holiday of a day."""
    return next((one for one in map(holiday, holidays) if one.first <= day <= one.last), None)


def same_day_before(holidays: Sequence[str], day: date) -> tuple[Holiday, date] | None:
    """The last holiday of the same name before this one, and its day of the same number: its third day on a third."""
    now = falling_on(holidays, day)
    if now is None:
        return None
    earlier = [one for one in map(holiday, holidays) if one.name == now.name and one.last < now.first]
    if not earlier:
        return None
    last = max(earlier, key=lambda one: one.first)
    then = last.first + (day - now.first)
    return (last, then) if then <= last.last else None


def _days(first: str, last: str) -> tuple[date, date] | None:
    try:
        return date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return None


def _minutes(text: str) -> tuple[int, int]:
    """Beginning and end in minutes of the day of the beginning; equal when closed."""
    if not text or text in CLOSED:
        return 0, 0 if text else _DAY_MINUTES
    found = _HOURS.fullmatch(text)
    hour, minute, last_hour, last_minute = map(int, found.groups()) if found else (99, 0, 0, 0)
    begin, end = hour * 60 + minute, last_hour * 60 + last_minute
    if begin >= _DAY_MINUTES or end > _DAY_MINUTES or max(minute, last_minute) > 59 or begin == end:  # noqa: PLR2004
        raise ConfigurationError(f"{text!r} is not opening hours", hint="write for example 05:00-22:30, or closed")
    return begin, end if end > begin else end + _DAY_MINUTES


def _day(opening: Sequence[str], weekday: int) -> tuple[int, int]:
    if not opening:
        return 0, _DAY_MINUTES
    return _minutes(opening[weekday % len(opening)])
