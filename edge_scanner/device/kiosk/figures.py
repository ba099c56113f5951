"""The operator's figures of a month: peak of each day, weekday by hour, today beside yesterday and a week ago, a CSV.

Everything is a function of released hours (core/history.py); a page without a script, which prints as a report.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from edge_scanner.core import history, venue_days
from edge_scanner.core.counts.hours import HOUR_S, Hour, apart
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.history import History
from edge_scanner.device.kiosk import when
from edge_scanner.device.kiosk.operator import desk_theme
from edge_scanner.device.kiosk.translations import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edge_scanner.core.counts.intervals import Present
    from edge_scanner.device.kiosk.watch import View

HOURS, WEEKDAYS = 24, 7
STEPS = 6
"""Shades of the heat map."""
_COMPARED = (("today", "figures.today", 0), ("yesterday", "figures.yesterday", 1), ("week_ago", "figures.week_ago", 7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One local day and its busiest hour."""

    date: str
    weekday: Words
    hours: str
    peak: Present


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One hour of a weekday, averaged over the month; `step` is its shade, 0 to STEPS."""

    figure: Present | None
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A day's hours, for the comparison."""

    name: str
    title: Words
    hours: tuple[Present | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresDocument:
    """All that `/ops/figures` shows of one month."""

    theme: str
    month: str
    site: Words
    device: str
    title: Words
    made: Words
    summary: Words
    simulated: bool
    months: tuple[tuple[str, Words], ...]
    days: tuple[Day, ...]
    cells: tuple[tuple[Cell, ...], ...]
    lines: tuple[Line, ...]
    top: float


def load(path: Path) -> History:
    """The figures beside the snapshot; none when the file is not there or is none of ours."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return History()
    try:
        return history.from_json(_content(number))
    except (BadDataError, OSError):
        return History()
    finally:
        os.close(number)


def _content(number: int) -> bytes:
    """What an open file holds, a byte more than one of ours may."""
    content = b""
    while len(content) <= history.MAX_BYTES and (more := os.read(number, history.MAX_BYTES + 1 - len(content))):
        content += more
    return content


def figures_document(view: View, found: History, *, month: str) -> FiguresDocument:
    """The figures of `month` (2026-11), or of the present one when it names none that is there."""
    offset_s, snapshot = view.utc_offset_s, view.snapshot
    known = sorted({_local(one.start_s, offset_s).strftime("%Y-%m") for one in found.hours}, reverse=True)
    this = _local(view.now_s, offset_s).strftime("%Y-%m")
    month = month if month in known else this
    hours = [one for one in found.hours if f"{_local(one.start_s, offset_s):%Y-%m}" == month]
    cells = _cells(hours, offset_s)
    days = _days(hours, offset_s)
    lines = _lines(found, view) if month == this else ()
    top = max((one.high for line in lines for one in line.hours if one), default=0)
    return FiguresDocument(
        theme=desk_theme(view),
        month=month,
        site=Words(vi=snapshot.venue.name_vi, en=snapshot.venue.name_en) if snapshot else Words(vi="Edge Scanner"),
        device=snapshot.venue.device if snapshot else "",
        title=say("figures.title", month=_month(month)),
        made=say("figures.made", moment=when.moment(view.now_s, offset_s)),
        summary=_summary(days, cells),
        simulated=bool(snapshot and snapshot.venue.simulated),
        months=tuple((one, _month(one)) for one in known),
        days=days,
        cells=cells,
        lines=lines,
        top=top,
    )


def figures_csv(found: History, *, utc_offset_s: int) -> str:
    """One row an hour: local date and time, minutes, phones, the ends of the 95 % interval. A spreadsheet opens it.

    All cells are digits, colons and dashes, so none can be a formula.
    """
    out = io.StringIO()
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow([f"{say(column).vi} / {say(column).en}" for column in _COLUMNS])
    for one in found.hours:
        at, told = _local(one.start_s, utc_offset_s), apart([one])
        ends = (round(told.mean), round(told.low), round(told.high)) if told else ("", "", "")
        writer.writerow([f"{at:%Y-%m-%d}", f"{at:%H:%M}", one.minutes, *ends])
    return out.getvalue()


_COLUMNS = (
    "figures.csv.date",
    "figures.csv.time",
    "figures.csv.minutes",
    "figures.csv.phones",
    "figures.csv.low",
    "figures.csv.high",
)


def _local(at_s: float, offset_s: int) -> datetime:
    return datetime.fromtimestamp(at_s + offset_s, UTC)


def _month(month: str) -> Words:
    year, number = month.split("-")
    return say("figures.month", month=say(f"month.{int(number)}"), year=year)


def _days(hours: Iterable[Hour], offset_s: int) -> tuple[Day, ...]:
    """Each day with its busiest hour, in order."""
    by_day: dict[date, list[Hour]] = {}
    for one in hours:
        by_day.setdefault(_local(one.start_s, offset_s).date(), []).append(one)
    days = []
    for at, those in sorted(by_day.items()):
        peak = max(those, key=lambda one: one.nearby / one.minutes)
        begins = _local(peak.start_s, offset_s)
        told = apart([peak])
        if told:
            span = f"{begins:%H:%M}-{begins + timedelta(seconds=HOUR_S):%H:%M}"
            days.append(Day(date=f"{at:%d/%m}", weekday=say(f"weekday.{at.weekday()}"), hours=span, peak=told))
    return tuple(days)


def _cells(hours: Iterable[Hour], offset_s: int) -> tuple[tuple[Cell, ...], ...]:
    """Weekdays by hours; weeks apart, noises are independent."""
    found: dict[tuple[int, int], list[Hour]] = {}
    for one in hours:
        at = _local(one.start_s, offset_s)
        found.setdefault((at.weekday(), at.hour), []).append(one)
    told = {place: apart(those) for place, those in found.items()}
    top = max((one.mean for one in told.values() if one), default=0.0)
    return tuple(tuple(_cell(told.get((weekday, hour)), top) for hour in range(HOURS)) for weekday in range(WEEKDAYS))


def _cell(told: Present | None, top: float) -> Cell:
    return Cell(figure=told, step=round(STEPS * told.mean / top) if told and top else 0)


def _lines(found: History, view: View) -> tuple[Line, ...]:
    """Today, yesterday, the same day last week, and on a holiday the same day of the last one of that name."""
    today = _local(view.now_s, view.utc_offset_s).date()
    wanted = [(name, say(text), today - timedelta(days=ago)) for name, text, ago in _COMPARED]
    before = venue_days.same_day_before(view.snapshot.venue.holidays, today) if view.snapshot else None
    if before is not None:
        holiday, then = before
        number = (then - holiday.first).days + 1
        wanted.append(
            (
                "holiday",
                say("figures.holiday", name=holiday.name, number=number, date=f"{then:%d/%m/%Y}"),
                then,
            )
        )
    by_hour = {
        (at.date(), at.hour): one
        for one in (*found.hours, *found.holiday)
        for at in [_local(one.start_s, view.utc_offset_s)]
    }
    lines = []
    for name, title, day in wanted:
        hours = [by_hour.get((day, hour)) for hour in range(HOURS)]
        if any(hours):
            lines.append(Line(name=name, title=title, hours=tuple(apart([one]) if one else None for one in hours)))
    return tuple(lines)


def _summary(days: Sequence[Day], cells: Sequence[Sequence[Cell]]) -> Words:
    """The month in a sentence: its busiest day, and the hour of the week that is usually the busiest."""
    if not days:
        return say("figures.none")
    day = max(days, key=lambda one: one.peak.mean)
    places = [(cell.figure, weekday, hour) for weekday, row in enumerate(cells) for hour, cell in enumerate(row)]
    best = max(((round(told.mean), weekday, hour) for told, weekday, hour in places if told), default=(0, 0, 0))
    if not round(day.peak.mean) or not best[0]:
        return say("figures.quiet", count=len(days))
    return say(
        "figures.summary",
        count=len(days),
        date=day.date,
        hours=day.hours,
        phones=round(day.peak.mean),
        low=round(day.peak.low),
        high=round(day.peak.high),
        weekday=say(f"weekday.{best[1]}"),
        first=best[2],
        last=best[2] + 1,
        usual=best[0],
    )
