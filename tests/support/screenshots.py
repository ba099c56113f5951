"""COMMAND `python -m tests.support.screenshots [FOLDER]`: the pictures of the guides, from the real kiosk in Chromium.

Each picture is a drawn venue at a fixed moment, so that a new run changes a picture only when the page changed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from edge_scanner.core.counts.occupancy import Thresholds
from edge_scanner.core.health import HealthLight, Light
from tests.support import snapshots
from tests.support.chromium import chromium
from tests.support.kiosk import PIN, running_kiosk
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from edge_scanner.core.snapshot import Snapshot

FOLDER = Path(__file__).parents[2] / "docs" / "images"
STILL = replace(VENUE, beat_s=3600.0, thresholds=Thresholds(moderate_from=30, busy_from=105))
"""What is always here is subtracted, so that the words come a little sooner than at `VENUE`'s thresholds."""
MORNING_S, NOON_S, EVENING_S = TUESDAY_S - 4 * 3600, TUESDAY_S - 5760, TUESDAY_S + 3 * 3600
DUSK_S, NIGHT_S = TUESDAY_S + 5 * 3600, TUESDAY_S + 8 * 3600
HD, STANDING, SMALL, TELEPHONE = (1920, 1080), (1080, 1920), (800, 480), (390, 844)


def pictures() -> dict[str, tuple[Snapshot | None, str, tuple[int, int]]]:
    """Each picture's snapshot, theme and screen."""
    shown = {now_s: snapshots.snapshot(now_s, venue=STILL) for now_s in (NOON_S, EVENING_S, DUSK_S, NIGHT_S)}
    unsure = snapshots.snapshot(EVENING_S, venue=STILL, clock_sure=False, pulls=snapshots.answered(EVENING_S))
    radio = snapshots.healthy(NOON_S, radio=HealthLight(light=Light.FAIL, code="RAD-02"))
    return {
        "kiosk-busy": (shown[EVENING_S], "day", HD),
        "kiosk-moderate": (shown[NOON_S], "day", HD),
        "kiosk-quiet-night": (shown[NIGHT_S], "night", HD),
        "kiosk-moderate-night": (shown[DUSK_S], "night", HD),
        "kiosk-standing": (shown[NOON_S], "day", STANDING),
        "kiosk-standing-night": (shown[EVENING_S], "night", STANDING),
        "kiosk-seven-inch": (shown[EVENING_S], "day", SMALL),
        "kiosk-seven-inch-night": (shown[NOON_S], "night", SMALL),
        "kiosk-telephone": (shown[NOON_S], "day", TELEPHONE),
        "kiosk-down": (snapshots.snapshot(EVENING_S, venue=replace(STILL, beat_s=0.05)), "day", HD),
        "kiosk-fault": (snapshots.snapshot(NOON_S, venue=STILL, health=radio), "day", HD),
        "kiosk-clock-unsure": (unsure, "day", HD),
        "kiosk-measuring": (snapshots.snapshot(MORNING_S, venue=STILL, reports=[]), "day", HD),
    }


async def photograph(folder: Path) -> None:
    """Take every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pictures()
    async with chromium() as browser:
        with Progress() as progress:
            task = progress.add_task("pictures", total=len(wanted) + 2)
            for name, (first, theme, size) in wanted.items():
                wall = "&screen" if size == SMALL else ""
                await _public(browser, first, f"/?theme={theme}{wall}", size, folder / f"{name}.png")
                progress.advance(task)
            await _operator(browser, folder)
            progress.advance(task, 2)


async def _public(browser: Browser, first: Snapshot | None, path: str, size: tuple[int, int], target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_kiosk(Path(folder), first) as kiosk:
            page = await browser.new_page(viewport={"width": size[0], "height": size[1]})
            await page.goto(kiosk.url + path)
            await page.locator("#chart canvas").wait_for()
            await page.evaluate("document.fonts.ready.then(() => new Promise((r) => setTimeout(r, 1500)))")
            await page.screenshot(path=target)
            await page.close()


async def _operator(browser: Browser, folder: Path) -> None:
    now_s = EVENING_S
    health = snapshots.cut_off(now_s)
    first = snapshots.snapshot(now_s, venue=STILL, health=health, pulls=snapshots.answered(now_s))
    with tempfile.TemporaryDirectory() as place:
        async with running_kiosk(Path(place), first) as kiosk:
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            await page.goto(kiosk.url + "/ops")
            await page.screenshot(path=folder / "ops-pin.png")
            await page.fill("#pin", PIN)
            await page.click("main button")
            await page.locator("#chart canvas").wait_for()
            await page.evaluate("document.fonts.ready.then(() => new Promise((r) => setTimeout(r, 500)))")
            await page.screenshot(path=folder / "ops.png", full_page=True)
            await page.close()


if __name__ == "__main__":
    asyncio.run(photograph(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
