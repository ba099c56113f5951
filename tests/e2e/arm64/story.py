"""What happens in the guest: its systemd has started our units, here they are looked at. Runs as root, judges nothing.

Debian's own Python runs this, so only the standard library is there. All that was seen goes to `facts.json` on the 9p
share `out`, with the journal and the sealed log; then the guest is switched off.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import time
import traceback
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

OUT = Path("/run/out")
DAEMON, KIOSK, SCREEN = "edge-scanner.service", "edge-scanner-kiosk.service", "edge-scanner-screen.service"
STATE = Path("/var/lib/edge-scanner")
START_S = 300.0
"""Longest wait for a program to start under software emulation."""
MINUTES = 3
"""Closed and committed before the daemon is stopped for the first time; the first is the one in which it started."""
LISTEN_S = 90.0 + 60.0 * MINUTES
FIELDS = (
    "ActiveState", "SubState", "Type", "User", "Result", "NRestarts", "MainPID", "WatchdogUSec", "StatusText",
    "ExecMainStatus", "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic", "WatchdogTimestampMonotonic",
    "MemoryPeak", "MemoryCurrent", "CPUUsageNSec",
)  # fmt: skip


def main() -> None:
    """Mount the way out, look, switch off."""
    OUT.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "9p", "-o", "trans=virtio,version=9p2000.L,msize=512000", "out", str(OUT)], check=True
    )
    facts: dict[str, Any] = {}
    try:
        look(facts)
    except Exception:  # noqa: BLE001 (what went wrong is a fact, too)
        facts["crash"] = traceback.format_exc()
    facts["failed"] = words("systemctl", "--failed", "--plain", "--no-legend")
    (OUT / "journal.txt").write_text(words("journalctl", "--boot", "--no-pager", "--output=short-monotonic"))
    for file in STATE.glob("log.db*"):
        shutil.copy(file, OUT)
    (OUT / "facts.json").write_text(json.dumps(facts))
    subprocess.run(["systemctl", "--no-block", "poweroff"], check=True)


def look(facts: dict[str, Any]) -> None:
    """The units as systemd started them; then a stop, a start, a kill, and the start by systemd that follows."""
    facts["machine"] = [platform.machine(), platform.release(), words("systemctl", "--version").split("\n")[0]]
    note(facts, "the story began")
    facts["started"] = until(lambda shown: shown["ActiveState"] == "active")
    note(facts, "the daemon is ready")
    facts["process"] = process(facts["started"]["MainPID"])
    facts["kiosk"] = until(lambda shown: shown["ActiveState"] == "active", KIOSK)
    facts["screen"] = words("systemctl", "is-enabled", SCREEN)
    wait(lambda: status()["frames"] >= MINUTES, LISTEN_S)
    note(facts, "minutes are committed")
    fed = facts["started"]["WatchdogTimestampMonotonic"]
    facts["fed"] = until(lambda shown: shown["WatchdogTimestampMonotonic"] != fed)
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
    facts["revived"] = until(lambda shown: shown["ActiveState"] == "active" and shown["NRestarts"] == "1")
    note(facts, "systemd has started it again")
    subprocess.run(["systemctl", "stop", DAEMON], check=True)
    facts["verified at last"] = edge_scanner("log", "verify")


def note(facts: dict[str, Any], what: str) -> None:
    """Remember the second after the start of the machine in which something happened."""
    facts.setdefault("happened", []).append((time.monotonic(), what))
    print(what, flush=True)  # noqa: T201 (the guest's console)


def words(*command: str) -> str:
    """What a program prints, whatever its exit code."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def show(unit: str) -> dict[str, str]:
    """What systemd says of a unit."""
    text = words("systemctl", "show", unit, *(f"--property={field}" for field in FIELDS))
    return dict(line.split("=", 1) for line in text.splitlines())


def until(want: Any, unit: str = DAEMON) -> dict[str, str]:
    """Wait until systemd says what is wanted of a unit, or for too long; what it said last."""
    wait(lambda: want(show(unit)), START_S)
    return show(unit)


def wait(ready: Any, within_s: float) -> None:
    """Wait, but not for ever: what did not happen shows in the facts."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and not ready():
        time.sleep(2)


def process(pid: str) -> dict[str, str]:
    """How the kernel holds the daemon: `Seccomp`, `NoNewPrivs`, `CapEff`, and so on."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


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
        with urllib.request.urlopen(f"http://127.0.0.1:8080{path}", timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.URLError as error:
        return str(error)


if __name__ == "__main__":
    main()
