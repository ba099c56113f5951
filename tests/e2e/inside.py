"""What the stories of guests under systemd share. It runs in the guest, as root, on Debian's own Python and library.

All that was seen goes to `facts.json` on the 9p share `out`, with the journal; then the guest is switched off.
"""

from __future__ import annotations

import json
import subprocess
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

OUT = Path("/run/out")
START_S = 1800.0
"""Ends a wait for what never comes: a program under software emulation takes a minute, on a busy machine many."""
FIELDS = (
    "ActiveState", "SubState", "Type", "User", "Result", "NRestarts", "MainPID", "WatchdogUSec", "StatusText",
    "ExecMainStatus", "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic", "WatchdogTimestampMonotonic",
    "MemoryPeak", "MemoryCurrent", "CPUUsageNSec", "ControlGroup",
)  # fmt: skip


def tell(look: Callable[[dict[str, Any]], None]) -> None:
    """Mount the way out, let `look` gather facts, leave them, switch off."""
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
    (OUT / "facts.json").write_text(json.dumps(facts))
    subprocess.run(["systemctl", "--no-block", "poweroff"], check=True)


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


def until(unit: str, want: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Wait until systemd says what is wanted of a unit, or for too long; what it said last."""
    wait(lambda: want(show(unit)), START_S)
    return show(unit)


def active(shown: dict[str, str]) -> bool:
    """The unit is up."""
    return shown["ActiveState"] == "active"


def wait(ready: Callable[[], Any], within_s: float) -> None:
    """Wait, but not for ever: what did not happen shows in the facts."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and not ready():
        time.sleep(2)


def process(pid: str) -> dict[str, str]:
    """How the kernel holds a process: `Seccomp`, `NoNewPrivs`, `CapEff`, and so on."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
