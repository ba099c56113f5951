"""What people read, Vietnamese and English: each sentence once in both languages (texts.json)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge_scanner.core.errors import BadDataError
from edge_scanner.core.wording import filled

LANGUAGES = ("vi", "en")
ZONE = "Asia/Ho_Chi_Minh"
VIET_NAM = timezone(timedelta(hours=7), "ICT")
"""Viet Nam has one zone and no summer time, so the default needs no package of zones."""

_zones: list[tzinfo] = [VIET_NAM]


@cache
def catalogue(language: str) -> dict[str, str]:
    """The sentences of a language by key."""
    text = (resources.files("edge_scanner.authority") / "texts.json").read_text(encoding="utf-8")
    return {key: both[language] for key, both in json.loads(text).items()}


def say(language: str, key: str, /, **values: object) -> str:
    """The sentence with its values; raises KeyError for one that is in no catalogue."""
    return filled(catalogue(language)[key], **values)


def refusal(language: str, code: str) -> str:
    """Why an order is refused, in words; the code itself where a newer box has one that is not known here."""
    return catalogue(language).get(f"request_bad_{code}") or say(language, "request_bad", code=code)


def use_zone(name: str) -> None:
    """Print every time in this zone from now on; raises BadDataError for one that this machine does not know."""
    try:
        _zones[0] = VIET_NAM if name == ZONE else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadDataError("no such time zone", where=name, hint=f"--zone {ZONE}") from error


def zone() -> tzinfo:
    """The zone in which times are printed, the venues'."""
    return _zones[0]


def offset_s(at_s: float) -> int:
    """How far its clock is ahead of UTC at a moment."""
    return int((datetime.fromtimestamp(at_s, zone()).utcoffset() or timedelta()).total_seconds())


def local(at_s: float) -> str:
    """A moment as people at the venue write it, with its zone: 24/11/2026 08:00 +07."""
    return f"{datetime.fromtimestamp(at_s, zone()):%d/%m/%Y %H:%M} {_ahead(at_s)}"


def local_second(at_s: float) -> str:
    """A moment to the second."""
    return f"{datetime.fromtimestamp(at_s, zone()):%d/%m/%Y %H:%M:%S} {_ahead(at_s)}"


def local_day(at_s: float) -> str:
    """The day of a moment, with the zone of the times beside it."""
    return f"{datetime.fromtimestamp(at_s, zone()):%d/%m/%Y} {_ahead(at_s)}"


def clock(at_s: float) -> str:
    """Only the hour and minute, behind a moment that has named date and zone."""
    return f"{datetime.fromtimestamp(at_s, zone()):%H:%M}"


def _ahead(at_s: float) -> str:
    """The zone as everybody reads it: +07, +05:30."""
    hours, minutes = divmod(abs(offset_s(at_s)) // 60, 60)
    sign = "-" if offset_s(at_s) < 0 else "+"
    return f"{sign}{hours:02d}:{minutes:02d}" if minutes else f"{sign}{hours:02d}"


def device_name(device: str) -> str:
    """A box's id as its label shows it: K7MP-2R9C-X4."""
    return "-".join((device[:4], device[4:8], device[8:]))
