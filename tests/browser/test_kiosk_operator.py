"""What the operator sets on the page, in Debian's Chromium: by keyboard, in both themes, with axe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Browser, expect

from tests.support import snapshots
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_browser import SIZES, open_page, sign_in, violations
from tests.support.snapshots import VENUE
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

expect.set_options(timeout=PATIENCE_S * 1000)
SLOW = replace(VENUE, beat_s=3600.0)


@pytest.mark.parametrize("size", ["landscape", "telephone"])
@pytest.mark.parametrize("theme", ["day", "night"])
async def test_settings_of_the_venue(browser: Browser, tmp_path: Path, size: str, theme: str) -> None:
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
