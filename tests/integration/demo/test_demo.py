"""What `make demo` prepares before its programs start: weeks of history, honestly made, and clear refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core import snapshot
from edge_scanner.core.counts import occupancy
from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.counts.occupancy import Thresholds
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.snapshot import VIET_NAM_OFFSET_S
from edge_scanner.demo import check, history, show
from edge_scanner.demo.centre import BoxTime
from edge_scanner.demo.stage import CENTRE_USER, Stage, next_opening_s
from edge_scanner.device.settings import DATABASE, Settings
from edge_scanner.device.simulation.crowd import bus_station
from edge_scanner.device.storage.store import open_reader
from tests.support import snapshots
from tests.support.box import Box
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import Report

NOW_S = 1_795_853_000.0
"""2026-11-28, a Saturday, 15:03 in Viet Nam."""
PLAN = bus_station(60, utc_offset_s=VIET_NAM_OFFSET_S)


async def _reports(state_dir: Path) -> list[Report]:
    async with open_reader(state_dir / DATABASE) as store:
        return [anonymise.from_release(release) for release in await store.releases(0.0)]


async def test_history_is_three_weeks_of_full_bins_with_noise(tmp_path: Path) -> None:
    """Each bin of both ledgers is there once and whole; the night is quiet, the evening busy, and noise shows."""
    end_s = next_opening_s(NOW_S)

    count = await history.store(Settings(), tmp_path / "state", PLAN, end_s=end_s)

    reports = await _reports(tmp_path / "state")
    assert count == len(reports) == 21 * (24 + 48)
    assert all(report.minutes_covered * 60 == report.bin_s for report in reports)
    assert max(report.bin_start_s + report.bin_s for report in reports) == end_s
    display = [report for report in reports if report.ledger == anonymise.DISPLAY]
    thresholds = Thresholds(moderate_from=29, busy_from=48)
    usual = occupancy.usual_day(display, thresholds, VIET_NAM_OFFSET_S, end_s)
    by_bin = [point.devices or 0 for point in usual]
    assert len(usual) == 48
    assert mean(by_bin[2:8]) < 12
    assert mean(by_bin[33:37]) > 45
    nights = {report.figures["nearby"] for report in display if (report.bin_start_s + 7 * 3600) % 86_400 < 4 * 3600}
    assert min(nights) < 0


async def test_history_of_one_seed_is_one_crowd_and_never_one_noise(tmp_path: Path) -> None:
    """The crowd repeats, so the two curves agree; the noise is drawn anew, so no figure can be told from the seed."""
    end_s = next_opening_s(NOW_S)
    for name in ("a", "b"):
        await history.store(Settings(), tmp_path / name, PLAN, end_s=end_s)

    pairs = list(zip(await _reports(tmp_path / "a"), await _reports(tmp_path / "b"), strict=True))

    differing = sum(a.figures["nearby"] != b.figures["nearby"] for a, b in pairs)
    assert differing > len(pairs) * 0.9
    assert abs(sum(a.figures["nearby"] - b.figures["nearby"] for a, b in pairs)) < 100 * len(pairs)


@pytest.mark.parametrize("minutes", [-1, 0, 1, 600])
def test_demo_opens_at_three_in_the_afternoon(minutes: int) -> None:
    """The box's time begins at the venue's next 15:00, never before now and less than a day later."""
    now_s = 1_795_852_800.0 + minutes * 60

    begins_s = next_opening_s(now_s)

    assert 0 <= begins_s - now_s < 86_400
    assert (begins_s + VIET_NAM_OFFSET_S) % 86_400 == 15 * 3600


async def test_simulated_box_goes_on_where_its_releases_end(tmp_path: Path) -> None:
    """A box with history up to a later hour begins there: no hour is lived through, or released, twice."""
    end_s = next_opening_s(time.time())
    with Box(tmp_path / "box") as box:
        await history.store(Settings(), box.state, PLAN, end_s=end_s)
        box.start("--simulate", "5", "--daily", "--speed", "120")
        commits = 1
        while not any(event["reports"] for event in box.until("minute committed", times=commits)):
            commits += 1
        box.stop()
        starts = [row[0] for row in box.rows("SELECT bin_start_s FROM release WHERE ledger = 'display'")]
        opened_s = box.rows("SELECT min(opened_s) FROM segment")[0][0]

    assert len(starts) == len(set(starts)) > 21 * 48
    assert opened_s >= end_s


def test_the_centre_lives_in_the_boxs_time(tmp_path: Path) -> None:
    """Its clock is the newest snapshot's, and neither a missing, a broken nor an older one sets it back."""
    path, first_s = tmp_path / "snapshot.json", snapshots.TUESDAY_S
    now = BoxTime(snapshot=path, newest_s=first_s)
    told = [now()]

    for document in (
        b"{",
        *(snapshot.to_json(snapshots.snapshot(at, reports=())) for at in (first_s + 60, first_s, first_s + 120)),
    ):
        path.write_bytes(document)
        told.append(now())

    assert told == [first_s, first_s, first_s + 60, first_s + 60, first_s + 120]


def test_missing_client_of_the_broker_is_one_line(tmp_path: Path) -> None:
    """Without mosquitto's client the demo says what to install, and leaves nothing behind."""
    command = [sys.executable, "-m", "edge_scanner.demo", "--seconds", "1"]
    environment = {**os.environ, "PATH": str(tmp_path), "TMPDIR": str(tmp_path)}

    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert "sudo apt-get install mosquitto" in done.stderr
    assert not list(tmp_path.glob("edge-scanner-demo-*"))


def test_the_demo_says_where_to_look_and_with_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """First come the pages, PIN and password, in both languages, whole in a pipe; then what the broker sees."""
    here = Stage(
        folder=tmp_path, device_id="K7MP2R9CX4", broker_port=1, kiosk_port=2, pin="48151623", begins_s=0, programs={},
        centre_port=3, centre_password="bon-tu-de-nho",
    )  # fmt: skip
    here.log("tail").write_text("edge-scanner/v1/d/K7MP2R9CX4/up/status {}\n")

    show.run(here, seconds=0.1)

    said = capsys.readouterr().out.splitlines()
    shown = dict(zip(said[::2], said[1::2], strict=False))
    assert shown["Trang cho khách · The venue's page"] == "  http://127.0.0.1:2/"
    assert shown["Trang vận hành · The operator's page"] == "  http://127.0.0.1:2/ops   PIN 48151623"
    centre = shown["Trang trung tâm, của bộ · The centre's page, the ministry's"]
    assert centre == f"  http://127.0.0.1:3/   tên · user {CENTRE_USER}   mật khẩu · password bon-tu-de-nho"
    assert shown["Mọi bản tin · Every message"].endswith("-t 'edge-scanner/v1/d/+/up/#' -F '%t %p'")
    assert said[-1] == "edge-scanner/v1/d/K7MP2R9CX4/up/status {}"


@pytest.mark.slow
def test_demo_checks_itself(tmp_path: Path) -> None:
    """`--check` finds log, counts and both pages within a simulated hour, in one table, and leaves nothing behind."""
    done = _demo(tmp_path, "--check")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.count("good") == len(check.CHECKS)
    assert all(name in done.stdout for name in check.CHECKS)
    assert not list(tmp_path.glob("edge-scanner-demo-*"))


def test_check_names_the_rows_that_are_not_good(tmp_path: Path) -> None:
    """When time is up before the hour is, the exit code is 69 and one line names the rows; the table says why."""
    done = _demo(tmp_path, "--check", "--seconds", "1")

    assert done.returncode == 69
    assert "counts at the broker" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "NOT GOOD" in done.stdout


def test_check_that_is_ended_by_hand_is_no_good_one(tmp_path: Path) -> None:
    """Ctrl-C ends the check at once with 130, and everything it had begun is gone."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    program = subprocess.Popen([sys.executable, "-m", "edge_scanner.demo", "--check"], env=environment)
    deadline = time.monotonic() + PATIENCE_S
    while not list(tmp_path.glob("edge-scanner-demo-*/mosquitto.log")):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    program.send_signal(signal.SIGINT)

    assert program.wait(PATIENCE_S) == 130
    assert not list(tmp_path.iterdir())


def test_check_ends_when_a_program_has_ended(tmp_path: Path) -> None:
    """A scanner that has died is said at once, with its last words, instead of waited for."""
    program = subprocess.Popen(["false"])
    program.wait()
    (tmp_path / "scanner.log").write_text("all well\nout of [red]memory\n")
    here = Stage(
        folder=tmp_path, device_id="K7MP2R9CX4", broker_port=1, kiosk_port=1, pin="1", begins_s=0,
        programs={"scanner": program},
    )  # fmt: skip

    with pytest.raises(UnavailableError, match="programs and broker"):
        check.run(here, deadline_s=time.monotonic() + 600)


def _demo(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_scanner.demo", *words]
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
