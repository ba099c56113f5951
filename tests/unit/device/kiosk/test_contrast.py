"""The contrast of text on its ground (WCAG 2.2, 1.4.3 and 1.4.11), from the style sheet: as the guide states it."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[4] / "docs" / "operator.md"
PAIRS = {
    "text on the page": ("ink", "page"),
    "text on a panel": ("ink", "panel"),
    "English and small print on the page": ("soft", "page"),
    "English and small print on a panel": ("soft", "panel"),
    "quiet": ("quiet", "panel"),
    "moderate": ("moderate", "panel"),
    "busy, mistakes": ("busy", "panel"),
    "not known": ("unknown", "panel"),
    "the ring of the keyboard's focus": ("focus", "page"),
}
LEAST = {"focus": 3.0}
"""What is no text needs less."""


def colours() -> dict[str, dict[str, str]]:
    """The colours of each theme."""
    text = files("edge_scanner.device.kiosk.www").joinpath("common.css").read_text(encoding="utf-8")
    day, night = re.findall(r"color-scheme: (?:light|dark);(.*?)}", text, re.DOTALL)
    return {
        theme: dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block)) for theme, block in (("day", day), ("night", night))
    }


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The ratio of two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_is_21() -> None:
    """The formula's end."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", PAIRS)
def test_each_pair_is_readable_and_stated(name: str) -> None:
    """Text has 4.5 : 1 or more in both themes, and the guide's table has these very numbers."""
    front, ground = PAIRS[name]
    ratios = {theme: contrast(found[front], found[ground]) for theme, found in colours().items()}
    assert min(ratios.values()) >= LEAST.get(front, 4.5)
    row = f"| {name} | {ratios['day']:.1f} | {ratios['night']:.1f} |"
    assert row in GUIDE.read_text(encoding="utf-8").splitlines()
