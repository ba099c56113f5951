"""The doors of the kiosk program: addresses, headers, PIN and cookie, and what no page may show."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from edge_scanner.core import snapshot as document
from tests.support import snapshots
from tests.support.kiosk import PIN, running_kiosk
from tests.support.kiosk_client import cookies, enter, own_address, until
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from pathlib import Path

SLOW = replace(VENUE, beat_s=3600.0)


PAGES = (
    "/",
    "/api/v1/figures",
    "/api/v1/level",
    "/events",
    "/healthz",
    "/metrics",
    "/ops",
    "/ops.csv",
    "/ops/events",
    "/ops/figures",
    "/ops/figures.csv",
    "/qr/app.svg",
    "/www/public.js",
    "/none",
)


async def test_headers_everywhere(tmp_path: Path) -> None:
    """Every address, also one that does not exist, carries the policy and tells nobody to keep a copy."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        for path in PAGES:
            async with session.get(kiosk.url + path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "require-trusted-types-for 'script'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "same-origin"
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert answer.headers["Cache-Control"] in ("no-store", "no-cache")
                assert answer.headers["Server"] == "edge-scanner"


async def test_foreign_host_names_are_refused(tmp_path: Path) -> None:
    """A page elsewhere that rebinds its name to this address gets nothing."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        for host, status in (("evil.example", 421), ("evil.example:80", 421), ("localhost:1", 200), ("127.0.0.1", 200)):
            async with session.get(kiosk.url + "/", headers={"Host": host}) as answer:
                assert answer.status == status, host


async def test_no_path_leads_out_of_the_pages(tmp_path: Path) -> None:
    """Only the files of the page exist; no path reaches templates, catalogues or the disk."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        for path in ("/www/public.html", "/www/../texts.json", "/www/..%2f..%2f..%2fetc/passwd", "/www//etc/passwd"):
            async with session.get(kiosk.url + path) as answer:
                assert answer.status == 404, path


async def test_operators_addresses_need_the_pin(tmp_path: Path) -> None:
    """Without a session nothing of the operator's is told; with the PIN everything is, until signing out."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, cookies() as session:
        for path in ("/ops", "/ops.csv", "/ops/events"):
            async with session.get(kiosk.url + path) as answer:
                assert answer.status == 401
                assert "K7MP" not in await answer.text()
        assert await enter(session, kiosk) == 303
        async with session.get(kiosk.url + "/ops") as answer:
            assert "K7MP-2R9C-X4" in await answer.text()
        async with session.get(kiosk.url + "/ops.csv") as answer:
            assert len((await answer.text()).splitlines()) == 1 + 7 * 24 - 1
        assert (await until(session, kiosk.url + "/ops/events", "state", "fresh"))["device"] == "K7MP-2R9C-X4"
        async with session.post(kiosk.url + "/ops/logout", allow_redirects=False) as answer:
            assert answer.status == 303
        async with session.get(kiosk.url + "/ops.csv") as answer:
            assert answer.status == 401


async def test_cookie_is_out_of_reach_of_scripts_and_other_sites(tmp_path: Path) -> None:
    """The session's cookie is HttpOnly and SameSite=Strict, and a form of another site is refused."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        async with session.post(kiosk.url + "/ops/login", data={"pin": PIN}, allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        foreign = {"Sec-Fetch-Site": "cross-site"}
        async with session.post(kiosk.url + "/ops/login", data={"pin": PIN}, headers=foreign) as answer:
            assert answer.status == 403


async def test_guessing_is_braked(tmp_path: Path) -> None:
    """After five wrong PINs even the right one waits, from every client, and one success before that starts afresh."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        assert [await enter(session, kiosk, "000000") for _ in range(4)] == [401] * 4
        assert await enter(session, kiosk) == 303
        assert [await enter(session, kiosk, "000000") for _ in range(5)] == [401] * 5
        async with aiohttp.ClientSession() as other:
            assert await enter(other, kiosk) == 429
        async with session.post(kiosk.url + "/ops/login", data={"pin": "1" * 5000}) as answer:
            assert answer.status == 429


@pytest.mark.parametrize("lan", [False, True])
async def test_the_network_sees_the_operators_page_only_by_setting(tmp_path: Path, lan: bool) -> None:
    """From the venue's network `/` is shown; `/ops` and `/metrics` are refused unless the setting opens them."""
    address = own_address()
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW), host="0.0.0.0", lan=lan) as kiosk,
        aiohttp.ClientSession() as session,
    ):
        url = kiosk.url.replace("127.0.0.1", address)
        near = ("/metrics", "/api/v1/figures", "/api/v1/health")
        open_to_all = ("/", "/api/v1/level", "/api/v1/openapi.json")
        for path, shut, opened in (
            *((path, 200, 200) for path in open_to_all), ("/ops", 403, 401), ("/ops.csv", 403, 401),
            *((path, 403, 200) for path in near),
        ):  # fmt: skip
            async with session.get(url + path) as answer:
                assert answer.status == (opened if lan else shut), path


async def test_no_pin_no_operators_page(tmp_path: Path) -> None:
    """A box whose PIN was never set shows no operator's page to anybody and says what to do."""
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW), with_pin=False) as kiosk,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(kiosk.url + "/ops") as answer:
            assert answer.status == 503
            assert "edge-scanner ops-pin" in await answer.text()
        assert await enter(session, kiosk) == 403


@pytest.mark.parametrize("kind", ["rubbish", "folder"])
async def test_a_pin_that_cannot_be_used_closes_the_operators_page_only(tmp_path: Path, kind: str) -> None:
    """The venue's page goes on; the operator's says that the PIN cannot be read and what the technician does."""
    (tmp_path / "ops-pin").mkdir() if kind == "folder" else (tmp_path / "ops-pin").write_text("rubbish\n")
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW), with_pin=False) as kiosk,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(kiosk.url + "/") as answer:
            assert answer.status == 200
        async with session.get(kiosk.url + "/ops") as answer:
            assert answer.status == 503
            assert "PIN cannot be read" in await answer.text()
        assert await enter(session, kiosk) == 403


async def test_canary_is_nowhere(tmp_path: Path) -> None:
    """Identifiers planted in every field that the daemon never writes come out of no address, header or log line."""
    canaries = ("c0ffee00c0ffee00c0ffee00", "DE:AD:BE:EF:00:01", "Nguyen Van Canary")
    value = json.loads(document.to_json(snapshots.snapshot(venue=SLOW, pulls=snapshots.answered(TUESDAY_S))))
    for holder in (value, value["venue"], value["health"], value["crowd"], value["pulls"][0], value["week"][0]):
        holder["canary"] = list(canaries)
    value["health"]["pubacks"][canaries[0]] = 7
    value["health"]["recoveries"][canaries[0]] = 7
    value["health"]["lights"][canaries[0]] = {"light": "ok"}
    seen = []
    async with running_kiosk(tmp_path, json.dumps(value).encode()) as kiosk, cookies() as session:
        await enter(session, kiosk)
        for path in PAGES:
            async with session.get(kiosk.url + path) as answer:
                seen.append(str(answer.headers))
                if path.endswith("events"):
                    seen.append(repr(await answer.content.readuntil(b"\n\nevent: beat")))
                else:
                    seen.append(await answer.text())
    seen.append((tmp_path / "journal").read_text())
    everything = "\n".join(seen)
    assert "edge_scanner_scan_recoveries_total" in everything
    assert [canary for canary in canaries if canary in everything] == []
