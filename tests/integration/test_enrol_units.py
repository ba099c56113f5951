"""The units of installation day and renewal, as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.mark.parametrize(("unit", "tenths"), [("edge-scanner-enrol.service", 20), ("edge-scanner-renew.service", 15)])
def test_exposure(unit: str, tenths: int) -> None:
    """Renewal is as closed as the daemon; installation day may set the clock, which costs 0.9 of its 1.9 points."""
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={tenths}", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize(
    "unit", ["edge-scanner-enrol.service", "edge-scanner-renew.service", "edge-scanner-renew.timer"]
)
def test_every_line_is_understood(unit: str) -> None:
    """Only the program that is not installed here may be missing."""
    done = subprocess.run(["systemd-analyze", "verify", str(UNITS / unit)], capture_output=True, text=True, check=False)

    ours = [line for line in done.stderr.splitlines() if "edge-scanner" in line]
    assert [line for line in ours if "is not executable: No such file or directory" not in line] == []


def test_a_box_that_was_cut_off_goes_on() -> None:
    """The unit looks for the file that is written last, not for one that an unfinished enrolment has already."""
    lines = (UNITS / "edge-scanner-enrol.service").read_text().splitlines()

    assert [line for line in lines if line.startswith("ConditionPathExists")] == [
        "ConditionPathExists=!/etc/edge-scanner/scanner.toml"
    ]
