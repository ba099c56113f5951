"""The centre's page in Debian's Chromium: signing in, reading, clearing an alarm; on a telephone; without script."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.chromium import chromium
from tests.support.serving import PASSWORD, Served, serving
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from playwright.async_api import Browser, Page

AXE = Path(__file__).parents[1] / "vendor" / "axe" / "axe.min.js"
PAGES = ("/", "/sites/ben-xe-mien-dong", "/sites/khong-tinh", "/login")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A filled centre."""
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with chromium() as started:
        yield started


async def _signed_in(browser: Browser, served: Served, who: str = "minh", **context: object) -> Page:
    opened = await browser.new_context(**context)  # type: ignore[arg-type]
    page = await opened.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    await page.goto(f"{served.url}/")
    await page.fill("[name=name]", who)
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button")
    await page.wait_for_url(f"{served.url}/")
    return page


async def test_an_operator_reads_and_clears(browser: Browser, served: Served) -> None:
    """From the form to the figures, the alarm seen to, the place over time, and out again; no word on the console."""
    page = await _signed_in(browser, served)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    assert "120 ± 11" in await page.inner_text(".sum")
    assert await page.locator("section.alarm tbody tr").count() == 1
    await page.click("section.alarm button")
    await page.wait_for_selector("section.alarm", state="detached")
    await page.click("summary:has-text('TP. Hồ Chí Minh')")
    await page.click("text=Bến xe Miền Đông")
    await page.wait_for_selector("#curve canvas")
    await page.click("text=30 ngày")
    await page.wait_for_selector("[aria-current]:has-text('30 ngày')")
    await page.click("header button")
    await page.wait_for_url(f"{served.url}/login")

    assert said == []


async def test_a_telephone_shows_an_alarm_with_its_button(browser: Browser, served: Served) -> None:
    """What to do about it needs no scrolling to the side."""
    page = await _signed_in(browser, served, viewport={"width": 360, "height": 740})

    box = await page.locator("section.alarm button").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 360


async def test_a_reader_has_no_button(browser: Browser, served: Served) -> None:
    """What somebody may not do is not offered."""
    page = await _signed_in(browser, served, "lan")

    assert await page.locator("section.alarm tbody tr").count() == 1
    assert await page.locator("section.alarm button").count() == 0


async def test_it_speaks_english(browser: Browser, served: Served) -> None:
    """All of its own words; names stay."""
    page = await _signed_in(browser, served)
    await page.click("text=English")
    text = await page.inner_text("body")

    assert "Boxes that need attention" in text
    assert "The log has two versions" in text
    assert "Thiết bị" not in text


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(browser: Browser, served: Served, path: str, scheme: str) -> None:
    """WCAG 2.2 A and AA in both themes, and no sideways scrolling on a telephone."""
    page = await _signed_in(browser, served, color_scheme=scheme, bypass_csp=True)
    await page.goto(served.url + path)
    for summary in await page.locator("summary").all():
        await summary.click()
    await page.add_script_tag(path=AXE)
    found = await page.evaluate("axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")

    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def test_without_its_script_everything_is_there(browser: Browser, served: Served) -> None:
    """The curve's figures stand in a table."""
    page = await _signed_in(browser, served, java_script_enabled=False)
    await page.goto(f"{served.url}/sites/ben-xe-mien-dong")
    await page.click("summary")

    assert await page.locator("details tbody tr").count() == 30
    assert "80 ± 9" in await page.inner_text("details")
