"""COMMAND `python -m tests.benchmarks.kiosk [--pages 50] [--snapshots 720]`: what the kiosk costs; prints, asserts
nothing.

An hour of the screen is 720 snapshots (one every 5 s); here they come as fast as the pages have taken the one before,
so that the hour passes in seconds with every document delivered. Page weight and first paint are Chromium's own
figures, the paint with its CPU slowed six times, which stands for a small board.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
from rich.progress import track

from tests.support import snapshots
from tests.support.chromium import chromium
from tests.support.kiosk import RunningKiosk, running_kiosk
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from collections.abc import Callable

# A short beat makes the kiosk look often, which is what compresses the hour.
VENUE_NOW = replace(VENUE, beat_s=0.25)
SLOWER = 6
_PAINTS = 5
_FINGERPRINT_MS = 1000


def say(line: str) -> None:
    """One line of the result."""
    print(line)  # noqa: T201 (a bench prints)


def rss_mb(process_id: int) -> float:
    """Resident memory of a process, MB."""
    pages = int(Path(f"/proc/{process_id}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def cpu_s(process_id: int) -> float:
    """CPU seconds a process has used."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def watch(session: aiohttp.ClientSession, url: str, seen: Callable[[], None]) -> None:
    """One open page: calls `seen` for each document until cancelled."""
    async with session.get(url, timeout=aiohttp.ClientTimeout(total=None)) as answer:
        async for line in answer.content:
            if line.startswith(b"event: document"):
                seen()


async def hour(kiosk: RunningKiosk, pages: int, number: int) -> None:
    """Feed `number` snapshots to `pages` open pages and print the kiosk's memory and CPU on the way."""
    process_id = kiosk.process.pid
    got = 0
    idle_mb = rss_mb(process_id)

    def seen() -> None:
        nonlocal got
        got += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(watch(session, kiosk.url + "/events", seen)) for _ in range(pages)]
        while got < pages:  # noqa: ASYNC110 (fifty readers count)
            await asyncio.sleep(0.02)
        memory = []
        begun_s, cpu_begun_s = time.monotonic(), cpu_s(process_id)
        for i in track(range(number), description=f"{number} snapshots to {pages} pages"):
            expected = got + pages
            # Each snapshot is a minute later, so that the document differs every time.
            kiosk.write(replace(snapshots.snapshot(TUESDAY_S, venue=VENUE_NOW), written_s=TUESDAY_S + 60.0 * i + 60))
            async with asyncio.timeout(20):
                while got < expected:  # noqa: ASYNC110 (fifty readers count)
                    await asyncio.sleep(0.005)
            if i % max(1, number // 12) == 0:
                memory.append(rss_mb(process_id))
        memory.append(rss_mb(process_id))
        used_s = cpu_s(process_id) - cpu_begun_s
        for reader in readers:
            reader.cancel()
    say(f"kiosk RSS before pages      {idle_mb:6.1f} MB")
    say(f"kiosk RSS along the way     {' '.join(f'{mb:.1f}' for mb in memory)} MB")
    say(f"second half of the hour     {memory[-1] - memory[len(memory) // 2]:+6.2f} MB")
    took_s = time.monotonic() - begun_s
    say(f"CPU per snapshot            {1000 * used_s / number:6.1f} ms ({pages} pages; {number} in {took_s:.0f} s)")


async def page(kiosk: RunningKiosk) -> None:
    """Print the page's weight and its first paint at full speed and slowed."""
    async with chromium() as browser:
        for slower in (1, SLOWER):
            paints = []
            weight: dict[str, int] = {}
            for _ in range(_PAINTS):
                context = await browser.new_context(viewport={"width": 1920, "height": 1080})
                tab = await context.new_page()
                session = await context.new_cdp_session(tab)
                await session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
                await tab.goto(kiosk.url)
                await tab.locator("#chart canvas").wait_for()
                await tab.wait_for_timeout(_FINGERPRINT_MS)
                paint = await tab.evaluate(
                    "performance.getEntriesByType('paint').find((e) => e.name === 'first-contentful-paint').startTime"
                )
                paints.append(float(paint))
                found = await tab.evaluate(
                    "JSON.stringify([...performance.getEntriesByType('navigation'), "
                    "...performance.getEntriesByType('resource')].map((e) => [e.name, e.encodedBodySize]))"
                )
                weight = {name.rsplit("/", 1)[-1] or "page": size for name, size in json.loads(found)}
                await context.close()
            say(f"first contentful paint, CPU 1/{slower}: {', '.join(f'{ms:.0f}' for ms in sorted(paints))} ms")
        say(f"page weight                 {sum(weight.values()) / 1000:6.1f} kB: {weight}")


async def main(pages: int, number: int) -> None:
    """Run both parts against one kiosk."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_kiosk(Path(folder), snapshots.snapshot(venue=replace(VENUE, beat_s=3600.0))) as kiosk:
            await page(kiosk)
        async with running_kiosk(Path(folder), snapshots.snapshot(venue=VENUE_NOW)) as kiosk:
            await hour(kiosk, pages, number)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=int, default=50)
    arguments.add_argument("--snapshots", type=int, default=720)
    chosen = arguments.parse_args()
    asyncio.run(main(chosen.pages, chosen.snapshots))
