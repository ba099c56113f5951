"""What happens in the guest with a display: the screen's unit is looked at from inside, and its browser is killed.

What is on the display only the other side sees: `ask` waits for its answer. Judges nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.inside import OUT, active, note, process, show, tell, until, wait, words

SCREEN = "edge-scanner-screen.service"
CLOSED = ("/var/lib/edge-scanner", "/etc/edge-scanner", "/run/edge-scanner", "/run/dbus")
"""What the browser must not see into: the scanner's folders, and the bus on which bluetoothd answers everybody."""
SETTINGS = Path("/etc/edge-scanner/scanner.toml")
LATER = Path("/etc/scanner.toml.later")
"""Where the card has the settings that enrolment would bring."""
SERVICES = ("edge-scanner.service", "edge-scanner-kiosk.service")
OUTSIDE = "203.0.113.1"
"""An address of this machine that is not localhost (RFC 5737, for documents)."""
KNOCK = """
import os, socket, sys
group, address, port = sys.argv[1:]
open(f"/sys/fs/cgroup{group}/cgroup.procs", "w").write(str(os.getpid()))
try:
    socket.create_connection((address, int(port)), 3).close()
except OSError:
    print("shut")
else:
    print("open")
"""
"""A process that joins the unit's control group and knocks at an address."""
ANSWER_S = 2000.0


def look(facts: dict[str, Any]) -> None:
    """Enrolment; the page on the display; what its processes may do; a keyboard; death and return; no memory."""
    note(facts, "the story began")
    facts["before"] = until("edge-scanner-kiosk.service", lambda shown: shown["ActiveState"] == "failed"), show(SCREEN)
    shutil.copy(LATER, SETTINGS)
    subprocess.run(["systemctl", "restart", *SERVICES], check=True)
    note(facts, "there are settings, as after enrolment")
    facts["started"] = until(SCREEN, active)
    facts["shown"] = ask("page")
    note(facts, "the page is on the display")
    facts["unit"], facts["processes"] = show(SCREEN), processes()
    inside = ("nsenter", "-t", facts["unit"]["MainPID"], "-m")
    facts["seen"] = {folder: words(*inside, "ls", "-A", folder) for folder in (*CLOSED, "/usr")}
    facts["mounts"] = words(*inside, "findmnt", "--noheadings", "--raw", "--output", "TARGET,FSTYPE,VFS-OPTIONS")
    facts["knocks"] = knocks(facts["unit"]["ControlGroup"])
    facts["exposure"] = words("systemd-analyze", "security", "--no-pager", SCREEN).splitlines()[-1]
    facts["verify"] = words("sh", "-c", f"systemd-analyze verify {SCREEN} 2>&1")

    with open(keyboard(), "rb", buffering=0) as keys:  # noqa: PTH123 (a device without a buffer)
        os.set_blocking(keys.fileno(), False)
        facts["typed"] = ask("keys")
        facts["arrived"] = len(keys.read(65536) or b"")
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


def knocks(group: str) -> dict[str, str]:
    """What a process of the unit's control group reaches of two addresses of this machine, where somebody listens."""
    words("busybox", "ip", "address", "add", f"{OUTSIDE}/32", "dev", "lo")
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = str(listener.getsockname()[1])
        return {address: words("python3", "-c", KNOCK, group, address, port) for address in ("127.0.0.1", OUTSIDE)}


def keyboard() -> str:
    """The device of the guest's only keyboard that QEMU types on."""
    for device in Path("/proc/bus/input/devices").read_text().split("\n\n"):
        if "QEMU Virtio Keyboard" in device:
            (handler,) = re.findall(r"\b(event\d+)\b", device)
            return f"/dev/input/{handler}"
    raise LookupError("no keyboard")


def processes() -> list[dict[str, Any]]:
    """Those of the unit's user: id, command, control group, how the kernel holds them."""
    found = []
    for pid in words("pgrep", "--euid", "edge-screen").split():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # some live for a moment
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            group = Path(f"/proc/{pid}/cgroup").read_text().strip()
            found.append({"pid": int(pid), "command": command, "group": group, "status": process(pid)})
    return found


def browser() -> int:
    """The process that the others of Chromium descend from."""
    found = (one for one in processes() if "/chromium " in one["command"] and "--type=" not in one["command"])
    return int(next(one["pid"] for one in found if not one["command"].startswith("/usr/bin/cage")))


if __name__ == "__main__":
    tell(look)
