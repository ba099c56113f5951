"""What happens in the guest with a display: the screen's unit is looked at from inside, and its browser is killed.

What is on the display only the other side sees: `ask` waits for its answer. Judges nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.inside import OUT, active, note, process, show, tell, until, wait, words

SCREEN = "edge-scanner-screen.service"
CLOSED = ("/var/lib/edge-scanner", "/etc/edge-scanner", "/run/edge-scanner")
"""Folders of the scanner that the browser must not see into."""
ANSWER_S = 400.0


def look(facts: dict[str, Any]) -> None:
    """The page on the display; what its processes may do; a keyboard; death and return; no memory."""
    note(facts, "the story began")
    facts["started"] = until(SCREEN, active)
    facts["shown"] = ask("page")
    note(facts, "the page is on the display")
    facts["unit"], facts["processes"] = show(SCREEN), processes()
    facts["seen"] = {
        folder: words("nsenter", "-t", facts["unit"]["MainPID"], "-m", "ls", "-A", folder) for folder in CLOSED
    }
    facts["exposure"] = words("systemd-analyze", "security", "--no-pager", SCREEN).splitlines()[-1]
    facts["verify"] = words("sh", "-c", f"systemd-analyze verify {SCREEN} 2>&1")

    facts["typed"] = ask("keys")
    facts["shown after keys"] = ask("page")
    facts["after keys"] = [show(SCREEN), processes()]
    note(facts, "keys were typed")

    os.kill(browser(), signal.SIGKILL)
    note(facts, "the browser is killed")
    facts["back"] = until(SCREEN, lambda shown: active(shown) and shown["NRestarts"] == "1")
    facts["shown again"] = ask("page")
    note(facts, "the page is on the display again")

    limit("100M")
    facts["starved"] = until(SCREEN, lambda shown: active(shown) and int(shown["NRestarts"]) >= 2)
    limit("600M")
    facts["shown at last"] = ask("page")
    note(facts, "out of memory, the unit was started again")


def limit(memory: str) -> None:
    """What the unit may have from now on."""
    subprocess.run(["systemctl", "set-property", "--runtime", SCREEN, f"MemoryMax={memory}"], check=True)


def ask(what: str) -> str:
    """The other side's answer; empty when there is none."""
    question, answer = OUT / f"{what}.asked", OUT / f"{what}.told"
    answer.unlink(missing_ok=True)
    question.touch()
    wait(answer.exists, ANSWER_S)
    return answer.read_text() if answer.exists() else ""


def processes() -> list[dict[str, Any]]:
    """Those of the unit's user: id, command, control group, how the kernel holds them."""
    return [
        {
            "pid": int(pid),
            "command": Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip(),
            "group": Path(f"/proc/{pid}/cgroup").read_text().strip(),
            "status": process(pid),
        }
        for pid in words("pgrep", "--euid", "edge-screen").split()
    ]


def browser() -> int:
    """The process that the others of Chromium descend from."""
    found = (one for one in processes() if "/chromium " in one["command"] and "--type=" not in one["command"])
    return int(next(one["pid"] for one in found if not one["command"].startswith("/usr/bin/cage")))


if __name__ == "__main__":
    tell(look)
