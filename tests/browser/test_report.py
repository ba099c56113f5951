"""The report in Debian's Chromium: nothing is loaded, nothing runs, nothing overflows, and it prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.match import report
from tests.support.chromium import chromium
from tests.support.sightings import sample
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

AXE = Path(__file__).parents[1] / "vendor" / "axe" / "axe.min.js"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """The sample report, opened; every request but the file's own fails the test."""
    path = tmp_path / "report.html"
    report.write_html(sample(), path)
    async with chromium() as browser:
        context = await browser.new_context(bypass_csp=True)
        opened = await context.new_page()
        opened.set_default_timeout(PATIENCE_S * 1000)
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        await opened.goto(path.as_uri())
        yield opened
        assert asked == [path.as_uri()]


async def test_texts_of_others_are_shown_and_not_obeyed(page: Page) -> None:
    """A case and a place with markup in their names are text."""
    assert await page.locator("h3", has_text="chi<b>/7").count() == 1
    assert await page.locator("td", has_text="Quầy <thu ngân> & kho").count() > 0
    assert await page.locator("h3 b b").count() == 0


@pytest.mark.parametrize("width", [1120, 718, 390])
async def test_it_fits(page: Page, width: int) -> None:
    """No sideways scrolling on a screen, on A4 and on a telephone."""
    await page.set_viewport_size({"width": width, "height": 900})
    await page.emulate_media(media="print" if width == 718 else "screen")

    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def test_every_visit_is_drawn_and_listed(page: Page) -> None:
    """Three phones, five visits, near and far and hollow bars, and hatched hours."""
    assert await page.locator("section.case").count() == 3
    assert await page.locator("table.visits tbody tr").count() == 5
    for kind in ("near", "far", "tolerant", "none"):
        assert await page.locator(f"section.case rect.{kind}").count() > 0


async def test_it_prints_on_a_few_pages(page: Page) -> None:
    """A4, with its colours."""
    paper = await page.pdf(prefer_css_page_size=True)

    assert 1 <= paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") <= 5


async def test_it_can_be_read_by_everybody(page: Page) -> None:
    """Axe finds no violation: contrast, languages, table headings."""
    await page.add_script_tag(path=AXE)
    result = await page.evaluate("axe.run()")

    assert [violation["id"] for violation in result["violations"]] == []
