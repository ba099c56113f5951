"""The HTML of the figures: tables, the heat map and one drawing, without a script and without inline styles."""

from __future__ import annotations

import html
from math import ceil
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk import pages
from edge_scanner.device.kiosk.figures import HOURS, WEEKDAYS
from edge_scanner.device.kiosk.translations import say

if TYPE_CHECKING:
    from edge_scanner.core.counts.intervals import Present
    from edge_scanner.core.diagnostics.words import Words
    from edge_scanner.device.kiosk.figures import FiguresDocument, Line

_WIDTH, _HEIGHT, _LEFT, _BELOW = 960, 240, 46, 24
_NICE = (1, 2, 5)


def figures_page(document: FiguresDocument) -> str:
    """`/ops/figures`."""
    fragments = {
        "months": _months(document),
        "compared": _compared(document),
        "heat": _heat(document),
        "days": _days(document),
    }
    return pages.fill("figures.html", document, fragments)


def both(words: Words) -> str:
    """A text in Vietnamese and English, escaped."""
    english = f' <span class="en" lang="en">{html.escape(words.en)}</span>' if words.en else ""
    return f"{html.escape(words.vi)}{english}"


def span(told: Present | None) -> str:
    """A figure with its interval; a range from 0 where it may be none."""
    if told is None:
        return ""
    likely, low, high = round(told.mean), round(told.low), round(told.high)
    return f"<b>{likely}</b> ({low}-{high})" if likely else f"0-{high}"


def _months(document: FiguresDocument) -> str:
    items = []
    for month, words in document.months:
        here = ' aria-current="page"' if month == document.month else ""
        items.append(f'<li><a href="/ops/figures?month={month}"{here}>{both(words)}</a></li>')
    return "".join(items)


def _days(document: FiguresDocument) -> str:
    return "".join(
        f'<tr><th scope="row">{day.date}</th><td>{both(day.weekday)}</td><td>{day.hours}</td>'
        f"<td>{span(day.peak)}</td></tr>"
        for day in document.days
    )


def _heat(document: FiguresDocument) -> str:
    """The map: a row a weekday, a column an hour; the shade says what the number does."""
    hours = "".join(f'<th scope="col">{hour}</th>' for hour in range(HOURS))
    rows = []
    for weekday in range(WEEKDAYS):
        cells = "".join(
            f'<td class="heat-{cell.step}" title="{_plain(cell.figure)}">'
            f"{'' if cell.figure is None else round(cell.figure.mean)}</td>"
            for cell in document.cells[weekday]
        )
        rows.append(f'<tr><th scope="row">{both(say(f"weekday.{weekday}"))}</th>{cells}</tr>')
    return f'<thead><tr><td class="corner"></td>{hours}</tr></thead><tbody>{"".join(rows)}</tbody>'


def _plain(told: Present | None) -> str:
    return "" if told is None else f"{round(told.low)}-{round(told.high)}"


def _compared(document: FiguresDocument) -> str:
    """The drawing of the day beside others, and the same in numbers; empty for a month that is over."""
    if not document.lines:
        return ""
    step = _step(document.top)
    top = max(step, ceil(document.top / step) * step)
    key = "".join(f'<li class="line-{line.name}">{both(line.title)}</li>' for line in document.lines)
    grid = "".join(
        f'<path class="grid" d="M{_LEFT} {_y(value, top)}H{_WIDTH}"/>'
        f'<text x="{_LEFT - 6}" y="{_y(value, top) + 4}" text-anchor="end">{value}</text>'
        for value in range(0, top + 1, step)
    )
    hours = "".join(
        f'<text x="{_x(hour)}" y="{_HEIGHT + _BELOW - 6}" text-anchor="middle">{hour}:00</text>'
        for hour in range(0, HOURS, 3)
    )
    drawn = "".join(f'<path class="line line-{line.name}" d="{_path(line, top)}"/>' for line in document.lines[::-1])
    heads = "".join(f'<th scope="col">{both(line.title)}</th>' for line in document.lines)
    rows = "".join(_hour(document, hour) for hour in range(HOURS))
    title, numbers = both(say("figures.compared")), both(say("figures.numbers"))
    return (
        f'<section class="wide" tabindex="0" aria-labelledby="compared"><h2 id="compared">{title}</h2>'
        f'<ul class="key">{key}</ul>'
        f'<svg class="lines" viewBox="0 0 {_WIDTH + 10} {_HEIGHT + _BELOW}" role="img" aria-labelledby="compared">'
        f"{grid}{hours}{drawn}</svg>"
        f"<details><summary>{numbers}</summary>"
        f'<table><thead><tr><td class="corner"></td>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</details></section>"
    )


def _hour(document: FiguresDocument, hour: int) -> str:
    """A row of the numbers, none for an hour of which nothing is known."""
    cells = [line.hours[hour] for line in document.lines]
    told = "".join(f"<td>{span(one)}</td>" for one in cells)
    return f'<tr><th scope="row">{hour}:00</th>{told}</tr>' if any(cells) else ""


def _step(top: float) -> int:
    """A round distance of at most five lines."""
    size = 1
    while True:
        for nice in _NICE:
            if nice * size * 5 >= top:
                return nice * size
        size *= 10


def _x(hour: float) -> int:
    return round(_LEFT + (_WIDTH - _LEFT) * hour / HOURS)


def _y(value: float, top: int) -> int:
    return round(8 + (_HEIGHT - 16) * (1 - value / top))


def _path(line: Line, top: int) -> str:
    """A line through the middles of the hours, broken where nothing is known; one hour alone is a short dash."""
    parts, pen = [], "M"
    for hour, told in enumerate(line.hours):
        if told is None:
            pen = "M"
            continue
        parts.append(f"{pen}{_x(hour + 0.5)} {_y(told.mean, top)}" + ("h1" if pen == "M" else ""))
        pen = "L"
    return "".join(parts)
