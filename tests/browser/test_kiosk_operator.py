"""What the operator sets on the page, in Debian's Chromium: by keyboard, in both themes, with axe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.async_api import Browser, expect

from edge_scanner.core import history
from edge_scanner.core.health import HealthLight, Light
from tests.support import snapshots
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_browser import SIZES, open_page, sign_in, violations
from tests.support.ports import free_port
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = replace(VENUE, beat_s=3600.0)


@pytest.mark.parametrize("size", ["landscape", "telephone"])
@pytest.mark.parametrize("theme", ["day", "night"])
async def test_settings_of_the_venue(
    browser: Browser, tmp_path: Path, size: str, theme: Literal["day", "night"]
) -> None:
    """From the operator's page to a changed setting by keyboard: a mistake is told beside its field, then kept."""
    config = tmp_path / "scanner.toml"
    config.write_text(
        f'[device]\nname_vi = "Chợ"\nname_en = "Market"\n[kiosk]\noperator_dir = "{tmp_path / "operator"}"\n'
    )
    venue = replace(SLOW, theme=theme, opening=("05:00-22:30",))
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=venue), config=config) as kiosk:
        context = await browser.new_context(bypass_csp=True)
        watched = await open_page(context, kiosk.url + "/ops", SIZES[size])
        page = watched.page
        await expect(page.locator("html")).to_have_attribute("data-theme", theme)
        await sign_in(page, kiosk.url)
        await page.click("a[href='/ops/settings']")
        await expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert await violations(page) == []
        await page.fill("#busy_from", "5")
        await page.press("#busy_from", "Enter")
        await expect(page.locator("#busy_from-wrong")).to_contain_text("must be larger than “Moderate”")
        await expect(page.locator("[aria-invalid]")).to_have_count(1)
        assert await violations(page) == []
        await page.fill("#busy_from", "75")
        await page.press("#busy_from", "Enter")
        await expect(page.get_by_role("status")).to_contain_text("Saved.")
        await expect(page.locator("#busy_from")).to_have_value("75")
        assert "busy_from = 75" in (tmp_path / "operator" / "operator.toml").read_text()
        assert watched.hosts == {"127.0.0.1"}


@pytest.mark.parametrize("size", ["seven-inch", "telephone"])
@pytest.mark.parametrize("theme", ["day", "night"])
async def test_all_gates(browser: Browser, tmp_path: Path, size: str, theme: Literal["day", "night"]) -> None:
    """From the operator's page to all gates: the one that is silent is named, nothing is cut off, axe finds nothing."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    other = snapshots.snapshot(venue=replace(SLOW, device="M3VQ8T5HZ8"))
    async with running_kiosk(there, other) as neighbour:
        lines = (f"Cửa 7 {neighbour.url}", f"Cửa 9 · lối ra bến http://127.0.0.1:{free_port()}")
        found = snapshots.snapshot(venue=replace(SLOW, theme=theme))
        async with running_kiosk(here, found, gates=lines, gate_name="Cửa 3") as kiosk:
            context = await browser.new_context(bypass_csp=True)
            watched = await open_page(context, kiosk.url + "/ops", SIZES[size])
            page = watched.page
            await sign_in(page, kiosk.url)
            await page.click("a[href='/ops/gates']")
            await expect(page.locator("html")).to_have_attribute("data-theme", theme)
            await expect(page.locator(".summary")).to_contain_text("Thiếu số liệu của: Cửa 9 · lối ra bến.")
            assert await violations(page) == []
            assert await page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
            assert watched.hosts == {"127.0.0.1"}


_SMALLEST = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const place = node.parentElement, box = place.getBoundingClientRect();
    if (!node.textContent.trim() || !box.width || getComputedStyle(place).visibility === "hidden") continue;
    const scale = place.ownerSVGElement ? place.getScreenCTM().a : 1;
    const size = parseFloat(getComputedStyle(place).fontSize) * scale;
    if (size < 15.9) found.push([size.toFixed(1), node.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


_SQUEEZED = """() => [...document.querySelectorAll(".lamp h3, [data-screen='no'] .card > div")]
  .filter((place) => place.clientWidth && place.clientWidth < innerWidth / 3)
  .map((place) => place.textContent.trim())"""


@pytest.mark.parametrize("size", ["seven-inch", "telephone"])
async def test_small_screens_show_every_page_whole_and_large_enough(
    browser: Browser, tmp_path: Path, size: str
) -> None:
    """On a seven-inch panel and a telephone no page is wider than the screen, and no text is below 16 pixels.

    Nor does a text share its line with so much that it becomes a column of single words.
    """
    config = tmp_path / "scanner.toml"
    config.write_text(f'[kiosk]\noperator_dir = "{tmp_path / "operator"}"\n')
    (tmp_path / "history.json").write_bytes(history.to_json(snapshots.months()))
    venue = replace(SLOW, help="028 3829 0000")
    health = snapshots.cut_off(TUESDAY_S)
    found = snapshots.snapshot(venue=venue, health=health, pulls=snapshots.answered(TUESDAY_S))
    async with running_kiosk(tmp_path, found, config=config) as kiosk:
        context = await browser.new_context(bypass_csp=True)
        page = (await open_page(context, kiosk.url + "/", SIZES[size])).page
        for path in ("/", "/ops", "sign in", "/ops/figures", "/ops/settings"):
            await (sign_in(page, kiosk.url) if path == "sign in" else page.goto(kiosk.url + path))
            await page.evaluate("document.fonts.ready")
            wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert (path, wider, await page.evaluate(_SMALLEST)) == (path, 0, [])
            assert await page.evaluate(_SQUEEZED) == []


async def test_the_page_is_read_aloud_only_where_the_settings_say_so(browser: Browser, tmp_path: Path) -> None:
    """No button as shipped; with it, place, word and opt-out in both languages, by an installed voice or by none."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        context = await browser.new_context(bypass_csp=True)
        watched = await open_page(context, kiosk.url)
        page = watched.page
        await expect(page.locator("#chart canvas")).to_be_visible()
        await expect(page.locator("#speak")).not_to_be_visible()
        kiosk.write(snapshots.snapshot(TUESDAY_S + 1, venue=replace(SLOW, spoken=True)))
        await expect(page.locator("#speak")).to_be_visible()
        assert await violations(page) == []
        vietnamese, english = [one["text"] for one in await page.evaluate("sentences(shown)")]
        assert "Bến xe Miền Đông" in vietnamese
        assert "Hãy tắt Bluetooth." in vietnamese
        assert "Quiet. Getting quieter. Figure from" in english
        assert "turn Bluetooth off." in english
        await page.click("#speak")
        local = await page.evaluate("speechSynthesis.getVoices().filter((voice) => voice.localService).length")
        if not local:
            await expect(page.locator("#speak")).to_contain_text("No voice is installed")
        assert (watched.hosts, watched.complaints) == ({"127.0.0.1"}, [])


@pytest.mark.parametrize("size", SIZES)
async def test_a_fault_fits_with_whom_to_ask(browser: Browser, tmp_path: Path, size: str) -> None:
    """Why there is no word, the staff's number and the button: nothing is cut off on any screen."""
    health = snapshots.healthy(TUESDAY_S, radio=HealthLight(light=Light.FAIL, code="RAD-02"))
    venue = replace(SLOW, help="028 3899 1234", spoken=True, name_vi="Bến xe Miền Đông Mới · Cửa ra số 3")
    wall = "?screen" if size == "seven-inch" else ""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=venue, health=health)) as kiosk:
        page = (await open_page(browser, f"{kiosk.url}/{wall}", SIZES[size])).page
        await expect(page.locator("html")).to_have_attribute("data-state", "deaf")
        await expect(page.locator("#speak")).to_be_visible()
        await expect(page.locator(".help").first).to_contain_text("028 3899 1234")
        await page.evaluate("document.fonts.ready")
        cut = await page.evaluate(
            """() => [...document.querySelectorAll('.hero, .card, .curve, .top, footer')]
                 .filter((e) => e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2)
                 .map((e) => `${e.className} needs ${e.scrollWidth}x${e.scrollHeight}`)"""
        )
        assert cut == []
        sideways, down = await page.evaluate("[document.body.scrollWidth, document.documentElement.scrollHeight]")
        assert sideways <= SIZES[size][0]
        assert down <= SIZES[size][1] or size == "telephone"


async def test_a_closed_venue_says_when_it_opens(browser: Browser, tmp_path: Path) -> None:
    """Outside of its hours the screen has no word about a crowd, and its own hours instead."""
    first = snapshots.snapshot(venue=replace(SLOW, opening=("05:00-14:00",), help="028"))
    async with running_kiosk(tmp_path, first) as kiosk:
        context = await browser.new_context(bypass_csp=True)
        page = (await open_page(context, kiosk.url)).page
        await expect(page.locator("html")).to_have_attribute("data-level", "unknown")
        await expect(page.locator("main")).to_contain_text("Đã đóng cửa")
        await expect(page.locator("main")).to_contain_text("Opens at 05:00 tomorrow.")
        await expect(page.locator(".help").first).not_to_be_visible()
        assert await violations(page) == []
