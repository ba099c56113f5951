"""Released hours for two years: added up once, bounded, carried over from an older schema and a damaged file."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.counts.hours import KEPT_HOURS, Hour
from edge_scanner.core.counts.release import to_release
from edge_scanner.core.errors import RefusedError
from edge_scanner.core.model import Batch, Release, Report
from edge_scanner.device.commands.figures import run_figures, start
from edge_scanner.device.storage import database
from edge_scanner.device.storage import files as storefiles
from edge_scanner.device.storage import statements as sql
from edge_scanner.device.storage.store import StoreLimits, open_store
from tests.support import powercut
from tests.support.stored import filled

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86_400
FIRST_S = 1_795_478_400
"""24 November 2026, midnight UTC."""
DAMAGED = Release(ledger="display", bin_start_s=7, body=b"{")
VIET_NAM = timezone(timedelta(hours=7))


def half_hour(number: int, nearby: int = 300, *, ledger: str = "display") -> Release:
    """The `number`th half hour, in which ten phones were present."""
    return to_release(
        Report(
            ledger=ledger, bin_start_s=FIRST_S + 1800 * number, bin_s=1800, minutes_covered=30, epsilon=0.8638,
            scale=187.0, parts=1, figures={"nearby": nearby},
        )
    )  # fmt: skip


async def hours(path: Path, **limits: int) -> list[Hour]:
    """What is kept."""
    async with open_store(path, limits=StoreLimits(**limits)) as store:
        return await store.hours(0, 1 << 40)


async def test_hours_are_the_sums_of_their_bins(path: Path) -> None:
    """The screen's bins once each, also when a batch comes again or in two; nothing of the broker's."""
    async with open_store(path) as store:
        first = Batch(releases=(half_hour(0, 300), half_hour(0, 999, ledger="broker"), DAMAGED))
        for batch in (first, first, Batch(releases=(half_hour(1, -40), half_hour(2)))):
            await store.commit(batch)
        found = await store.hours(FIRST_S, FIRST_S + DAY_S)
        assert await store.hours(FIRST_S + 3600, FIRST_S + 3600) == []
    assert found == [
        Hour(start_s=FIRST_S, minutes=60, nearby=260, scale=187.0, parts=2),
        Hour(start_s=FIRST_S + 3600, minutes=30, nearby=300, scale=187.0, parts=1),
    ]


async def test_two_years_are_kept_and_no_more(path: Path) -> None:
    """The oldest by order of insertion goes; releases may be gone long before."""
    async with open_store(path, limits=StoreLimits(hours=24, releases=10)) as store:
        for number in range(0, 60, 2):
            await store.commit(Batch(releases=(half_hour(number), half_hour(number + 1))))
        kept = await store.hours(0, 1 << 40)
    assert [one.start_s for one in kept] == [FIRST_S + 3600 * number for number in range(6, 30)]
    assert {one.parts for one in kept} == {2}


async def test_two_years_are_kilobytes(path: Path) -> None:
    """17,544 hours take less than a megabyte."""
    await filled(path, 1)
    before = path.stat().st_size
    db = sqlite3.connect(path)
    rows = [(FIRST_S + 3600 * number, 60, 1234, 187.163, 2) for number in range(KEPT_HOURS)]
    db.executemany("INSERT INTO hour(start_s, minutes, nearby, scale, parts) VALUES (?, ?, ?, ?, ?)", rows)
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    assert path.stat().st_size - before < 1_000_000


async def test_an_older_schema_gives_the_hours_it_still_knows(path: Path) -> None:
    """A database of the first schema: its releases become hours, whatever else they are."""
    path.parent.mkdir(mode=0o700)
    storefiles.create(path)
    db = sqlite3.connect(path)
    for pragma in sql.PRAGMAS:
        db.execute(pragma)
    db.executescript(sql.migration(1, sql.migrations()[0]))
    old = (half_hour(0), half_hour(1), half_hour(2), half_hour(3, ledger="broker"), DAMAGED)
    db.executemany(
        "INSERT INTO release(ledger, bin_start_s, body) VALUES (?, ?, ?)",
        [(one.ledger, one.bin_start_s, one.body) for one in old],
    )
    db.commit()
    db.close()
    assert [(one.start_s, one.nearby, one.parts) for one in await hours(path)] == [
        (FIRST_S, 600, 2), (FIRST_S + 3600, 300, 1),
    ]  # fmt: skip


async def test_a_damaged_database_leaves_its_hours(path: Path) -> None:
    """Hours that can be read are carried over, those that only the releases still know are added up anew."""
    async with open_store(path) as store:
        await store.commit(Batch(releases=tuple(map(half_hour, range(8)))))
    db = sqlite3.connect(path)
    db.execute("DELETE FROM hour WHERE start_s = ?", (FIRST_S + 3600,))
    db.execute("UPDATE hour SET nearby = 4321 WHERE start_s = ?", (FIRST_S,))
    db.commit()
    db.close()
    database.replace(path)
    assert [(one.start_s - FIRST_S, one.nearby) for one in await hours(path)] == [
        (0, 4321), (3600, 600), (7200, 600), (10_800, 600),
    ]  # fmt: skip


def test_the_power_goes(tmp_path: Path) -> None:
    """At any instant the hours are the sums of the releases that are there, and every acknowledged bin is."""
    recording = tmp_path / "recording"
    recording.mkdir()
    events = powercut.record(recording, [Batch(releases=(half_hour(number),)) for number in range(30)])
    for number, (acknowledged, files) in enumerate(powercut.cuts(events, 60, random.Random(16))):
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o700)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
        database.ready(folder / "log.db")
        assert not storefiles.aside(folder / "log.db")
        db = sqlite3.connect(folder / "log.db")
        bins = db.execute("SELECT count(*) FROM release").fetchone()[0]
        parts = [row[0] for row in db.execute("SELECT parts FROM hour ORDER BY start_s")]
        db.close()
        assert bins >= acknowledged
        assert parts == [2] * (bins // 2) + [1] * (bins % 2)


def test_figures_of_days(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Days of the venue's time with their intervals; months, hours and CSV of the same; nothing is said plainly."""

    async def fill() -> None:
        async with open_store(path) as store:
            await store.commit(Batch(releases=tuple(half_hour(number, 1200) for number in range(48))))

    asyncio.run(fill())
    now_s = FIRST_S + 86_400.0
    run_figures(database=path, zone=VIET_NAM, days=2, as_csv=True, now_s=now_s)
    assert capsys.readouterr().out.splitlines() == [
        "start_utc,start_local,minutes_covered,phones,low,high",
        "2026-11-23T17:00:00Z,2026-11-24 00:00,1020,40.0,34.9,45.1",
        "2026-11-24T17:00:00Z,2026-11-25 00:00,420,40.0,32.2,47.8",
    ]
    run_figures(database=path, zone=VIET_NAM, days=2, by="month", now_s=now_s)
    assert "2026-11" in (table := capsys.readouterr().out)
    assert "40 ± 4" in table
    run_figures(database=path, zone=VIET_NAM, days=2, by="hour", as_json=True, now_s=now_s)
    assert capsys.readouterr().out.count('"phones": 40.0') == 24
    with pytest.raises(RefusedError, match="nothing was released in 3 days"):
        run_figures(database=path, zone=VIET_NAM, days=3, now_s=now_s + 30 * DAY_S)


def test_a_month_begins_at_the_venue() -> None:
    """Days and months are the venue's, hours their own."""
    assert start(FIRST_S, UTC, "month") == FIRST_S - 23 * DAY_S
    assert start(FIRST_S, VIET_NAM, "day") == FIRST_S - 7 * 3600
    assert start(FIRST_S, VIET_NAM, "hour") == FIRST_S
