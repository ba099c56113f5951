"""What the units start loads what it uses and nothing else: all of it stays in a box's memory for months."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core import operator_pin
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEOPLES = {"typer", "click", "rich.console", "pydantic", "pydantic_core", "pygments", "prompt_toolkit"}
"""Libraries that draw and read command lines. `rich` itself is asked for by structlog and refused (journal.py)."""
FORBIDDEN = {
    "run": PEOPLES | {"aiohttp", "segno", "prometheus_client", "urllib.request", "http.client", "email.message"},
    "kiosk": PEOPLES | {"cryptography", "bleak", "dbus_fast", "paho", "aiosqlite", "sqlite3"},
    "renew": PEOPLES | {"aiohttp", "segno", "bleak", "dbus_fast", "aiosqlite", "sqlite3"},
    "pin": PEOPLES | {"cryptography", "bleak", "dbus_fast", "paho", "aiosqlite", "asyncio", "structlog", "sqlite3"},
    "clock": PEOPLES | {"cryptography", "bleak", "paho", "aiosqlite", "asyncio", "msgspec", "structlog", "sqlite3"},
}
OURS = {
    "run": {"device.kiosk", "device.replay", "device.doctor", "device.simulation", "device.cli", "device.commands"}
    | {"core.enrolment.documents", "core.home_assistant", "device.daemon.alarm_mail", "device.daemon.local_mqtt"},
    "kiosk": {"device.storage", "device.radio", "device.central", "device.cli", "device.settings", "protocols"},
    "renew": {"device.kiosk", "device.storage", "device.radio", "device.replay", "device.doctor", "device.cli"},
    "pin": {"device.kiosk", "device.storage", "device.radio", "device.central", "device.cli", "protocols", "mqtt"},
    "clock": {"device.kiosk", "device.storage", "device.radio", "device.cli", "device.settings", "mqtt"},
}
"""Rooms of ours that a unit has no business in."""
MODULES = {"run": 305, "kiosk": 250, "renew": 170}
"""At most so many beside the standard library's: each costs a start 0.5 to 1 ms (docs/measurements.md, *Start*)."""
STANDARD = {name.lstrip("_") for name in sys.stdlib_module_names}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A box without radio and broker: its bus is not there."""
    for name in ("state", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    file = tmp_path / "scanner.toml"
    file.write_text(
        f'[device]\nstate_dir = "{tmp_path}/state"\nruntime_dir = "{tmp_path}/run"\n[kiosk]\nport = {free_port()}\n'
    )
    return file


def _modules(lines: Iterator[str], until: str) -> set[str]:
    """What `-X importtime` names up to a line of the program's own."""
    found: set[str] = set()
    for line in lines:
        if line.startswith("import time: self"):  # a new interpreter: the settings' reader has become the kiosk
            found.clear()
        elif name := re.fullmatch(r"import time: +\d+ \| +\d+ \| +(\S+)\n", line):
            found.add(name[1])
        elif until in line:
            return found
    raise AssertionError(f"ended before {until!r}")


def _loaded(command: list[str], until: str, folder: Path) -> set[str]:
    environment = os.environ | {
        "PYTHONPROFILEIMPORTTIME": "1",
        "PYTHONUNBUFFERED": "1",
        "JOURNAL_STREAM": "8:1",
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/no-bus",
    }
    with subprocess.Popen(
        [sys.executable, *command], stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            return _modules(process.stdout, until)
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("unit", "until"), [("run", "box is up"), ("kiosk", "the kiosk is ready"), ("renew", "edge-scanner: ")]
)
def test_a_unit_loads_what_it_uses(settings: Path, tmp_path: Path, unit: str, until: str) -> None:
    """From its start until it does its work, whatever is imported late included."""
    loaded = _loaded(["-m", "edge_scanner.device.unit", unit, str(settings)], until, tmp_path)

    assert loaded & FORBIDDEN[unit] == set()
    assert {room for room in OURS[unit] if f"edge_scanner.{room}" in loaded} == set()
    outside = {name for name in loaded if name.split(".")[0].lstrip("_") not in STANDARD}
    assert len(outside) <= MODULES[unit], sorted(outside)


def test_the_clocks_unit_loads_next_to_nothing(tmp_path: Path) -> None:
    """It holds a right over the machine: the less code the better."""
    loaded = _loaded(
        ["-m", "edge_scanner.device.enrolment.set_clock", str(tmp_path / "no")], "edge-scanner: ", tmp_path
    )

    assert loaded & FORBIDDEN["clock"] == set()
    assert {room for room in OURS["clock"] if f"edge_scanner.{room}" in loaded} == set()


def test_the_pins_unit_hands_over_the_hash_and_nothing_else(settings: Path, tmp_path: Path) -> None:
    """Its output is the page's credential: empty without a PIN, and with a file that is none, or a pipe."""
    line = operator_pin.hash_pin("481516", bytes(operator_pin.SALT_BYTES)) + "\n"
    pin = tmp_path / "ops-pin"
    with settings.open("a") as file:
        file.write(f'ops_pin_file = "{pin}"\n')
    command = [sys.executable, "-m", "edge_scanner.device.unit", "pin", str(settings)]

    def handed() -> tuple[int, str]:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        assert done.stderr.count("\n") == bool(done.returncode)
        return done.returncode, done.stdout

    assert handed() == (0, "")
    pin.write_text(line)
    assert handed() == (0, line)
    pin.write_text("root:secret\n")
    assert handed() == (78, "")
    pin.unlink()
    os.mkfifo(pin)
    assert handed() == (78, "")


def test_a_wrong_word_is_answered_with_the_usage() -> None:
    """Units are written by us; who edits one finds out at once."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_scanner.device.unit", "dance"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (
        2,
        "usage: python3 -m edge_scanner.device.unit run|kiosk|pin|renew FILE\n",
    )
