"""The operator's figures: written by a real box, shown to who knows the PIN, and to nobody else."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sqlite3
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import aiohttp

from edge_scanner.core import history
from edge_scanner.device.kiosk.figures import load
from tests.support import snapshots
from tests.support.box import Box
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_client import cookies, enter
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


async def test_nobody_without_the_pin_sees_a_figure(tmp_path: Path) -> None:
    """The page leads to the PIN and the table is refused; with the PIN both come."""
    (tmp_path / "history.json").write_bytes(history.to_json(snapshots.months(3)))
    async with running_kiosk(tmp_path, snapshots.snapshot()) as kiosk:
        async with aiohttp.ClientSession() as session:
            async with session.get(kiosk.url + "/ops/figures", allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/ops")
            async with session.get(kiosk.url + "/ops/figures.csv") as answer:
                assert answer.status == 401
        async with cookies() as session:
            assert await enter(session, kiosk) == 303
            async with session.get(kiosk.url + "/ops/figures", params={"month": "<b>"}) as answer:
                assert answer.status == 200
                assert "<b>2026" not in await answer.text()
            async with session.get(kiosk.url + "/ops/figures.csv") as answer:
                rows = list(csv.reader(io.StringIO(await answer.text())))
    assert len(rows) == 1 + 3 * 24


async def test_a_box_writes_what_it_released(tmp_path: Path) -> None:
    """After the first released hour the file is there, with its minutes and the noise of both halves."""
    with Box(tmp_path) as box:
        box.start("--simulate", "60", "--speed", "600")
        await eventually(lambda: load(box.runtime / "history.json").hours)
        assert box.stop() == 0
        found = load(box.runtime / "history.json").hours
    assert all(one.scale > 0 and 30 <= one.minutes <= 60 and one.parts == 2 for one in found)


async def test_a_box_finds_the_same_day_of_the_last_holiday(tmp_path: Path) -> None:
    """On a holiday of the settings, last year's hours of that day are handed to the page, and no other day's."""
    now = datetime.now(UTC) + timedelta(hours=7)
    today, then = now.date(), now.date() - timedelta(days=355)
    lines = [f"Tết {day - timedelta(days=1)} {day + timedelta(days=2)}" for day in (then, today)]
    midnight_s = int(datetime.combine(then, time(), UTC).timestamp()) - 7 * 3600
    with Box(tmp_path, extra=f"[kiosk]\nholidays = {json.dumps(lines, ensure_ascii=False)}\n") as box:
        box.start()
        await eventually((box.runtime / "snapshot.json").exists)
        box.stop()
        (box.runtime / "snapshot.json").unlink()
        with contextlib.closing(sqlite3.connect(box.database)) as database, database:
            database.executemany(
                "INSERT INTO hour (start_s, minutes, nearby, scale, parts) VALUES (?, 60, 900, 152.0, 2)",
                [(midnight_s + number * 3600,) for number in range(-2, 27)],
            )
        box.start()
        await eventually(lambda: load(box.runtime / "history.json").holiday)
        box.stop()
    holiday = load(box.runtime / "history.json").holiday
    assert [one.start_s for one in holiday] == [midnight_s + number * 3600 for number in range(24)]
