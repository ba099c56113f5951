"""COMMAND `python -m tests.support.every_page FOLDER`: each page that people see, at each size, theme and language.

To be looked at before a release. The kiosk's pages, the notice for the wall and the authority's report have Vietnamese
and English beside each other; the venue's page also has a third language in place of English; the centre's page is in
one language at a time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_scanner import terminal
from edge_scanner.authority.match import report
from edge_scanner.core import history
from edge_scanner.core.health import HealthLight, Light
from edge_scanner.device.commands.privacy import run_privacy
from edge_scanner.device.commands.statement import PrivacySettings
from tests.support import snapshots
from tests.support.chromium import chromium
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_browser import SIZES, sign_in
from tests.support.ports import free_port
from tests.support.serving import PASSWORD, serving
from tests.support.sightings import sample
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Browser, Page

    from edge_scanner.core.snapshot import Snapshot

Theme = Literal["day", "night"]
THEMES: tuple[Theme, ...] = ("day", "night")
STILL = replace(VENUE, beat_s=3600.0, help="028 3829 0000")
OPERATORS = {"ops": "/ops", "figures": "/ops/figures", "settings": "/ops/settings", "gates": "/ops/gates"}
CENTRES = {"overview": "/", "site": "/sites/ben-xe-mien-dong", "no-province": "/sites/khong-tinh", "sign-in": "/login"}
FRENCH = {
    "language": "Français",
    "page.now": "En ce moment",
    "level.quiet": "Calme",
    "level.moderate": "Modéré",
    "level.busy": "Plein",
}
"""What a technician's file may hold; the rest stays English."""
SETTLED = "document.fonts.ready.then(() => new Promise((done) => setTimeout(done, 700)))"


def walls(theme: Theme) -> Iterator[tuple[str, str, Snapshot]]:
    """The venue's page in all that it can say: a name, what follows its address, and its snapshot."""
    venue = replace(STILL, theme=theme, app_url="", app_name="", app_vi="", app_en="")
    deaf = snapshots.healthy(TUESDAY_S, radio=HealthLight(light=Light.FAIL, code="RAD-02"))
    quick = replace(venue, beat_s=0.05)
    yield "word", "", snapshots.snapshot(venue=venue)
    yield "app", "", snapshots.snapshot(venue=replace(STILL, theme=theme))
    yield "spoken", "", snapshots.snapshot(venue=replace(venue, spoken=True))
    yield "third-language", "lang=fr", snapshots.snapshot(venue=venue)
    yield "first-day", "", snapshots.snapshot(venue=venue, reports=snapshots.days(TUESDAY_S, 1))
    yield "measuring", "", snapshots.snapshot(venue=venue, reports=[])
    yield "clock-unsure", "", snapshots.snapshot(venue=venue, clock_sure=False, pulls=snapshots.answered(TUESDAY_S))
    yield "closed", "", snapshots.snapshot(venue=replace(venue, opening=("05:00-14:00",)))
    yield "fault", "", snapshots.snapshot(venue=venue, health=deaf)
    yield "down", "", snapshots.snapshot(venue=quick)


async def venue_pages(browser: Browser, folder: Path) -> None:
    """The screen on the wall, as `?screen` shows it there, and on a telephone."""
    for theme in THEMES:
        for name, query, shown in walls(theme):
            with tempfile.TemporaryDirectory() as scratch:
                config = Path(scratch) / "scanner.toml"
                config.write_text("")
                (Path(scratch) / "languages").mkdir()
                (Path(scratch) / "languages" / "fr.json").write_text(json.dumps(FRENCH), encoding="utf-8")
                async with running_kiosk(Path(scratch), shown, config=config) as kiosk:
                    for size in SIZES:
                        screen = "" if size == "telephone" else "&screen"
                        page = await opened(browser, size)
                        await page.goto(f"{kiosk.url}/?{query}{screen}")
                        await page.locator("#chart canvas").wait_for()
                        await taken(page, folder / f"venue-{name}-{size}-{theme}.png")


async def operators_pages(browser: Browser, folder: Path) -> None:
    """Behind the PIN, with two lights that need a look and a gate that is silent."""
    bad = snapshots.cut_off(TUESDAY_S)
    for theme in THEMES:
        venue = replace(STILL, theme=theme)
        shown = snapshots.snapshot(venue=venue, health=bad, pulls=snapshots.answered(TUESDAY_S))
        with tempfile.TemporaryDirectory() as scratch:
            here, there = Path(scratch, "here"), Path(scratch, "there")
            for place in (here, there):
                place.mkdir()
            (here / "history.json").write_bytes(history.to_json(snapshots.months()))
            (here / "scanner.toml").write_text(f'[kiosk]\noperator_dir = "{here / "operator"}"\n')
            other = snapshots.snapshot(venue=replace(venue, device="M3VQ8T5HZ8"))
            async with running_kiosk(there, other) as neighbour:
                gates = (f"Cửa 7 {neighbour.url}", f"Cửa 9 http://127.0.0.1:{free_port()}")
                async with running_kiosk(
                    here, shown, config=here / "scanner.toml", gates=gates, gate_name="Cửa 3"
                ) as kiosk:
                    for size in SIZES:
                        page = await opened(browser, size)
                        await page.goto(f"{kiosk.url}/ops")
                        await taken(page, folder / f"operator-pin-{size}-{theme}.png", close=False)
                        await sign_in(page, kiosk.url)
                        for name, path in OPERATORS.items():
                            await page.goto(kiosk.url + path)
                            await taken(page, folder / f"operator-{name}-{size}-{theme}.png", close=False)
                        await page.context.close()


async def centres_pages(browser: Browser, folder: Path) -> None:
    """The centre's page, with a box ill, one silent, one never heard and an alarm; in each language."""
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch)) as served:
        for theme in THEMES:
            for size in SIZES:
                for language in ("vi", "en"):
                    page = await opened(browser, size, "dark" if theme == "night" else "light")
                    await page.goto(f"{served.url}/language/{language}")
                    await page.fill("[name=name]", "minh")
                    await page.fill("[name=password]", PASSWORD)
                    await page.click("main button")
                    await page.wait_for_url(f"{served.url}/")
                    for name, path in CENTRES.items():
                        await page.goto(served.url + path)
                        await taken(page, folder / f"centre-{name}-{size}-{theme}-{language}.png", close=False)
                    await page.context.close()


async def papers(browser: Browser, folder: Path) -> None:
    """What is printed: the wall's notice, the page behind its code, the authority's report, the month's figures."""
    with tempfile.TemporaryDirectory() as scratch:
        notice, numbers, result = (Path(scratch) / name for name in ("notice.html", "numbers.html", "report.html"))
        run_privacy(
            PrivacySettings(protocols=("bluezone",), notice_url="https://notice.example.vn/k7mp2r9cx4"),
            notice_file=notice,
            page_file=numbers,
        )
        report.write_html(sample(), result)
        for path in (notice, numbers, result):
            page = await opened(browser, "landscape")
            await page.goto(path.as_uri())
            await page.pdf(path=folder / f"paper-{path.stem}.pdf", prefer_css_page_size=True, print_background=True)
            await page.context.close()
        (Path(scratch) / "history.json").write_bytes(history.to_json(snapshots.months()))
        async with running_kiosk(Path(scratch), snapshots.snapshot(venue=STILL)) as kiosk:
            page = await opened(browser, "landscape")
            await sign_in(page, kiosk.url)
            await page.goto(f"{kiosk.url}/ops/figures")
            await page.pdf(path=folder / "paper-month.pdf", prefer_css_page_size=True, print_background=True)
            await page.context.close()


async def opened(browser: Browser, size: str, scheme: Literal["light", "dark"] = "light") -> Page:
    """A page of this size, of nobody who has signed in."""
    width, height = SIZES[size]
    context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    return await context.new_page()


async def taken(page: Page, path: Path, *, close: bool = True) -> None:
    """The picture of the whole page, once its type and its curve are drawn."""
    await page.evaluate(SETTLED)
    await page.screenshot(path=path, full_page=True)
    if close:
        await page.context.close()


async def photograph(folder: Path) -> None:
    """Take every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for pages in (venue_pages, operators_pages, centres_pages, papers):
            await pages(browser, folder)
    terminal.say(f"{folder}: {len(list(folder.iterdir()))} pictures and papers")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.support.every_page FOLDER")
    asyncio.run(photograph(Path(sys.argv[1])))
