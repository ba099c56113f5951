"""Times of the venue's clock as people write them in both languages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk.translations import say

if TYPE_CHECKING:
    from edge_scanner.core.diagnostics.words import Words

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
# Above two of a unit a span is told in that unit: 90 minutes stay minutes, 3 hours are hours.
_LARGER_FROM = 2


def local(at_s: float, utc_offset_s: int) -> datetime:
    """The venue's wall clock; the zone is left at UTC because only the fields are used."""
    return datetime.fromtimestamp(at_s + utc_offset_s, UTC)


def clock(at_s: float, utc_offset_s: int) -> str:
    """Hours and minutes, e.g. `14:05`."""
    return f"{local(at_s, utc_offset_s):%H:%M}"


def minute(at_s: float, utc_offset_s: int) -> int:
    """The minute of the local day, 0 to 1439."""
    at = local(at_s, utc_offset_s)
    return at.hour * 60 + at.minute


def date(at_s: float, utc_offset_s: int) -> Words:
    """The date with its weekday and the zone of the page's times, e.g. Tuesday 24 November (+07)."""
    at = local(at_s, utc_offset_s)
    month, name = say(f"month.{at.month}"), weekday(at_s, utc_offset_s)
    return say("when.date", weekday=name, day=at.day, month=month, zone=zone(utc_offset_s))


def day(at_s: float, utc_offset_s: int) -> Words:
    """The day with its year, e.g. 24 tháng 11 năm 2026 and 24 November 2026."""
    at = local(at_s, utc_offset_s)
    return say("when.day", day=at.day, month=say(f"month.{at.month}"), year=at.year)


def weekday(at_s: float, utc_offset_s: int) -> Words:
    """The day's name."""
    return say(f"weekday.{local(at_s, utc_offset_s).weekday()}")


def moment(at_s: float | None, utc_offset_s: int) -> Words:
    """Day and time with its zone, e.g. 14:05 +07 on 24/11; "never" for None."""
    if at_s is None:
        return say("when.never")
    time = f"{clock(at_s, utc_offset_s)} {zone(utc_offset_s)}"
    return say("when.moment", time=time, day=f"{local(at_s, utc_offset_s):%d/%m}")


def zone(utc_offset_s: int) -> str:
    """The zone as everybody reads it: +07, +05:30."""
    hours, minutes = divmod(abs(utc_offset_s) // 60, 60)
    return f"{'-' if utc_offset_s < 0 else '+'}{hours:02d}" + (f":{minutes:02d}" if minutes else "")


def span(seconds: float) -> Words:
    """A length of time in its largest sensible unit, e.g. 42 s, 17 min, 5 h, 12 days."""
    whole = max(0, int(seconds))
    for unit, length in (("days", _DAY_S), ("hours", _HOUR_S), ("minutes", _MINUTE_S)):
        if whole >= _LARGER_FROM * length:
            return say(f"span.{unit}", count=whole // length)
    return say("span.seconds", count=whole)
