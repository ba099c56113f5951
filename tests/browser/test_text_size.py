"""How far away the venue's page can be read by EN 301 549, clause 5.1.4, in Chromium: as the guide states it."""

from __future__ import annotations

import re
from dataclasses import replace
from math import floor, hypot, radians, tan
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import snapshots
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_browser import open_page
from tests.support.snapshots import VENUE

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUIDE = Path(__file__).parents[2] / "docs" / "operator.md"
SCREENS = {
    "7 inch, 800 by 480 (0.19 mm a pixel)": (7.0, 800, 480),
    "24 inch, 1920 by 1080": (24.0, 1920, 1080),
    "24 inch, standing": (24.0, 1080, 1920),
    "43 inch, 1920 by 1080": (43.0, 1920, 1080),
}
"""Diagonal in inches, and pixels."""
SIZES = """() => {
  const pen = document.createElement("canvas").getContext("2d"), found = [];
  const high = (place) => {
    const style = getComputedStyle(place);
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    return pen.measureText("H").actualBoundingBoxAscent;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const place = node.parentElement, box = place.getBoundingClientRect();
    if (node.textContent.trim() && box.width && box.height) found.push(high(place));
  }
  return [high(document.querySelector(".word")), Math.min(...found)];
}"""


def stated() -> dict[str, list[float]]:
    """The guide's table: metres for the word and for the smallest text, by screen."""
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) m \| ([\d.]+) m \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: [float(word), float(least)] for name, word, least in rows}


def metres(pixels: float, pixel_mm: float) -> float:
    """From how far a letter of this height is seen under 0.7 degrees."""
    return pixels * pixel_mm / 1000 / (2 * tan(radians(0.7) / 2))


@pytest.mark.parametrize("screen", SCREENS)
async def test_the_guide_says_from_how_far_it_can_be_read(browser: Browser, tmp_path: Path, screen: str) -> None:
    """Rounded down, never up."""
    inches, width, height = SCREENS[screen]
    pixel_mm = inches * 25.4 / hypot(width, height)
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=replace(VENUE, beat_s=3600.0))) as kiosk:
        page = (await open_page(browser, kiosk.url + "/?screen", (width, height))).page
        await page.evaluate("document.fonts.ready")
        found = [metres(high, pixel_mm) for high in await page.evaluate(SIZES)]

    digits = [1 if one >= 1 else 2 for one in stated()[screen]]
    assert stated()[screen] == [floor(one * 10**places) / 10**places for one, places in zip(found, digits, strict=True)]
