"""The units of installation day and renewal, as systemd itself reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge_scanner.core import errors
from edge_scanner.device.commands import enrol
from edge_scanner.device.enrolment import set_clock
from provisioning.bench import card
from tests.support.installed import program

UNITS = Path(__file__).parents[4] / "systemd"

SERVICES = ("edge-scanner-enrol.service", "edge-scanner-clock.service", "edge-scanner-renew.service")


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure(unit: str) -> None:
    """Installation day, its clock and renewal are as closed as the daemon."""
    command = [program("systemd-analyze"), "security", "--offline=true", "--threshold=15", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize("unit", [*SERVICES, "edge-scanner-clock.path", "edge-scanner-renew.timer"])
def test_every_line_is_understood(unit: str) -> None:
    """Only the program that is not installed here may be missing."""
    done = subprocess.run(
        [program("systemd-analyze"), "verify", str(UNITS / unit)], capture_output=True, text=True, check=False
    )

    ours = [line for line in done.stderr.splitlines() if "edge-scanner" in line]
    assert [line for line in ours if "is not executable: No such file or directory" not in line] == []


def test_a_box_that_was_cut_off_goes_on() -> None:
    """The unit looks for the file that is written last, not for one that an unfinished enrolment has already.

    With a card's folder in the box it does not look for a bench at all: two installations would run at once.
    """
    lines = (UNITS / "edge-scanner-enrol.service").read_text().splitlines()

    assert [line for line in lines if line.startswith("ConditionPathExists")] == [
        "ConditionPathExists=!/etc/edge-scanner/scanner.toml",
        f"ConditionPathExists=!/boot/firmware/{card.FOLDER}/assignment.json",
    ]


def test_no_crash_passes_for_a_good_end() -> None:
    """What a unit takes for success is a code of its own: not Python's for a crash, a wrong option's, or an error's."""
    taken = {
        unit.name: {int(code) for code in line.partition("=")[2].split()}
        for unit in UNITS.rglob("*.service")
        for line in unit.read_text(encoding="utf-8").splitlines()
        if line.startswith("SuccessExitStatus=")
    }
    ours = {kind.exit_code for kind in errors.EdgeScannerError.__subclasses__()} | {errors.EXIT_CRASH}

    assert taken == {
        "edge-scanner-enrol.service": set(enrol.EXIT_CODES.values()) - {0},
        "edge-scanner-renew.service": {errors.UnavailableError.exit_code},
    }
    assert not taken["edge-scanner-enrol.service"] & (ours | {1, 2})


def test_who_may_set_the_clock_speaks_to_nobody() -> None:
    """The network and the right over the clock are never in one unit; both name one file."""
    units = {name: (UNITS / name).read_text().splitlines() for name in (*SERVICES, "edge-scanner-clock.path")}
    may = [name for name, lines in units.items() if any("CAP_SYS_TIME" in line for line in lines)]

    assert may == ["edge-scanner-clock.service"]
    assert {"PrivateNetwork=yes", "RestrictAddressFamilies=none"} <= set(units["edge-scanner-clock.service"])
    assert {"ProtectClock=yes", "RuntimeDirectory=edge-scanner-enrol", "Wants=edge-scanner-clock.path"} <= set(
        units["edge-scanner-enrol.service"]
    )
    wish = f"/run/edge-scanner-enrol/{set_clock.FILE}"
    assert f"PathExists={wish}" in units["edge-scanner-clock.path"]
    program = "ExecStart=/opt/edge-scanner/bin/python3 -m edge_scanner.device.enrolment.set_clock"
    assert f"{program} {wish}" in units["edge-scanner-clock.service"]
