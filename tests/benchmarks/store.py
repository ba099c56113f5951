"""What the database costs: a commit against bare sqlite3 (syncs apart), 14 days, starts, and a day on the card.

The day runs accelerated, 1,440 commits in a row on an ext4 of its own (loop device, root or sudo), after 14 days were
put there; bytes, writes and flushes are the block device's own counters. Real time lets the kernel's write-back add a
little; the count of commits, and so of flushes, is the same.

Run: `python -m tests.benchmarks.store`, or `--commits 100 --json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from edge_scanner.device.storage import database, files
from edge_scanner.device.storage import statements as sql
from edge_scanner.device.storage.store import open_store
from tests.support.batches import SEGMENT_FRAMES, batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RETENTION_HOURS = 14 * 24
DAY_MINUTES = 1440
IMAGE_MB = 400
MEMORY = Path("/dev/shm")
"""Where commits are compared: there a sync costs nothing, and what remains is the program."""
TURNS = 5
"""Store and bare sqlite3 take turns, so that a busy machine is busy for both."""
SECTOR = 512


async def commit_times(path: Path, commits: int) -> list[float]:
    """Milliseconds of each one-minute commit through the store."""
    times = []
    async with open_store(path) as store:
        for minute in range(commits):
            given = batch([minute])
            begin = time.perf_counter()
            await store.commit(given)
            times.append((time.perf_counter() - begin) * 1000)
    return times


def bare_commit_times(path: Path, commits: int) -> list[float]:
    """The same statements through sqlite3 without a thread or a loop."""
    files.check(path)
    database.ready(path)
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in sql.PRAGMAS:
        db.execute(pragma)
    times = []
    for minute in range(commits):
        given = batch([minute])
        begin = time.perf_counter()
        db.execute(sql.BEGIN)
        for statement in sql.statements(given, sql.StoreLimits()):
            db.executemany(statement.sql, statement.rows)
        db.execute(sql.COMMIT)
        times.append((time.perf_counter() - begin) * 1000)
    db.close()
    return times


async def fill(path: Path) -> None:
    """Fourteen days, an hour at a time, all delivered."""
    async with open_store(path) as store:
        for hour in range(RETENTION_HOURS):
            await store.commit(batch(range(hour * SEGMENT_FRAMES, (hour + 1) * SEGMENT_FRAMES)))
            await store.delete(row.id for row in await store.oldest(100))


async def one_more_day(path: Path) -> list[float]:
    """A commit a minute, deletion every hour, delivery every hour; milliseconds of the commits that delete."""
    deleting = []
    async with open_store(path) as store:
        first = RETENTION_HOURS * SEGMENT_FRAMES
        for minute in range(first, first + DAY_MINUTES):
            drop = minute // SEGMENT_FRAMES - RETENTION_HOURS if minute % SEGMENT_FRAMES == 0 else None
            given = batch([minute], drop_segments_before=drop)
            begin = time.perf_counter()
            await store.commit(given)
            if drop is not None:
                deleting.append((time.perf_counter() - begin) * 1000)
                await store.delete(row.id for row in await store.oldest(100))
    return deleting


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def quick_check(path: Path) -> None:
    """The whole-file check that a start does not do."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA quick_check").fetchall()
    db.close()


@contextmanager
def own_ext4(folder: Path) -> Iterator[tuple[Path, str]]:
    """A mounted ext4 in a file: (mount point, name of its loop device)."""
    image, mount = folder / "card.img", folder / "card"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_MB << 20)
    _run("mkfs.ext4", "-q", str(image))
    device = _run("losetup", "--find", "--show", str(image)).strip()
    try:
        _run("mount", device, str(mount))
        try:
            _run("chown", str(os.getuid()), str(mount))
            yield mount, Path(device).name
        finally:
            _run("umount", str(mount))
    finally:
        _run("losetup", "--detach", device)


def counters(device: str) -> tuple[int, int, int]:
    """(writes, bytes written, flushes) of a block device so far (Linux, Documentation/block/stat.rst)."""
    fields = Path(f"/sys/block/{device}/stat").read_text().split()
    return int(fields[4]), int(fields[6]) * SECTOR, int(fields[15])


def _run(*command: str) -> str:
    prefix = () if os.geteuid() == 0 else ("sudo", "-n")
    return subprocess.run([*prefix, *command], check=True, capture_output=True, text=True).stdout


def card(folder: Path) -> dict[str, float]:
    """What a day costs the card; an empty answer where nothing can be mounted."""
    try:
        with own_ext4(folder) as (mount, device):
            path = mount / "state" / "log.db"
            asyncio.run(fill(path))
            os.sync()
            before = counters(device)
            deleting = asyncio.run(one_more_day(path))
            os.sync()
            after = counters(device)
            size = path.stat().st_size
    except (subprocess.CalledProcessError, FileNotFoundError):
        return {}
    writes, written, flushes = (now - then for now, then in zip(after, before, strict=True))
    return {
        "device_mb_per_day": round(written / 1e6, 1),
        "device_writes_per_day": writes,
        "device_flushes_per_day": flushes,
        "slowest_deleting_commit_ms": round(max(deleting), 1),
        "mb_after_another_day": round(size / 1e6, 1),
    }


def measure(commits: int) -> dict[str, float]:
    """All figures, by name with unit."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name:
        through_store: list[float] = []
        bare: list[float] = []
        for turn in range(TURNS):
            folder = Path(name) / str(turn)
            folder.mkdir()
            through_store += asyncio.run(commit_times(folder / "store" / "log.db", commits // TURNS))
            bare += bare_commit_times(folder / "bare" / "log.db", commits // TURNS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "log" / "log.db"
        asyncio.run(fill(path))
        return {
            "commit_store_ms": round(statistics.median(through_store), 2),
            "commit_sqlite3_ms": round(statistics.median(bare), 2),
            "mb_for_14_days": round(path.stat().st_size / 1e6, 1),
            "start_ms": round(timed(lambda: database.ready(path)), 1),
            "quick_check_ms": round(timed(lambda: quick_check(path)), 1),
            **card(folder),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=300, help="one-minute commits to time (300)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    columns = (SpinnerColumn(), TextColumn("14 days, then a day commit by commit"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task("")
        figures = measure(options.commits)
    if options.json:
        print(json.dumps(figures))  # noqa: T201 (the result is the output)
        return
    table = Table("figure", "value", box=None, header_style="bold")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
