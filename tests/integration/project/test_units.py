"""The systemd units: how exposed they are and what they may touch, as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_scanner.central import cli
from edge_scanner.core.errors import (
    BadDataError,
    ConfigurationError,
    DamagedError,
    RefusedError,
    RestartError,
    StorageError,
    UnavailableError,
)
from tests.support.installed import program

UNITS = Path(__file__).parents[3] / "systemd"
CENTRAL = sorted(path.relative_to(UNITS).as_posix() for path in UNITS.glob("central/*.service"))
SERVICES = [*sorted(path.name for path in UNITS.glob("edge-scanner*.service")), *CENTRAL]
LISTED = "is not executable: No such file or directory"


@pytest.fixture
def analyze() -> str:
    """The path of systemd-analyze."""
    return program("systemd-analyze")


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure(analyze: str, unit: str) -> None:
    """Every service stays at 1.5 or below."""
    command = [analyze, "security", "--offline=true", "--threshold=15", str(UNITS / unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize("unit", SERVICES)
def test_verify(analyze: str, unit: str) -> None:
    """Systemd understands every line; only programs that are not installed here may be missing."""
    done = subprocess.run([analyze, "verify", str(UNITS / unit)], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if "edge-scanner" in line or "edge-central" in line]
    assert [line for line in ours if LISTED not in line] == []


@pytest.mark.parametrize("unit", CENTRAL)
def test_the_centres_units_run_the_centres_commands(unit: str) -> None:
    """Each as its own user; what only a person can mend is not tried again, and everything else is."""
    lines = (UNITS / unit).read_text(encoding="utf-8").splitlines()
    (started,) = [line for line in lines if line.startswith("ExecStart=")]
    named = {command.name or getattr(command.callback, "__name__", "") for command in cli.app.registered_commands}
    (kept_down,) = [line.partition("=")[2] for line in lines if line.startswith("RestartPreventExitStatus=")]
    a_persons = {error.exit_code for error in (BadDataError, RefusedError, ConfigurationError)}
    passing = {error.exit_code for error in (UnavailableError, StorageError, DamagedError, RestartError)}

    assert started.split()[1] in named
    assert Path(unit).stem == f"edge-central-{started.split()[1]}"
    assert {"User=edge-central", "StateDirectory=edge-central", "Restart=on-failure"} <= set(lines)
    assert {int(code) for code in kept_down.split()} == a_persons
    assert not a_persons & passing


def test_the_centre_has_its_three_services() -> None:
    """The glob above finds them."""
    assert [Path(unit).stem for unit in CENTRAL] == [f"edge-central-{one}" for one in ("collect", "serve", "time")]


def test_screen_leaves_its_control_group_to_nobody() -> None:
    """A session of logind would take the browser out of the unit, and with it every limit of memory and network."""
    lines = (UNITS / "edge-scanner-screen.service").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line.startswith("PAMName=")]
    assert {"IPAddressDeny=any", "IPAddressAllow=localhost", "PrivateUsers=yes", "RestrictNamespaces=yes"} <= set(lines)
    assert any("/run/dbus" in line for line in lines if line.startswith("InaccessiblePaths="))


def test_scanner_may_ask_who_keeps_the_clock_and_not_set_it() -> None:
    """The kernel's word on NTP needs a call that ProtectClock= forbids; setting a clock needs a right it has not."""
    lines = set((UNITS / "edge-scanner.service").read_text(encoding="utf-8").splitlines())
    assert {"SystemCallFilter=adjtimex clock_adjtime", "CapabilityBoundingSet=", "PrivateDevices=yes"} <= lines
    assert "ProtectClock=yes" not in lines


def test_what_the_scanner_hears_stays_in_its_memory() -> None:
    """No core dump, no swap where the kernel can lock; what ended starts again, slowly, unless a human must act."""
    lines = set((UNITS / "edge-scanner.service").read_text(encoding="utf-8").splitlines())
    assert {"LimitCORE=0", "CoredumpFilter=0", "LimitMEMLOCK=infinity"} <= lines
    assert {"Restart=always", "RestartSec=15", "RestartPreventExitStatus=78"} <= lines


def test_who_resets_the_adapter_may_do_nothing_else() -> None:
    """Two kinds of device and no right of root's; the file that the scanner writes is what starts it."""
    lines = (UNITS / "edge-scanner-adapter.service").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("DeviceAllow=")] == [
        "DeviceAllow=/dev/rfkill w",
        "DeviceAllow=char-usb_device w",
    ]
    assert "CapabilityBoundingSet=" in lines


def test_kiosk_is_kept_from_the_log() -> None:
    """The kiosk runs as its own user, cannot see the log's folder and cannot reach the internet."""
    lines = (UNITS / "edge-scanner-kiosk.service").read_text(encoding="utf-8").splitlines()
    assert {"User=edge-kiosk", "InaccessiblePaths=-/var/lib/edge-scanner", "IPAddressDeny=any"} <= set(lines)


def test_root_reads_no_pin_in_the_scanners_folder() -> None:
    """The page's unit asks for the hash by its name, which may be missing; the scanner's user reads the file."""
    kiosk, pin = (
        (UNITS / f"edge-scanner-{name}.service").read_text(encoding="utf-8").splitlines() for name in ("kiosk", "pin")
    )
    assert [line for line in kiosk if "Credential" in line and not line.startswith("#")] == [
        "LoadCredential=ops-pin:edge-scanner.ops-pin"
    ]
    assert "Wants=edge-scanner-pin.service" in kiosk
    assert "edge-scanner-pin.service" in next(line for line in kiosk if line.startswith("After=")).split()
    wanted = {
        "User=edge-scanner",
        "StandardOutput=truncate:/run/credstore/edge-scanner.ops-pin",
        "Type=oneshot",
        "StandardError=journal",
    }
    assert wanted <= set(pin)
    assert not [line for unit in (kiosk, pin) for line in unit if line.startswith("Exec") and "=+" in line]
    assert "d /run/credstore 0700 root root -" in (UNITS / "tmpfiles.d" / "edge-scanner.conf").read_text().splitlines()


def test_first_start_leaves_the_screen_off(tmp_path: Path) -> None:
    """What systemd enables by itself when an image with the package starts for the first time: no screen."""
    library = tmp_path / "usr" / "lib" / "systemd"
    shutil.copytree(UNITS, library / "system", ignore=shutil.ignore_patterns("*.d", "system-preset"))
    shutil.copytree(UNITS / "system-preset", library / "system-preset")
    subprocess.run(
        [program("systemctl"), f"--root={tmp_path}", "preset-all", "--preset-mode=enable-only"],
        capture_output=True,
        check=True,
    )
    enabled = {path.name for path in (tmp_path / "etc" / "systemd" / "system").glob("*.wants/*")}

    assert "edge-scanner.service" in enabled
    assert "edge-scanner-screen.service" not in enabled
