"""The kiosk program as a process: streams, metrics, hostile snapshot files, its end."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from edge_scanner.core import snapshot as document
from edge_scanner.core.health import HealthLight, Light
from edge_scanner.device.kiosk.stream import MAX_STREAMS
from edge_scanner.device.kiosk.watch import State, Watch
from tests.support import snapshots
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_client import events, until
from tests.support.ports import free_port
from tests.support.snapshots import TUESDAY_S, VENUE
from tests.support.waiting import PATIENCE_S

QUICK = replace(VENUE, beat_s=0.4)
SLOW = replace(VENUE, beat_s=3600.0)


async def test_stream_follows_the_file(tmp_path: Path) -> None:
    """A page gets the whole document at once and again when the snapshot changes."""
    now = TUESDAY_S
    busy = snapshots.snapshot(now + 5, venue=SLOW, reports=snapshots.steps(now, (200,) * 6))
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(now, venue=SLOW)) as kiosk,
        aiohttp.ClientSession() as session,
        asyncio.timeout(PATIENCE_S),
    ):
        stream = events(session, kiosk.url + "/events")
        assert (await anext(stream))["level"] == "quiet"
        kiosk.write(busy)
        assert (await anext(stream))["level"] == "busy"


async def test_stale_then_down_then_fresh(tmp_path: Path) -> None:
    """Three beats after the last snapshot the page says stale, after twelve down, and it returns with the daemon."""
    snapshots.aged(tmp_path, snapshots.snapshot(venue=SLOW), 4 * SLOW.beat_s)
    async with running_kiosk(tmp_path) as kiosk, aiohttp.ClientSession() as session:
        url = kiosk.url + "/events"
        assert (await until(session, url, "state", "stale"))["level"] == "unknown"
        # The same snapshot, of a daemon whose beat is so short that many were missed.
        kiosk.write(snapshots.snapshot(venue=QUICK))
        assert (await until(session, url, "state", "down"))["word"]["en"] == "No information right now"
        kiosk.write(snapshots.snapshot(TUESDAY_S + 9, venue=SLOW))
        assert (await until(session, url, "state", "fresh"))["level"] == "quiet"


def test_removed_file_is_down_and_not_stale(tmp_path: Path) -> None:
    """After three beats a file that is still there is stale; one that systemd removed with the daemon is down."""
    path = tmp_path / "snapshot.json"
    path.write_bytes(document.to_json(snapshots.snapshot(venue=SLOW)))
    seen = Watch(path)
    assert seen.look().state is State.FRESH

    seen._seen_s -= 3 * SLOW.beat_s
    assert seen.look().state is State.STALE
    path.unlink()
    assert seen.look().state is State.DOWN


async def test_old_file_at_the_start_is_not_fresh(tmp_path: Path) -> None:
    """A kiosk that starts beside a long dead daemon does not take its last snapshot for news."""
    snapshots.aged(tmp_path, snapshots.snapshot(), 10 * 365 * 86400)
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
        assert got["word"] == {"vi": "Chưa có thông tin", "en": "No information right now"}


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
        'edge_scanner_light{light="broker"} 2.0',
        'edge_scanner_light{light="radio"} 0.0',
        'edge_scanner_mqtt_puback_total{code="no_subscribers"} 3.0',
        'edge_scanner_scan_recoveries_total{level="scanner"} 2.0',
        "edge_scanner_outbox_rows 0.0",
        "edge_scanner_clock_synced 1.0",
        "edge_scanner_snapshot_fresh 1.0",
        "edge_scanner_pulls_answered_total 0.0",
        "edge_scanner_level 0.0",
    } <= lines
    figures = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("edge_scanner_phones")}
    newest = snapshots.snapshot(venue=SLOW).week[-1]
    half = 2 * 2**0.5 * newest.scale / 60
    assert figures == pytest.approx(
        {
            "edge_scanner_phones": newest.figures["nearby"] / 60,
            "edge_scanner_phones_low": newest.figures["nearby"] / 60 - half,
            "edge_scanner_phones_high": newest.figures["nearby"] / 60 + half,
            "edge_scanner_phones_bin_start_seconds": newest.bin_start_s,
        }
    )


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
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with session.get(kiosk.url + "/events") as answer:
                    if answer.status == 200:
                        break
                await asyncio.sleep(0.2)


async def test_qr_codes(tmp_path: Path) -> None:
    """Both codes are SVG pictures; a venue without addresses has none."""
    bare = replace(SLOW, app_url="", app_name="", notice_url="")
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
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
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
    """SIGTERM ends the program with exit code 0 although pages are open."""
    async with running_kiosk(tmp_path, snapshots.snapshot(venue=SLOW)) as kiosk, aiohttp.ClientSession() as session:
        stream = events(session, kiosk.url + "/events")
        await anext(stream)
        kiosk.process.terminate()
        async with asyncio.timeout(PATIENCE_S):
            assert await kiosk.process.wait() == 0
