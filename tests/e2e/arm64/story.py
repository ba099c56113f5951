"""What happens in the guest: its systemd has started our units, here they are looked at. Judges nothing.

The sealed log goes to the 9p share, beside the facts.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.inside import OUT, START_S, active, note, process, show, tell, until, wait, words

DAEMON, KIOSK, SCREEN = "edge-scanner.service", "edge-scanner-kiosk.service", "edge-scanner-screen.service"
STATE = Path("/var/lib/edge-scanner")
MINUTES = 3
"""Closed and committed before the daemon is stopped for the first time; the first is the one in which it started."""


def look(facts: dict[str, Any]) -> None:
    """The units, and whatever happened the log as it is then."""
    try:
        units(facts)
    finally:
        for file in STATE.glob("log.db*"):
            shutil.copy(file, OUT)


def units(facts: dict[str, Any]) -> None:
    """The units as systemd started them; then a stop, a start, a kill, and the start by systemd that follows."""
    facts["machine"] = [platform.machine(), platform.release(), words("systemctl", "--version").split("\n")[0]]
    note(facts, "the story began")
    facts["started"] = until(DAEMON, active)
    note(facts, "the daemon is ready")
    facts["process"] = process(facts["started"]["MainPID"])
    facts["kiosk"] = until(KIOSK, active)
    facts["screen"] = words("systemctl", "is-enabled", SCREEN)
    wait(lambda: status()["frames"] >= MINUTES, START_S)
    note(facts, "minutes are committed")
    fed = facts["started"]["WatchdogTimestampMonotonic"]
    facts["fed"] = until(DAEMON, lambda shown: shown["WatchdogTimestampMonotonic"] != fed)
    facts["doctor"] = edge_scanner("doctor")
    facts["status"], facts["verified running"] = status(), edge_scanner("log", "verify")
    facts["pages"] = {path: page(path) for path in ("/healthz", "/")}
    note(facts, "doctor, log and page were looked at")

    subprocess.run(["systemctl", "stop", DAEMON], check=True)
    facts["stopped"], facts["verified stopped"] = show(DAEMON), edge_scanner("log", "verify")
    note(facts, "systemctl stop has returned")
    subprocess.run(["systemctl", "start", DAEMON], check=True)
    facts["again"] = show(DAEMON)
    os.kill(int(facts["again"]["MainPID"]), signal.SIGKILL)
    note(facts, "the daemon is killed")
    facts["revived"] = until(DAEMON, lambda shown: active(shown) and shown["NRestarts"] == "1")
    note(facts, "systemd has started it again")
    subprocess.run(["systemctl", "stop", DAEMON], check=True)
    facts["verified at last"] = edge_scanner("log", "verify")


def edge_scanner(*command: str) -> Any:
    """The answer of our program in JSON; None if it gave none."""
    answer = words("edge-scanner", *command, "--json")
    return json.loads(answer) if answer else None


def status() -> Any:
    """How much is in the log."""
    return edge_scanner("log", "status") or {"frames": 0}


def page(path: str) -> str:
    """The kiosk's answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:8080{path}", timeout=START_S) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError as error:
        return str(error)


if __name__ == "__main__":
    tell(look)
