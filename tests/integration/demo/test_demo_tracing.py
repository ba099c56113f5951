"""`make demo-tracing`: the authority's night as a rehearsal, and that the rehearsal notices what goes wrong."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from edge_scanner.core.errors import UnavailableError
from edge_scanner.demo import evening, night
from edge_scanner.demo.night import Machine, Night, Step, UnexpectedError
from edge_scanner.demo.rehearsal import Rehearsal, Row
from edge_scanner.demo.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

HOUR_S, DAY_S = 3600, 86_400
MIDNIGHT_S = 1_795_737_600


@pytest.fixture
def played(tmp_path: Path) -> Night:
    """A night whose machines are folders, with the report that the planted patient should give."""
    here = Stage(folder=tmp_path, device_id="K7MP2R9CX4", broker_port=1, kiosk_port=2, pin="", begins_s=0, programs={})
    tonight = Night(here=here, evening=evening.plan(MIDNIGHT_S + 12 * HOUR_S))
    start_s, _ = tonight.evening.ordered_s
    tonight.heard = frozenset(range(start_s - 600, start_s + 600, 60))
    for machine in Machine:
        tonight.at(machine).mkdir()
    write_report(tonight, dict.fromkeys(tonight.expected, "case-1/1"))
    return tonight


def write_report(tonight: Night, found: dict[int, str], page: str = "<html></html>") -> None:
    """The officer's table of minutes, with the case found in each, and the page."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["case", "minute_utc"])
    writer.writerows([case, evening.utc(minute)] for minute, case in found.items())
    folder = tonight.at(Machine.OFFICER)
    (folder / "hcm-0417.csv").write_text(text.getvalue(), encoding="utf-8-sig")
    (folder / "hcm-0417.html").write_text(page, encoding="utf-8")


def judge(tonight: Night) -> str:
    """What the rehearsal says of the report."""
    report = next(step for step in night.NIGHT if " report " in step.command)
    return report.finds(tonight, "")


@pytest.mark.parametrize("hour", range(24))
def test_the_evening_is_over_and_lies_in_one_day(hour: int) -> None:
    """Whenever the rehearsal begins, its hours have passed and one day's key belongs to all of them."""
    now_s = MIDNIGHT_S + hour * HOUR_S

    start_s = evening.plan(now_s).start_s

    assert start_s + evening.LENGTH_S <= now_s
    assert start_s // DAY_S == (start_s + evening.LENGTH_S - 1) // DAY_S


def test_the_planted_minutes_within_the_order_pass(played: Night) -> None:
    """The report may name the minutes that were both heard and ordered."""
    assert len(played.expected) == 10
    assert "10" in judge(played)


def test_a_minute_too_many_is_noticed(played: Night) -> None:
    """A minute before the order, although the phone was there, must not have been opened."""
    start_s, _ = played.evening.ordered_s
    write_report(played, dict.fromkeys([*played.expected, start_s - 60], "case-1/1"))

    with pytest.raises(UnexpectedError, match="1 minute too many, 0 missing"):
        judge(played)


def test_a_case_that_was_elsewhere_is_noticed(played: Night) -> None:
    """The second case's phone was not in the hall."""
    write_report(played, dict.fromkeys(played.expected, "case-2/1"))

    with pytest.raises(UnexpectedError, match="another case"):
        judge(played)


def test_a_key_in_the_report_is_noticed(played: Night) -> None:
    """A patient's day key must not stand in what is kept."""
    page = f"<html>{played.evening.patient.key.hex()}</html>"
    write_report(played, dict.fromkeys(played.expected, "case-1/1"), page)

    with pytest.raises(UnexpectedError, match="key"):
        judge(played)


@pytest.mark.parametrize("code", [0, 77])
def test_a_step_that_ends_otherwise_ends_the_rehearsal(played: Night, code: int) -> None:
    """A command's exit code is held against the step's; the table says which step it was."""
    rehearsal = Rehearsal(console=Console(file=io.StringIO()), quiet=True, night=played)
    show = Step(
        at=Machine.OFFICER, vi="xem", en="look", command="edge-authority request show none --root none", code=code
    )

    with pytest.raises(UnavailableError, match="look"):
        rehearsal.play_steps((show, replace(show, en="never")))

    assert [(row.what, row.code, row.well) for row in rehearsal.rows] == [("xem / look", 74, False)]


def test_a_step_that_hangs_ends_the_rehearsal(played: Night) -> None:
    """A command that does not end is given up, and the table says so."""
    rehearsal = Rehearsal(console=Console(file=io.StringIO()), quiet=True, night=played, step_s=0.01)
    show = Step(at=Machine.OFFICER, vi="xem", en="look", command="edge-authority --help")

    with pytest.raises(UnavailableError, match="look"):
        rehearsal.play_steps((show,))

    assert [(row.code, row.well) for row in rehearsal.rows] == [(None, False)]


def test_only_a_whole_and_good_rehearsal_has_passed() -> None:
    """One step too few, or the last one not as it must be, is no pass."""
    rehearsal = Rehearsal(console=Console(file=io.StringIO()), quiet=True)
    row = Row(who="venue", what="told", code=None, found="", well=True)
    rehearsal.rows = [row] * (len(night.PREPARATION) + len(night.NIGHT))

    assert not rehearsal.passed
    rehearsal.rows = [*rehearsal.rows, replace(row, well=False)]
    assert not rehearsal.passed
    rehearsal.rows[-1] = row
    assert rehearsal.passed


@pytest.mark.slow
def test_the_whole_night_passes() -> None:
    """`--check` plays every step on the demo's box, finds the planted patient and nobody else, and says so."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_scanner.demo.tracing", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("✔") == len(night.PREPARATION) + len(night.NIGHT) + 1
    assert "nobody else" in " ".join(done.stdout.split())
