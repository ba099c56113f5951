"""The systemd units: how exposed they are and what they may touch, as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("edge-scanner*.service"))
LISTED = "is not executable: No such file or directory"


@pytest.fixture
def analyze() -> str:
    """The path of systemd-analyze."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed: make test installs it")
    return found


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
    ours = [line for line in done.stderr.splitlines() if "edge-scanner" in line]
    assert [line for line in ours if LISTED not in line] == []


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


def test_kiosk_is_kept_from_the_log() -> None:
    """The kiosk runs as its own user, cannot see the log's folder and cannot reach the internet."""
    lines = (UNITS / "edge-scanner-kiosk.service").read_text(encoding="utf-8").splitlines()
    assert {"User=edge-kiosk", "InaccessiblePaths=-/var/lib/edge-scanner", "IPAddressDeny=any"} <= set(lines)


def test_first_start_leaves_the_screen_off(tmp_path: Path) -> None:
    """What systemd enables by itself when an image with the package starts for the first time: no screen."""
    if shutil.which("systemctl") is None:
        pytest.skip("systemctl is not installed: make test installs it")
    library = tmp_path / "usr" / "lib" / "systemd"
    shutil.copytree(UNITS, library / "system", ignore=shutil.ignore_patterns("*.d", "system-preset"))
    shutil.copytree(UNITS / "system-preset", library / "system-preset")
    subprocess.run(
        ["systemctl", f"--root={tmp_path}", "preset-all", "--preset-mode=enable-only"], capture_output=True, check=True
    )
    enabled = {path.name for path in (tmp_path / "etc" / "systemd" / "system").glob("*.wants/*")}

    assert "edge-scanner.service" in enabled
    assert "edge-scanner-screen.service" not in enabled
