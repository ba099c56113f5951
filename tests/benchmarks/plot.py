"""Lines over an x axis as an SVG of a few kilobytes: enough for the plots of our documents, without a library."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 40
COLOURS = ("#1b6ca8", "#c2571a", "#2d8659", "#8b3a8f", "#8a6d00", "#a02c2c")
MARKS = 5


def lines(
    title: str, series: Mapping[str, Sequence[tuple[float, float]]], *, across: str, up: str, faint: bool = False
) -> str:
    """One polyline a series over its own points; y begins at 0. `faint`: many series that need no legend."""
    points = [point for line in series.values() for point in line]
    most_x = max((x for x, _ in points), default=1) or 1
    step = _step(max((y for _, y in points), default=1) or 1)
    most_y = step * MARKS

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + x / most_x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" role="img">',
        "<style>text { font-family: sans-serif }</style>",
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for mark in range(MARKS + 1):
        _, y = place(0, mark * step)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark * step:g}</text>')
    step_x = _step(most_x)
    for mark in range(int(most_x / step_x) + 1):
        x, y = place(mark * step_x, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{mark * step_x:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(across)}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="20" text-anchor="end">{escape(up)}</text>')
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        opacity = 0.5 if faint else 1
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-opacity="{opacity}"/>')
        if not faint:
            y = TOP + 14 * number + 6
            parts.append(f'<text x="{LEFT + 10}" y="{y}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _step(most: float) -> float:
    """A round step of which MARKS reach `most`."""
    power = 1.0
    while power * MARKS * 10 <= most:
        power *= 10
    while power * MARKS > most and power > 1e-3:
        power /= 10
    return next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor * MARKS >= most)
