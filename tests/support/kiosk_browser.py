"""The kiosk's pages in Chromium: a page that is watched, the PIN, and what axe finds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.async_api import expect

from tests.support.kiosk import PIN
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

AXE = Path(__file__).parents[1] / "vendor" / "axe" / "axe.min.js"
SIZES = {"landscape": (1920, 1080), "portrait": (1080, 1920), "seven-inch": (800, 480), "telephone": (390, 844)}

# A machine that is busy with other tests paints late; how soon is too late is the server's business, not the browser's.
expect.set_options(timeout=PATIENCE_S * 1000)


class Watched:
    """A page with everything it asked for and complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2].split(":")[0]))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


async def open_page(browser: Browser | BrowserContext, url: str, size: tuple[int, int] = (1920, 1080)) -> Watched:
    """A new page of this size at this address."""
    watched = Watched(await browser.new_page())
    watched.page.set_default_timeout(PATIENCE_S * 1000)
    await watched.page.set_viewport_size({"width": size[0], "height": size[1]})
    await watched.page.goto(url)
    return watched


async def sign_in(page: Page, url: str) -> None:
    """Open the operator's page with the PIN."""
    await page.goto(url + "/ops")
    await page.fill("#pin", PIN)
    await page.click("main button")
    await expect(page.locator(".lamp")).to_have_count(7)
    await page.wait_for_load_state()  # the lamps may be there before the style sheets are


async def violations(page: Page) -> list[Any]:
    """What axe finds against WCAG A and AA and its best practices."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    assert len(found["passes"]) > 10
    return [(v["id"], [node["html"][:160] for node in v["nodes"]]) for v in found["violations"]]
