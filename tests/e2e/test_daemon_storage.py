"""The real daemon on a disk in trouble: no crash loop, nothing acknowledged is lost, one clear line."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.box import Box
from tests.support.disks import fill, tmpfs
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

CROWD = ("--simulate", "20", "--speed", "600")


def _storage(box: Box) -> str:
    """The light of the storage on the screen."""
    snapshot = json.loads((box.runtime / "snapshot.json").read_text())
    return str(snapshot["health"]["lights"]["storage"]["light"])


@pytest.mark.system
def test_full_disk_is_waited_out(tmp_path: Path) -> None:
    """The disk fills up: one error line, minutes wait in memory; it is freed: they are all there, and it verifies."""
    with Box(tmp_path / "box") as box:
        box.state.mkdir(mode=0o700)
        with tmpfs(box.state, 3):
            box.start(*CROWD)
            box.until("minute committed", times=8)
            ballast = fill(box.state)
            deadline = time.monotonic() + PATIENCE_S
            while not box.events("commit failed, kept in memory"):
                assert time.monotonic() < deadline
                assert box.running
                time.sleep(0.05)
            while (shown := _storage(box)) == "ok":
                assert time.monotonic() < deadline
                time.sleep(0.1)
            ballast.unlink()
            committed = len(box.events("minute committed"))
            entries = box.until("minute committed", times=committed + 2)
            code = box.stop()
            verdict = json.loads(box.command("log", "verify", "--json").stdout)
            stored = box.rows("SELECT count(*) FROM frame")[0][0]

    assert code == 0
    assert len(box.events("commit failed, kept in memory")) == 1
    assert shown in {"warn", "fail"}
    assert max(entry["frames"] for entry in entries) > 1
    assert verdict["holds"]
    assert stored >= sum(entry["frames"] for entry in entries)


def test_damaged_database_is_set_aside_and_logging_goes_on(tmp_path: Path) -> None:
    """A database that is scratched while the daemon is down is kept under another name; the next run logs anew."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed", times=6)
        box.stop()
        content = bytearray(box.database.read_bytes())
        content[:200] = bytes(200)
        box.database.write_bytes(content)
        box.start(*CROWD)
        box.until("box is up", times=2)
        box.until("minute committed", times=14)
        box.stop()
        verdict = json.loads(box.command("log", "verify", "--json").stdout)
        status = json.loads(box.command("log", "status", "--json").stdout)

        shown = json.loads((box.runtime / "snapshot.json").read_text())

    # What was opened may stand in the file that was set aside: the screen does not say that nothing ever was.
    assert shown["opened_count"] is None
    assert len(status["set_aside"]) == 1
    assert verdict["holds"]
    assert verdict["lost"]
