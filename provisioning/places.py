"""The plan: `sites.csv` (UTF-8), a line for each box, with what its venue needs.

    site, room, name_vi, name_en          required columns; `site` and one of the names must be filled
    contact, notice_url, time_zone        whom to call, the notice's address, the zone of the screen's clock
    moderate_from, busy_from, word        where the screen's word changes: phones, people, or by the venue's own weeks
    province, district, kind              where the centre counts it: `school`, `hotel`, `station`, `hospital`, ...
    hall_rule                             `separate` or `same hall`: whether the site's boxes hear the same people

An unknown column is refused, so that a misspelt one is not ignored in fifty boxes. A venue's Wi-Fi is no column: a plan
lies in every batch and every box could read it (`edge-provision card --wifi`).
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import fields
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from edge_scanner.core.enrolment.box_list import HALL_RULES
from edge_scanner.core.enrolment.documents import WORDS, Place
from edge_scanner.core.errors import BadDataError, MalformedError
from edge_scanner.core.text import parse as parse_text
from provisioning import files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REQUIRED = ("site", "room", "name_vi", "name_en")
COLUMNS = tuple(field.name for field in fields(Place))
NUMBERS = ("moderate_from", "busy_from")
MAX_TEXT = 200
MAX_PEOPLE = 100_000
_SITE = re.compile(r"[a-z0-9-]{1,32}")
_MODERATE, _BUSY = 20, 60
"""The settings' defaults, against which one threshold alone is held."""


def read(path: Path) -> tuple[Place, ...]:
    """The places of a plan; raises BadDataError that names file and line."""
    try:
        text = files.read(path, hint="give --sites a CSV file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDataError("not UTF-8", where=f"{path}, byte {error.start}", hint="save as CSV UTF-8") from error
    rows = csv.DictReader(io.StringIO(text))
    names = rows.fieldnames or ()
    if missing := set(REQUIRED) - set(names):
        raise BadDataError(f"columns are missing: {', '.join(sorted(missing))}", where=f"{path}, line 1")
    if unknown := set(names) - set(COLUMNS):
        hint = f"known are {', '.join(COLUMNS)}"
        raise BadDataError(f"unknown columns: {', '.join(sorted(unknown))}", where=f"{path}, line 1", hint=hint)
    places = []
    for number, row in enumerate(rows, 2):
        where = f"{path}, line {number}"
        if None in row:
            raise BadDataError("more values than columns", where=where, hint="put a text with commas into quotes")
        places.append(place({name: (value or "").strip() for name, value in row.items()}, where=where))
    _same_hall(places, path)
    return tuple(places)


def place(values: Mapping[str, str], *, where: str) -> Place:
    """One place from its texts, "" for what is left to the settings' defaults; raises BadDataError."""
    if not _SITE.fullmatch(values["site"]):
        raise BadDataError("site is 1 to 32 of a-z, 0-9 and -", where=where)
    for name, value in values.items():
        try:
            if value:
                parse_text(value, limit=MAX_TEXT, name=name, where=where)
        except MalformedError as error:
            # A name that the list of boxes may not hold would make it unreadable for an authority.
            raise BadDataError(error.what, where=where) from error
    if not (values["name_vi"] or values["name_en"]):
        raise BadDataError("the venue has no name", where=where, hint="screens and labels show name_vi and name_en")
    if values.get("notice_url", "") and not values["notice_url"].startswith("https://"):
        raise BadDataError("notice_url begins with https://", where=where)
    if values.get("word", "") not in WORDS:
        raise BadDataError("word is phones, people or usual", where=where)
    if values.get("hall_rule", "") not in HALL_RULES:
        raise BadDataError("hall_rule is separate or same hall", where=where)
    _check_zone(values.get("time_zone", ""), where)
    moderate, busy = (_people(name, values.get(name, ""), where) for name in NUMBERS)
    if (busy or _BUSY) <= (moderate or _MODERATE):
        raise BadDataError("busy_from must be larger than moderate_from", where=where)
    texts = {name: value for name, value in values.items() if name not in NUMBERS}
    return Place(**texts, moderate_from=moderate, busy_from=busy)


def _people(name: str, text: str, where: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or not 0 < int(text) <= MAX_PEOPLE:
        raise BadDataError(f"{name} is a number of people, 1 to {MAX_PEOPLE}", where=where)
    return int(text)


def _check_zone(name: str, where: str) -> None:
    try:
        ZoneInfo(name or "UTC")
    except (ValueError, OSError, KeyError) as error:
        raise BadDataError(f"{name} is not a time zone", where=where, hint="for example Asia/Ho_Chi_Minh") from error


def _same_hall(places: list[Place], path: Path) -> None:
    """One site has one rule."""
    rules: dict[str, str] = {}
    for number, one in enumerate(places, 2):
        if rules.setdefault(one.site, one.hall_rule) != one.hall_rule:
            raise BadDataError(f"site {one.site} has two hall rules", where=f"{path}, line {number}")
