"""One case's minutes as a drawing: a row for each box that heard it, hours from left to right, inline SVG.

Near is dark and far is light, which holds in grey on paper; minutes under the tolerant rule only are hollow; minutes
without a record, or in which the radio did not listen, are hatched, so that silence is not taken for absence.
"""

from __future__ import annotations

import math
from datetime import datetime
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from edge_scanner.authority import translations
from edge_scanner.authority.match.match import MINUTE_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.authority.match.match import HeardMinute
    from edge_scanner.authority.open.opened import Coverage

PATTERN = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="none" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fff"/><rect width="2" height="6" fill="#c3ccd5"/>'
    "</pattern></defs></svg>"
)
"""Drawn once a page."""

_WIDTH, _LABEL, _MARGIN, _ROW, _BAR, _AXIS = 1000, 190, 22, 30, 16, 22
_HOUR_S = 3600
_MAX_TICKS = 12
_MAX_LABEL = 24


def swatch(kind: str) -> str:
    """A small square for the legend."""
    square = f'<rect x="1" y="1" width="16" height="10" class="{kind}"/>'
    return f'<svg width="18" height="12" aria-hidden="true">{square}</svg>'


def draw(
    sightings: Sequence[HeardMinute],
    coverage: Sequence[Coverage],
    verdicts: Sequence[Verdict],
    places: Mapping[str, str],
) -> str:
    """The drawing of one case's minutes; minutes that were not heard are hatched."""
    asked = [verdict for verdict in verdicts if verdict.holds]
    minutes = [one.minute_s for one in sightings]
    begin_s = min([verdict.from_s for verdict in asked] + minutes)
    end_s = max([verdict.to_s for verdict in asked] + [max(minutes) + MINUTE_S])
    scale = (_WIDTH - _LABEL - _MARGIN) / (end_s - begin_s)

    def x(at_s: float) -> float:
        return round(_LABEL + (min(max(at_s, begin_s), end_s) - begin_s) * scale, 2)

    by_box: dict[str, list[HeardMinute]] = {}
    for minute in sorted(sightings, key=lambda one: one.minute_s):
        by_box.setdefault(minute.device, []).append(minute)
    height = _AXIS + _ROW * len(by_box) + 6
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" width="100%" role="img" aria-label="{escape(sightings[0].case)}">']
    parts.append(f'<text class="axis" x="0" y="12">{translations.local_day(begin_s)}</text>')
    for tick_s in _ticks(begin_s, end_s):
        tick = datetime.fromtimestamp(tick_s, translations.zone())
        label = f"{tick:%H:%M}" if tick.hour or tick.minute else f"{tick:%d/%m}"
        parts.append(f'<line class="grid" x1="{x(tick_s)}" x2="{x(tick_s)}" y1="{_AXIS - 4}" y2="{height}"/>')
        parts.append(f'<text class="axis" x="{x(tick_s)}" y="12" text-anchor="middle">{label}</text>')
    gaps = {one.device: one.gaps for one in coverage}
    for row, (device, heard) in enumerate(by_box.items()):
        top = _AXIS + row * _ROW + (_ROW - _BAR) / 2
        parts.append(f'<text x="0" y="{top + 12}">{escape(_short(places.get(device, device)))}</text>')
        parts.append(_bar("track", _LABEL, top, _WIDTH - _LABEL - _MARGIN))
        parts += [_bar("none", x(gap[0]), top, max(1.2, x(gap[1]) - x(gap[0]))) for gap in gaps.get(device, ())]
        for kind, start_s, stop_s in _runs(heard):
            parts.append(_bar(kind, x(start_s), top, max(1.2, x(stop_s) - x(start_s))))
    return "".join([*parts, "</svg>"])


def _runs(sightings: Sequence[HeardMinute]) -> Iterator[tuple[str, int, int]]:
    """Stretches of neighbouring minutes of one kind."""

    def kind(heard: HeardMinute) -> str:
        return "tolerant" if not heard.strict else "near" if heard.near else "far"

    ordered = sorted(sightings, key=lambda one: one.minute_s)
    for (name, _), group in groupby(
        enumerate(ordered), key=lambda pair: (kind(pair[1]), pair[1].minute_s - pair[0] * MINUTE_S)
    ):
        stretch = [heard for _, heard in group]
        yield name, stretch[0].minute_s, stretch[-1].minute_s + MINUTE_S


def _ticks(begin_s: int, end_s: int) -> Iterator[int]:
    """Full hours (or quarters of them in a short span), at most a dozen."""
    span_s = end_s - begin_s
    steps = (900, 1800, _HOUR_S, 2 * _HOUR_S, 3 * _HOUR_S, 6 * _HOUR_S, 12 * _HOUR_S, 24 * _HOUR_S)
    step = next((step for step in steps if span_s / step <= _MAX_TICKS), steps[-1])
    # The venue's midnight is the grid's origin.
    offset = translations.offset_s(begin_s)
    first = math.ceil((begin_s + offset) / step) * step - offset
    yield from range(first, end_s + 1, step)


def _bar(kind: str, x: float, y: float, width: float) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{round(width, 2)}" height="{_BAR}"/>'


def _short(text: str) -> str:
    return text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 1] + "…"
