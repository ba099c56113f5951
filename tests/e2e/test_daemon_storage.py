"""The real daemon on a disk in trouble: no crash loop, nothing acknowledged is lost, one clear line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device import site_factor
from tests.support.box import Box, Collector
from tests.support.disks import bound, fill, read_only, tmpfs, without_end
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

CROWD = ("--simulate", "20", "--speed", "600")


@pytest.mark.system
def test_full_disk_is_waited_out(tmp_path: Path) -> None:
    """The disk fills up: one error line, minutes wait in memory; it is freed: they are all there, and it verifies."""
    with Box(tmp_path / "box") as box:
        box.state.mkdir(mode=0o700)
        with tmpfs(box.state, 3):
            box.start(*CROWD)
            box.until("minute committed", times=8)
            ballast = fill(box.state)
            box.until("commit failed, kept in memory")
            until(lambda: box.light("storage")[0] in {"warn", "fail"})
            ballast.unlink()
            committed = len(box.events("minute committed"))
            entries = box.until("minute committed", times=committed + 2)
            code = box.stop()
            verdict = json.loads(box.command("log", "verify", "--json").stdout)
            stored = box.rows("SELECT count(*) FROM frame")[0][0]

    assert code == 0
    assert len(box.events("commit failed, kept in memory")) == 1
    assert max(entry["frames"] for entry in entries) > 1
    assert verdict["holds"]
    assert stored >= sum(entry["frames"] for entry in entries)


@pytest.mark.parametrize("what", ["endless", "pipe", "folder"])
def test_a_site_factor_that_is_no_file_is_passed_over(tmp_path: Path, what: str) -> None:
    """A damaged directory entry: the box says so and counts without it."""
    with Box(tmp_path / "box") as box:
        box.state.mkdir(mode=0o700)
        path = box.state / site_factor.FILE_NAME
        path.mkdir() if what == "folder" else without_end(path, what)
        box.start(*CROWD)
        box.until("site factor is damaged, calibrate again")
        box.until("minute committed")
        assert box.stop() == 0


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


@pytest.mark.system
def test_a_mount_that_comes_back_heals(tmp_path: Path) -> None:
    """The state's partition is not there and what is below cannot be written: one line and 74, again and again.

    systemd starts such a box anew, slowly; once the mount is back the same log goes on, with nothing of those lives.
    """
    card, store = tmp_path / "card", tmp_path / "store"
    with Box(tmp_path / "box") as box:
        # The name is on that disk, too: without it there is nobody to stand by as.
        named = box.config.read_text().replace(f'id = "{box.device_id}"\n', "")
        box.config.write_text(named.replace(str(box.state), str(card / "state")))
        box.state = card / "state"
        for folder in (card, store):
            folder.mkdir()
        with bound(store, card):
            box.start(*CROWD)
            box.until("minute committed", times=3)
            assert box.stop() == 0
        with read_only(card):
            for _ in range(2):
                before = len(box.journal.read_text().splitlines())
                box.start(*CROWD)
                assert box.wait() == 74
                assert len(box.journal.read_text().splitlines()) == before + 1
        assert not list(card.iterdir())
        committed = len(box.events("minute committed"))
        with bound(store, card):
            box.start(*CROWD)
            box.until("minute committed", times=committed + 3)
            assert box.stop() == 0
            verdict = json.loads(box.command("log", "verify", "--json").stdout)
            lives = box.rows("SELECT count(*) FROM boot")[0][0]

    assert verdict["holds"]
    assert not verdict["lost"]
    assert lives == 2


def test_a_page_that_cannot_be_written_is_told_to_the_centre(tmp_path: Path) -> None:
    """The page has gone dark, so the health message says why; with the folder the page comes back, and is well."""

    def told() -> list[tuple[str, str]]:
        bodies = [json.loads(payload) for topic, payload in collector.messages if topic.endswith("/health")]
        return [(light["light"], light["code"]) for light in (body["lights"]["storage"] for body in bodies)]

    with (
        Mosquitto(tmp_path, listen="mutual") as broker,
        Collector(broker, tmp_path) as collector,
        Box(tmp_path / "box", broker=broker) as box,
    ):
        box.runtime.rmdir()
        box.start(*CROWD)
        until(lambda: ("warn", "STO-06") in told())
        box.runtime.mkdir()
        box.until_light("storage", ("ok", ""))
        until(lambda: told()[-1][0] == "ok")
        assert box.stop() == 0
