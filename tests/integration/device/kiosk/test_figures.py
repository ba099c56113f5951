"""The operator's figures: written by a real box, shown to who knows the PIN, and to nobody else."""

from __future__ import annotations

import csv
import io
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
