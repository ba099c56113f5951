"""The pages in Debian's Chromium: hysteresis, stale and down, themes and sizes, axe, nothing from outside."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Browser, expect

from edge_scanner.core import history
from edge_scanner.core import snapshot as document
from edge_scanner.core.counts.occupancy import Level
from edge_scanner.core.health import HealthLight, Light
from tests.support import snapshots
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_browser import SIZES, open_page, sign_in, violations
from tests.support.snapshots import BIN_S, TUESDAY_S, VENUE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = replace(VENUE, beat_s=3600.0)
QUICK = replace(VENUE, beat_s=0.5)
EVENING_S = TUESDAY_S + 3 * 3600
CANARY = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


async def test_word_follows_the_crowd_with_hysteresis(browser: Browser, tmp_path: Path) -> None:
    """Quiet, held just above the threshold, moderate, busy, held just below, and quiet again: one page, no reload."""
    now = TUESDAY_S - TUESDAY_S % BIN_S
    story = [(20, "Vắng"), (42, "Vắng"), (60, "Vừa phải"), (150, "Đông"), (112, "Đông"), (60, "Vừa phải"), (5, "Vắng")]
    values: list[float] = []
    async with running_kiosk(tmp_path, snapshots.snapshot(now, venue=SLOW, reports=[])) as kiosk:
        watched = await open_page(browser, kiosk.url)
        await expect(watched.page.locator(".word")).to_have_text("Đang đo")
        for i, (devices, word) in enumerate(story):
            values += [devices, devices]
            at = now + (2 * i + 2) * BIN_S
            kiosk.write(snapshots.snapshot(at, venue=SLOW, reports=snapshots.steps(at, values)))
            await expect(watched.page.locator(".word")).to_have_text(word)
        await expect(watched.page.locator("html")).to_have_attribute("data-level", "quiet")
        assert watched.complaints == []


async def test_stale_and_down_are_said_and_go(browser: Browser, tmp_path: Path) -> None:
    """The word is gone after three missed beats, and after twelve the scanner is down; it returns with the daemon."""
    snapshots.aged(tmp_path, snapshots.snapshot(venue=SLOW), 4 * SLOW.beat_s)
    async with running_kiosk(tmp_path) as kiosk:
        page = (await open_page(browser, kiosk.url)).page
        word = page.locator(".word")
        await expect(word).to_have_text("Chưa có số liệu mới")
        await expect(page.locator(".word-en")).to_have_text("No fresh data")
        await expect(page.locator(".marker")).to_be_hidden()
        # The same snapshot, of a daemon whose beat is so short that many were missed.
        kiosk.write(snapshots.snapshot(venue=QUICK))
        await expect(word).to_have_text("Chưa có thông tin")
        kiosk.write(snapshots.snapshot(TUESDAY_S + 10, venue=SLOW))
        await expect(word).to_have_text("Vắng")


@pytest.mark.slow
async def test_page_notices_that_the_kiosk_itself_is_gone(browser: Browser, tmp_path: Path) -> None:
    """Without any word from the server both pages say so after three of its beats; no old word or green light stays."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        page = (await open_page(browser, kiosk.url)).page
        await expect(page.locator(".word")).to_have_text("Vắng")
        await expect(page.locator("#chart canvas")).to_be_visible()
        operators = (await open_page(browser, kiosk.url + "/ops")).page
        await sign_in(operators, kiosk.url)
        await expect(operators.locator(".lamp[data-light=ok]")).to_have_count(7)
        kiosk.process.terminate()
        await expect(page.locator(".word")).to_have_text("Mất liên lạc")
        await expect(operators.locator(".lamp[data-light=unknown]")).to_have_count(7)
        await expect(operators.locator(".summary")).to_contain_text("Connection lost")
        await expect(page.locator(".word-en")).to_have_text("Connection lost")


async def test_a_page_whose_stream_never_began_says_so(browser: Browser, tmp_path: Path) -> None:
    """The page as it was served, and then nothing: neither its word nor a green light stays."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        context = await browser.new_context()
        await context.route("**/events", lambda route: route.abort())
        page = (await open_page(context, kiosk.url)).page
        operators = (await open_page(context, kiosk.url + "/ops")).page
        await sign_in(operators, kiosk.url)
        await expect(page.locator(".word")).to_have_text("Mất liên lạc")
        await expect(page.locator("html")).to_have_attribute("data-level", "unknown")
        await expect(operators.locator(".lamp[data-light=unknown]")).to_have_count(7)
        await expect(operators.locator(".summary")).to_contain_text("Connection lost")


async def test_deaf_unsure_and_simulated_are_said(browser: Browser, tmp_path: Path) -> None:
    """A fault of the radio, an unsure clock and a simulation are words in both languages."""
    deaf = snapshots.healthy(TUESDAY_S, radio=HealthLight(light=Light.FAIL, code="RAD-01"))
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW, health=deaf, clock_sure=False)) as kiosk:
        page = (await open_page(browser, kiosk.url)).page
        await expect(page.locator(".word")).to_have_text("Chưa có thông tin")
        await expect(page.locator(".warning")).to_contain_text("Giờ hiển thị có thể chưa đúng")
        await expect(page.locator(".warning")).to_contain_text("The time shown may be wrong")
        kiosk.write(snapshots.snapshot(TUESDAY_S + 1, venue=replace(SLOW, simulated=True, speed=60.0)))
        await expect(page.locator(".warning")).to_contain_text("Simulation")
        before = await page.locator("#clock").text_content()
        await expect(page.locator("#clock")).not_to_have_text(before or "")


@pytest.mark.parametrize("theme", ["day", "night"])
@pytest.mark.parametrize("size", SIZES)
async def test_everything_fits(browser: Browser, tmp_path: Path, theme: str, size: str) -> None:
    """On every screen and theme nothing is cut off: no box is smaller than its text, no page scrolls sideways."""
    now = EVENING_S
    full = snapshots.snapshot(now, venue=SLOW, pulls=snapshots.answered(now), clock_sure=False)
    longest = replace(full, crowd=replace(full.crowd, level=Level.MODERATE, position=50))
    async with running_kiosk(tmp_path, longest) as kiosk:
        # The seven-inch panel has its own order on a wall; in a window its page scrolls.
        wall = "&screen" if size == "seven-inch" else ""
        page = (await open_page(browser, f"{kiosk.url}/?theme={theme}{wall}", SIZES[size])).page
        await expect(page.locator("#chart canvas")).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("data-theme", theme)
        cut = await page.evaluate(
            """() => [...document.querySelectorAll('.hero, .card, .curve, .top')]
                 .filter((e) => e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2)
                 .map((e) => `${e.className} needs ${e.scrollWidth}x${e.scrollHeight}`)"""
        )
        assert cut == []
        width, height = SIZES[size]
        sideways, down = await page.evaluate("[document.body.scrollWidth, document.documentElement.scrollHeight]")
        assert sideways <= width
        assert down <= height or size == "telephone"


@pytest.mark.parametrize("state", ["fresh", "deaf"])
async def test_a_seven_inch_wall_keeps_what_a_visitor_must_know(browser: Browser, tmp_path: Path, state: str) -> None:
    """In four turns, from 16 px and in both languages: what is recorded, the opt-out, the two approvals; the code."""
    radio = HealthLight(light=Light.FAIL if state == "deaf" else Light.OK)
    venue = replace(SLOW, help="028 3899 1234", app_url="https://app.example.vn", app_name="App")
    health = snapshots.healthy(EVENING_S, radio=radio)
    first = snapshots.snapshot(EVENING_S, venue=venue, health=health, pulls=snapshots.answered(EVENING_S))
    async with running_kiosk(tmp_path, first) as kiosk:
        page = (await open_page(browser, kiosk.url + "/?screen", SIZES["seven-inch"])).page
        await expect(page.locator("#chart canvas")).to_be_visible()
        await expect(page.locator("html")).to_have_attribute("data-state", state)
        read = ""
        for turn in range(4):
            await page.evaluate(f"document.documentElement.dataset.turn = '{turn}'")
            seen = await page.evaluate(
                """() => [...document.querySelectorAll('#screen *')]
                     .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
                     .filter((e) => e.getBoundingClientRect().width > 0 && getComputedStyle(e).visibility === 'visible')
                     .map((e) => [e.textContent.trim(), parseFloat(getComputedStyle(e).fontSize),
                                  e.getBoundingClientRect().bottom])"""
            )
            assert [text for text, size, _ in seen if size < 16] == []
            assert [text for text, _, bottom in seen if bottom > SIZES["seven-inch"][1]] == []
            cut = await page.evaluate(
                """() => [...document.querySelectorAll('.hero, .card, .curve, .top')]
                     .filter((e) => e.scrollHeight > e.clientHeight + 2 || e.scrollWidth > e.clientWidth + 2)
                     .map((e) => `${e.className} needs ${e.scrollWidth}x${e.scrollHeight}`)"""
            )
            assert cut == []
            await expect(page.locator(".records .qr")).to_be_visible()
            await expect(page.locator(".app")).to_be_hidden()
            read += " ".join(text for text, _, _ in seen)
    for told in (
        "Hãy tắt Bluetooth",
        "To opt out",
        "hai chữ ký",
        "two approvals",
        "not a head count",
        "Tự xoá sau 14 ngày",
    ):
        assert told in read
    assert ("Ask the staff: 028 3899 1234" in read) == (state == "deaf")


async def test_the_wandering_picture_of_a_screen_cannot_be_scrolled(browser: Browser, tmp_path: Path) -> None:
    """Against burn-in it moves by pixels; a wall has no use for the bars that a page in a window then gets."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        for path, scrolled in (("/", 3), ("/?screen", 0)):
            page = (await open_page(browser, kiosk.url + path)).page
            await expect(page.locator("#chart canvas")).to_be_visible()
            await page.evaluate("document.getElementById('screen').style.transform = 'translate(4px, 3px)'")
            await page.mouse.wheel(0, 500)
            await page.wait_for_timeout(300)
            assert await page.evaluate("scrollY") == scrolled


@pytest.mark.parametrize("theme", ["day", "night"])
@pytest.mark.parametrize("state", ["quiet", "moderate", "busy", "down", "deaf"])
async def test_axe_on_the_public_page(browser: Browser, tmp_path: Path, theme: str, state: str) -> None:
    """Axe finds nothing against WCAG 2.2 AA in any state and theme."""
    now = {"quiet": TUESDAY_S, "moderate": TUESDAY_S - 7200, "busy": EVENING_S}.get(state, TUESDAY_S)
    radio = HealthLight(light=Light.FAIL if state == "deaf" else Light.OK)
    first = snapshots.snapshot(now, venue=SLOW, health=snapshots.healthy(now, radio=radio))
    async with running_kiosk(tmp_path, None if state == "down" else first) as kiosk:
        context = await browser.new_context(bypass_csp=True)
        page = (await open_page(context, f"{kiosk.url}/?theme={theme}")).page
        await expect(page.locator("html")).to_have_attribute(
            "data-state", state if state in ("down", "deaf") else "fresh"
        )
        assert await violations(page) == []


@pytest.mark.parametrize("size", ["landscape", "telephone"])
async def test_axe_on_the_operators_page(browser: Browser, tmp_path: Path, size: str) -> None:
    """Axe finds nothing on the PIN page and on the operator's page with red and yellow lights."""
    health = snapshots.healthy(
        TUESDAY_S,
        broker=HealthLight(light=Light.FAIL, code="BRK-02"),
        storage=HealthLight(light=Light.WARN, code="STO-01"),
        clock=HealthLight(light=Light.UNKNOWN),
    )
    first = snapshots.snapshot(venue=SLOW, health=health, pulls=snapshots.answered(TUESDAY_S))
    async with running_kiosk(tmp_path, first) as kiosk:
        context = await browser.new_context(bypass_csp=True)
        page = (await open_page(context, kiosk.url + "/ops", SIZES[size])).page
        assert await violations(page) == []
        await sign_in(page, kiosk.url)
        await expect(page.locator("#answered tr")).to_have_count(2)
        assert await violations(page) == []


@pytest.mark.parametrize("size", ["landscape", "telephone"])
@pytest.mark.parametrize("theme", ["day", "night"])
async def test_figures_of_a_month(browser: Browser, tmp_path: Path, size: str, theme: str) -> None:
    """From the operator's page to the month: axe finds nothing, nothing comes from outside, the CSV is a download.

    It prints on two pages.
    """
    (tmp_path / "history.json").write_bytes(history.to_json(snapshots.months()))
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        context = await browser.new_context(bypass_csp=True)
        watched = await open_page(context, kiosk.url + "/ops", SIZES[size])
        page = watched.page
        await sign_in(page, kiosk.url)
        watched.complaints.clear()  # the PIN page is an answer 401
        await page.click("a[href='/ops/figures']")
        await page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        await expect(page.locator(".days tbody tr")).to_have_count(24)
        await expect(page.locator(".heat td.heat-6").first).to_be_visible()
        assert await violations(page) == []
        async with page.expect_download() as download:
            await page.click("a[download]")
        assert (await download.value).suggested_filename == "edge-scanner-figures.csv"
        await page.click("a[href='/ops/figures?month=2026-10']")
        await expect(page.locator("h1")).to_contain_text("October 2026")
        await expect(page.locator(".lines")).to_have_count(0)
        paper = await page.pdf(prefer_css_page_size=True)
        assert paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") == 2
        assert (watched.hosts, watched.complaints) == ({"127.0.0.1"}, [])


async def test_operators_page(browser: Browser, tmp_path: Path) -> None:
    """Lights with words and what to do, figures, requests, week; a light that mends changes without a reload."""
    bad = snapshots.healthy(TUESDAY_S, broker=HealthLight(light=Light.FAIL, code="BRK-02"))
    first = snapshots.snapshot(venue=SLOW, health=bad, pulls=snapshots.answered(TUESDAY_S))
    async with running_kiosk(tmp_path, first) as kiosk:
        watched = await open_page(browser, kiosk.url + "/ops")
        page = watched.page
        await sign_in(page, kiosk.url)
        lamp = page.locator(".lamp").nth(2)
        await expect(lamp).to_contain_text("Hỏng")
        await expect(lamp).to_contain_text("BRK-02")
        await expect(lamp.locator(".todo")).to_contain_text("Kiểm tra dây mạng")
        await expect(page.locator(".facts")).to_contain_text("tự xoá sau 14 ngày")
        await expect(page.locator("#answered tr").first).to_contain_text("HCM-2026-0431")
        await expect(page.locator("#chart canvas")).to_be_visible()
        await page.click("details summary")
        await expect(page.locator("#hours tr")).to_have_count(24)
        kiosk.write(snapshots.snapshot(TUESDAY_S + 1, venue=SLOW))
        await expect(lamp).to_contain_text("Tốt")
        await expect(page.locator(".summary")).to_contain_text("Everything works.")
        assert [text for text in watched.complaints if "401" not in text] == []
        assert watched.hosts == {"127.0.0.1"}


async def test_no_request_leaves_the_box(browser: Browser, tmp_path: Path) -> None:
    """Page, scripts, fonts, codes and stream come from loopback, and the policy breaks no part of the page."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        watched = await open_page(browser, kiosk.url)
        await expect(watched.page.locator("#chart canvas")).to_be_visible()
        loaded = await watched.page.evaluate(
            "async () => { await document.fonts.ready; return [...document.fonts].map((f) => f.status) }"
        )
        assert "error" not in loaded
        assert loaded.count("loaded") == 4
        assert watched.hosts == {"127.0.0.1"}
        assert watched.complaints == []


async def test_policy_is_enforced(browser: Browser, tmp_path: Path) -> None:
    """A script that got in could neither make HTML from text nor fetch from elsewhere."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        page = (await open_page(browser, kiosk.url)).page
        assert await page.evaluate(
            "() => { try { document.body.innerHTML = '<b>x</b>'; return false } catch { return true } }"
        )
        assert await page.evaluate("fetch('http://127.0.0.1:1/').then(() => false, () => true)")


async def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path) -> None:
    """Markup in names, codes and case numbers is shown as text on both pages, at first and after an update."""
    value = json.loads(document.to_json(snapshots.snapshot(venue=SLOW, pulls=snapshots.answered(TUESDAY_S))))
    value["venue"]["name_vi"] = value["venue"]["name_en"] = value["pulls"][1]["case"] = CANARY
    value["health"]["lights"]["radio"] = {"light": "warn", "code": "<b>RAD</b>"}
    async with running_kiosk(tmp_path, json.dumps(value).encode()) as kiosk:
        watched = await open_page(browser, kiosk.url)
        page = watched.page
        await expect(page.locator(".place-vi")).to_have_text(CANARY)
        value["written_s"] += 1
        value["venue"]["name_vi"] = "2" + CANARY
        kiosk.write(json.dumps(value).encode())
        await expect(page.locator(".place-vi")).to_have_text("2" + CANARY)
        await sign_in(page, kiosk.url)
        await expect(page.locator("#answered td").first).to_have_text(CANARY)
        assert "taken" not in await page.title()
        assert watched.hosts == {"127.0.0.1"}


async def test_picture_wanders_against_burn_in(browser: Browser, tmp_path: Path) -> None:
    """Minute by minute the whole picture moves by a few pixels and never out of the screen's edge."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        page = await browser.new_page(viewport={"width": 1920, "height": 1080})
        await page.clock.install()
        await page.goto(kiosk.url)
        seen = set()
        for _ in range(19):
            await page.clock.run_for(60_000)
            seen.add(await page.locator("#screen").evaluate("(e) => e.style.transform"))
        assert len(seen) > 8
        offsets = [
            int(text)
            for place in seen
            for text in place.removeprefix("translate(").replace("px", "").rstrip(")").split(",")
        ]
        assert max(map(abs, offsets)) <= 4
