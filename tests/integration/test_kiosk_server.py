"""The kiosk program as a process: addresses, headers, PIN, streams, metrics, hostile snapshot files."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from edge_scanner.core import snapshot as document
from edge_scanner.core.model import HealthLight, Light
from edge_scanner.device.kiosk.stream import MAX_STREAMS
from tests.support import snapshots
from tests.support.kiosk import PIN, RunningKiosk, free_port, running_kiosk
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUICK = replace(VENUE, beat_s=0.4)
SLOW = replace(VENUE, beat_s=3600.0)
PAGES = (
    "/",
    "/events",
    "/healthz",
    "/metrics",
    "/ops",
    "/ops.csv",
    "/ops/events",
    "/qr/app.svg",
    "/www/public.js",
    "/none",
)


async def events(session: aiohttp.ClientSession, url: str) -> AsyncIterator[dict[str, Any]]:
    """The documents of a stream, in order."""
    async with session.get(url) as answer:
        assert answer.status == 200
        kind = ""
        async for line in answer.content:
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            if line.startswith(b"data: ") and kind == "document":
                yield json.loads(line[6:])


async def until(session: aiohttp.ClientSession, url: str, field: str, value: object) -> dict[str, Any]:
    """The first document of a stream whose field has this value."""
    async with asyncio.timeout(10):
        async for got in events(session, url):
            if got[field] == value:
                return got
    raise AssertionError("the stream ended")


async def enter(session: aiohttp.ClientSession, kiosk: RunningKiosk, guess: str = PIN) -> int:
    """Send a PIN; the status of the answer, 303 when it was right."""
    async with session.post(kiosk.url + "/ops/login", data={"pin": guess}, allow_redirects=False) as answer:
        return answer.status


def cookies() -> aiohttp.ClientSession:
    """A client that keeps cookies of numeric addresses."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


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
                assert answer.headers["Referrer-Policy"] == "no-referrer"
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
        for path in ("/www/public.html", "/www/../i18n/vi.json", "/www/..%2f..%2f..%2fetc/passwd", "/www//etc/passwd"):
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
        for path, shut, opened in (("/", 200, 200), ("/ops", 403, 401), ("/ops.csv", 403, 401), ("/metrics", 403, 200)):
            async with session.get(url + path) as answer:
                assert answer.status == (opened if lan else shut), path


def own_address() -> str:
    """An address of this machine other than loopback; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network interface but loopback")
        address: str = probe.getsockname()[0]
        return address


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


async def test_stream_follows_the_file(tmp_path: Path) -> None:
    """A page gets the whole document at once and again when the snapshot changes."""
    now = TUESDAY_S
    busy = snapshots.snapshot(now + 5, venue=SLOW, reports=snapshots.steps(now, (200,) * 6))
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(now, venue=SLOW)) as kiosk,
        aiohttp.ClientSession() as session,
        asyncio.timeout(10),
    ):
        stream = events(session, kiosk.url + "/events")
        assert (await anext(stream))["level"] == "quiet"
        kiosk.write(busy)
        assert (await anext(stream))["level"] == "busy"


async def test_stale_then_down_then_fresh(tmp_path: Path) -> None:
    """Three beats after the last snapshot the page says stale, later down, and returns with the daemon."""
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=QUICK)) as kiosk,
        aiohttp.ClientSession() as session,
    ):
        url = kiosk.url + "/events"
        assert (await until(session, url, "state", "stale"))["level"] == "unknown"
        assert (await until(session, url, "state", "down"))["word"]["en"] == "Scanner is down"
        kiosk.write(snapshots.snapshot(TUESDAY_S + 9, venue=QUICK))
        assert (await until(session, url, "state", "fresh"))["level"] == "quiet"


async def test_removed_file_is_down_within_three_beats(tmp_path: Path) -> None:
    """Systemd removes the file with the daemon; the page goes from fresh to down without a stale hour between."""
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=QUICK)) as kiosk,
        aiohttp.ClientSession() as session,
        asyncio.timeout(10),
    ):
        stream = events(session, kiosk.url + "/events")
        assert (await anext(stream))["state"] == "fresh"
        kiosk.remove()
        states = [(await anext(stream))["state"]]
        assert states == ["down"]


async def test_old_file_at_the_start_is_not_fresh(tmp_path: Path) -> None:
    """A kiosk that starts beside a long dead daemon does not take its last snapshot for news."""
    old = tmp_path / "snapshot.json"
    old.write_bytes(document.to_json(snapshots.snapshot()))
    os.utime(old, (1, 1))
    async with (
        running_kiosk(tmp_path) as kiosk,
        aiohttp.ClientSession() as session,
        session.get(kiosk.url + "/healthz") as answer,
    ):
        assert await answer.json() == {"alive": True, "snapshot": "down"}


async def test_deaf_radio(tmp_path: Path) -> None:
    """A daemon that lives but hears nothing shows a fault, not an empty hall."""
    health = snapshots.healthy(TUESDAY_S, radio=HealthLight(light=Light.FAIL, code="RAD-01"))
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW, health=health)) as kiosk,
        aiohttp.ClientSession() as session,
    ):
        got = await until(session, kiosk.url + "/events", "state", "deaf")
        assert got["word"] == {"vi": "Máy quét gặp sự cố", "en": "Scanner has a fault"}


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"\x00" * 100,
        b"x" * 5_000_000,
        b"[" * 200_000,
        b'{"v":1}',
        document.to_json(snapshots.snapshot())[:-500],
        document.to_json(snapshots.snapshot()).replace(b'"opened_count":0', b'"opened_count":"<script>"'),
    ],
    ids=["empty", "brace", "binary", "huge", "nested", "short", "truncated", "mistyped"],
)
async def test_hostile_snapshot(tmp_path: Path, bad: bytes) -> None:
    """Empty, truncated, binary, huge, nested and mistyped files stop nothing; a good file heals the page."""
    async with running_kiosk(tmp_path, bad) as kiosk, aiohttp.ClientSession() as session:
        got = await until(session, kiosk.url + "/events", "state", "down")
        assert got["level"] == "unknown"
        async with session.get(kiosk.url + "/") as answer:
            assert answer.status == 200
            assert '<script>"' not in await answer.text()
        kiosk.write(snapshots.snapshot(venue=SLOW))
        await until(session, kiosk.url + "/events", "state", "fresh")
        kiosk.write(bad)
        await asyncio.sleep(1.2)
        async with session.get(kiosk.url + "/healthz") as answer:
            assert await answer.json() == {"alive": True, "snapshot": "fresh"}


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
async def test_snapshot_that_is_no_file(tmp_path: Path, kind: str) -> None:
    """A FIFO does not block the kiosk, a directory and a link are not followed."""
    place = tmp_path / "snapshot.json"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    else:
        target = tmp_path / "elsewhere.json"
        target.write_bytes(document.to_json(snapshots.snapshot(venue=SLOW)))
        place.symlink_to(target)
    async with (
        running_kiosk(tmp_path) as kiosk,
        aiohttp.ClientSession() as session,
        session.get(kiosk.url + "/healthz") as answer,
    ):
        assert (await answer.json())["snapshot"] == "down"


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
    assert "edge_scan_recoveries_total" in everything
    assert [canary for canary in canaries if canary in everything] == []


async def test_metrics(tmp_path: Path) -> None:
    """The names operations rely on are there with the snapshot's values; no label has more than a word."""
    health = snapshots.healthy(TUESDAY_S, broker=HealthLight(light=Light.FAIL, code="BRK-02"))
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW, health=health)) as kiosk,
        aiohttp.ClientSession() as session,
        session.get(kiosk.url + "/metrics") as answer,
    ):
        lines = set((await answer.text()).splitlines())
    assert {
        'edge_light{light="broker"} 2.0',
        'edge_light{light="radio"} 0.0',
        'edge_mqtt_puback_total{code="no_subscribers"} 3.0',
        'edge_scan_recoveries_total{rung="scanner"} 2.0',
        "edge_outbox_rows 0.0",
        "edge_clock_synced 1.0",
        "edge_snapshot_fresh 1.0",
        "edge_pulls_answered_total 0.0",
    } <= lines


async def test_streams_are_bounded(tmp_path: Path) -> None:
    """The sixty-fifth page is told to come back later; a page that leaves makes room."""
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        pages = [await session.get(kiosk.url + "/events") for _ in range(MAX_STREAMS)]
        async with session.get(kiosk.url + "/events") as answer:
            assert answer.status == 503
        for page in pages:
            page.close()
        async with asyncio.timeout(15):
            while True:
                async with session.get(kiosk.url + "/events") as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.2)


async def test_qr_codes(tmp_path: Path) -> None:
    """Both codes are SVG pictures; a venue without addresses has none."""
    bare = replace(SLOW, app_url="", notice_url="")
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        for what in ("app", "notice"):
            async with session.get(f"{kiosk.url}/qr/{what}.svg") as answer:
                assert answer.content_type == "image/svg+xml"
                assert (await answer.read()).startswith(b"<svg")
        kiosk.write(snapshots.snapshot(TUESDAY_S + 1, venue=bare))
        await until(session, kiosk.url + "/events", "has_app", value=False)
        async with session.get(kiosk.url + "/qr/app.svg") as answer:
            assert answer.status == 404


async def test_port_taken(tmp_path: Path) -> None:
    """A port in use is one line with a hint and exit code 69."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk:
        port = kiosk.url.rsplit(":", 1)[1]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge_scanner.device.kiosk", "--snapshot=none", f"--port={port}"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
    assert (process.returncode, errors.decode().splitlines()) == (
        69,
        [f"edge-scanner: cannot listen: Address already in use (127.0.0.1:{port}); choose another port"],
    )


async def test_command_becomes_the_kiosk(tmp_path: Path) -> None:
    """The command reads the settings file and turns into the kiosk without changing its process id."""
    port = free_port()
    settings = tmp_path / "scanner.toml"
    settings.write_text(f'[device]\nruntime_dir = "{tmp_path}"\n[kiosk]\nport = {port}\n', encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge_scanner.device.cli", "kiosk", "--config", str(settings)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            while not await alive(session, f"http://127.0.0.1:{port}/healthz"):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.1)
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        assert b"edge_scanner.device.kiosk" in command
    finally:
        process.terminate()
        assert await process.wait() == 0


async def alive(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether something answers there."""
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_stop_is_quick_with_open_pages(tmp_path: Path) -> None:
    """SIGTERM ends the program with exit code 0 within seconds although pages are open."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        stream = events(session, kiosk.url + "/events")
        await anext(stream)
        kiosk.process.terminate()
        async with asyncio.timeout(15):
            assert await kiosk.process.wait() == 0
