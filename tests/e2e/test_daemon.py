"""The daemon as its users run it: real process, real mosquitto with mutual TLS, a simulated crowd."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import time
from pathlib import Path

import pytest

from edge_scanner.core import snapshot
from tests.support.box import Box, Collector
from tests.support.mosquitto import Mosquitto
from tests.support.schema_check import validate
from tests.support.tiers import part_and_whole
from tests.support.waiting import PATIENCE_S, eventually

ACL = (Path(__file__).parents[2] / "config" / "broker" / "acl").read_text()
QUARTERS = "[counts]\nbroker_bin_minutes = 15\ndisplay_bin_minutes = 15\n"
CROWD = ("--simulate", "40", "--speed", "600")
REPORTS = 8
"""So many must have arrived before the last run ends; how many the killed runs made is chance."""


def test_hour_of_a_crowd_is_logged_counted_and_published(tmp_path: Path) -> None:
    """Within simulated hours every kind of message arrives, each as its schema says, and the log verifies."""
    with (
        Mosquitto(tmp_path, listen="mutual", acl=ACL) as broker,
        Collector(broker, tmp_path) as collector,
        Box(tmp_path / "box", broker=broker) as box,
    ):
        box.start(*CROWD)
        collector.until("counts", times=3)
        code = box.stop()

        kinds = {validate(topic, payload)["kind"] for topic, payload in collector.messages}
        verdict = json.loads(box.command("log", "verify", "--json").stdout)
        committed = sum(entry["frames"] for entry in box.events("minute committed"))

    assert code == 0
    assert kinds == {"status", "boot", "counts", "checkpoint", "health"}
    assert verdict["holds"]
    # A machine that is too busy for ten minutes a second leaves some out: every one that was committed is there.
    assert verdict["frames"] == committed > 0


def test_three_sigterms_finish_the_open_minute(tmp_path: Path) -> None:
    """Three SIGTERMs in a row: exit 0, the segment ended, nothing pending."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed", times=5)

        assert box.stop(times=3) == 0
        assert box.rows("SELECT count(*) FROM leaf") == box.rows("SELECT count(*) FROM segment")


@pytest.mark.parametrize("kills", part_and_whole(10, 100))
def test_sigkills_lose_no_acknowledged_frame(tmp_path: Path, kills: int) -> None:
    """Killed at random moments, what a commit acknowledged is on the disk and the whole log still verifies.

    Every other run has committed a minute before, however slow the machine is.
    """
    chance = random.Random(20260)
    acknowledged = 0
    with Box(tmp_path / "box") as box:
        for run in range(kills):
            box.start(*CROWD)
            box.until("box is up", times=run + 1)
            if run % 2:
                box.until("minute committed", times=len(box.events("minute committed")) + 1)
            time.sleep(chance.uniform(0.0, 0.3))
            box.kill()
            acknowledged = sum(entry["frames"] for entry in box.events("minute committed"))
            (stored,) = box.rows("SELECT count(*) FROM frame")[0]
            assert stored >= acknowledged, f"run {run}"
        verdict = json.loads(box.command("log", "verify", "--json").stdout)

        assert verdict["holds"], verdict
        assert acknowledged >= kills // 2
        # A run that was killed before its first minute leaves no row.
        assert kills // 2 <= box.rows("SELECT count(*) FROM boot")[0][0] <= kills


@pytest.mark.parametrize("kills", part_and_whole(4, 20))
def test_every_committed_report_arrives_through_sigkills(tmp_path: Path, kills: int) -> None:
    """Box killed at random: no committed report is missing, and repeats have one key."""
    chance = random.Random(9)
    with (
        Mosquitto(tmp_path, listen="mutual", acl=ACL, options=f"persistence true\npersistence_location {tmp_path}/\n"
                  "autosave_interval 1\nautosave_on_changes true") as broker,
        Collector(broker, tmp_path) as collector,
        Box(tmp_path / "box", broker=broker, extra=QUARTERS) as box,
    ):  # fmt: skip
        for run in range(kills):
            box.start(*CROWD)
            box.until("box is up", times=run + 1)
            time.sleep(chance.uniform(0.5, 3.0))
            box.kill()
        box.start(*CROWD)
        box.until("box is up", times=kills + 1)
        deadline = time.monotonic() + PATIENCE_S
        while len(set(collector.keys("counts"))) < REPORTS and time.monotonic() < deadline:
            time.sleep(0.2)
        box.stop()
        released = {
            f"{box.device_id}/counts/{ledger}/{start}"
            for ledger, start in box.rows("SELECT ledger, bin_start_s FROM release WHERE ledger = 'broker'")
        }
        waiting = {key for (key,) in box.rows("SELECT key FROM outbox WHERE kind = 'counts'")}
        arrived = collector.keys("counts")

    assert len(set(arrived)) >= REPORTS
    assert released == set(arrived) | waiting
    bodies: dict[str, set[bytes]] = {}
    for topic, payload in collector.messages:
        if topic.endswith("/counts"):
            bodies.setdefault(json.loads(payload)["key"], set()).add(payload)
    assert all(len(same) == 1 for same in bodies.values())


def test_systemd_hears_ready_and_a_watchdog_per_commit(tmp_path: Path) -> None:
    """READY comes once, then WATCHDOG after commits; STATUS tells what was done."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, Box(tmp_path / "box") as box:
        channel.bind(str(path))
        channel.settimeout(PATIENCE_S)
        box.start(*CROWD, NOTIFY_SOCKET=str(path))
        heard = ""
        while "WATCHDOG=1" not in heard:
            heard += channel.recv(500).decode() + "\n"
        box.stop()

    assert "READY=1" in heard.split("WATCHDOG=1")[0]
    assert "STATUS=" in heard


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        ("[radio]\nmode = 3\n", 78, "[radio] mode"),
        ("[mqtt]\nhost = 'broker.example'\ntls = false\n", 78, "set tls = true"),
    ],
)
def test_wrong_settings_exit_78_with_one_line(tmp_path: Path, text: str, code: int, complaint: str) -> None:
    """A wrong configuration is one line on stderr and the exit code that keeps systemd from restarting."""
    with Box(tmp_path / "box") as box:
        box.config.write_text(box.config.read_text() + text)
        box.start(*CROWD)

        assert box.wait() == code
        assert complaint in box.journal.read_text()
        assert len(box.journal.read_text().splitlines()) == 1


def test_set_of_the_wrong_root_is_not_sealed_to(tmp_path: Path) -> None:
    """Recipients that somebody else signed are passed over: the box counts and seals nothing."""
    with Box(tmp_path / "box") as box, Box(tmp_path / "other") as other:
        (box.folder / "authority-root.pem").write_bytes(other.parties.root_pem)
        box.start(*CROWD)
        box.until("minute committed", times=2)

        assert box.stop() == 0
        assert not box.events("box is up")[0]["sealing"]
        assert box.rows("SELECT count(*) FROM frame") == [(0,)]


def test_log_that_others_may_read_is_not_written(tmp_path: Path) -> None:
    """A database with the wrong mode is said with the command that mends it; the box hears, and writes nothing."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed")
        box.stop()
        box.journal.unlink()
        box.database.chmod(0o644)
        before = box.database.read_bytes()
        shown = box.runtime / "snapshot.json"
        assert snapshot.from_json(shown.read_bytes()).opened_count == 0
        shown.unlink()
        box.start(*CROWD)
        said = box.until("the store cannot be opened: nothing is recorded")
        asyncio.run(eventually(shown.exists))

        # Who opened what stands in the file that is not read: the screen does not say that nobody did.
        assert snapshot.from_json(shown.read_bytes()).opened_count is None
        assert box.stop() == 0
        assert f"chmod 600 {box.database}" in said[0]["reason"]
        assert box.database.read_bytes() == before


def test_sigint_is_an_orderly_stop_too(tmp_path: Path) -> None:
    """Ctrl-C ends as SIGTERM does."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed", times=2)
        box.signal(signal.SIGINT)

        assert box.wait() == 0
