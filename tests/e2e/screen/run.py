"""PROGRAM `make e2e-screen`: the venue's screen, as a box has it, in a guest with a display.

The package is installed by dpkg beside Debian's cage and Chromium, the unit is enabled as the guide says, and the page
must come to the display: on Debian 12 and on 13. Prints verdicts and durations; exit code 1 when a verdict does not
hold. Needs root.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_scanner.device.settings import Kiosk
from tests.e2e.card import furnish, image
from tests.e2e.screen import display
from tests.e2e.screen.story import CLOSED, LATER, OUTSIDE, SCREEN, SETTINGS
from tests.e2e.verdict import Verdicts, last, report, timed
from tests.support.debian import Machine, build
from tests.support.recipients import parties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.recipients import Parties

HERE = Path(__file__).parent
REPO = HERE.parents[2]
FOLDER = REPO / ".cache" / "e2e" / "screen"
RELEASES = ("bookworm", "trixie")
MEMORY = {
    *("tmpfs", "devtmpfs", "ramfs", "devpts", "mqueue", "hugetlbfs"),
    *("proc", "sysfs", "cgroup2", "securityfs", "pstore", "binfmt_misc", "autofs"),
    "9p",
}
"""File systems that are not on the card; 9p is this test's way out."""
EXPOSURE = 1.5
MEMORY_MB = 600
"""What the unit may have, as it says."""


def main() -> int:
    """Make what is missing, run, print; the exit code."""
    durations: dict[str, float] = {}
    held: Verdicts = {}
    with tempfile.TemporaryDirectory(prefix="edge-scanner-screen-") as scratch:
        room = Path(scratch)
        with timed(durations, "Debian's trees and kernel, made once"):
            subprocess.run([HERE / "make-tree", FOLDER], check=True)
        package = build(REPO, room)
        for release in RELEASES:
            with timed(durations, f"{release}: the card, and the guest from power to power-off"):
                card = write(release, package, parties(time.time()), room)
                held |= {f"{release}: {what}": holds for what, holds in live(release, card).items()}
                card.unlink()
    report(held, durations)
    return 0 if all(held.values()) else 1


def write(release: str, package: Path, who: Parties, room: Path) -> Path:
    """The card of a box with the package and the screen."""
    tree, card = room / release, room / f"{release}.ext4"
    subprocess.run(["cp", "--archive", FOLDER / release, tree], check=True)
    box = Machine(root=tree)
    with mounted(tree / "proc"):
        box.install(package)
        box.run("systemctl", "enable", SCREEN)
    furnish(tree, who, HERE / "story.py", {})
    # As before enrolment, for which there is nobody here.
    shutil.move(tree / SETTINGS.relative_to("/"), tree / LATER.relative_to("/"))
    (tree / "etc/systemd/system/edge-scanner-enrol.service").symlink_to("/dev/null")
    image(tree, card, "3G")
    shutil.rmtree(tree)
    return card


@contextmanager
def mounted(proc: Path) -> Iterator[None]:
    """The kernel's view of processes, which package scripts ask for."""
    subprocess.run(["mount", "-t", "proc", "proc", proc], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", proc], check=True)


def live(release: str, card: Path) -> Verdicts:
    """The guest's story, judged."""
    left = FOLDER / f"{release}-left"
    shutil.rmtree(left, ignore_errors=True)
    left.mkdir()
    console = display.boot(FOLDER, card, left)
    found = left / "facts.json"
    facts: dict[str, Any] = json.loads(found.read_text()) if found.exists() else {"crash": "the guest left no facts"}
    if crash := facts.get("crash"):
        sys.stdout.write(f"{last(console)}\n{crash}\n")
        return {"the guest told its story": False}
    held = judge(facts)
    if not all(held.values()):
        sys.stdout.write(f"{last(console)}\n{last((left / 'journal.txt').read_text())}\n")
    for at_s, what in facts["happened"]:
        sys.stdout.write(f"{release}: {at_s:6.0f} s after the guest's start: {what}\n")
    return held


def judge(facts: dict[str, Any]) -> Verdicts:
    """What must hold of what was seen."""
    page = Kiosk().app_url
    group, all_of_it = facts["unit"]["ControlGroup"], facts["processes"]
    kernel = [(one["status"][name] for name in ("CapEff", "NoNewPrivs", "Seccomp")) for one in all_of_it]
    shown, after = facts["after keys"]
    exposure = float(facts["exposure"].split(":")[1].split()[0])
    on_disk = [
        target
        for target, kind, options in (line.split(" ") for line in facts["mounts"].splitlines())
        if options.split(",")[0] == "rw" and kind not in MEMORY
    ]
    memory_mb = int(facts["unit"]["MemoryCurrent"]) / 1e6
    return {
        "it waits for a kiosk that fails before enrolment": facts["before"][1]["ActiveState"] == "activating",
        "the page is on the display": facts["shown"] == page,
        f"its {len(all_of_it)} processes are all held by the unit": all(
            f"::{group}" in one["group"] for one in all_of_it
        ),
        "none has rights, may get any, or may call what it likes": all(
            [int(capabilities, 16), privileges, seccomp] == [0, "1", "2"]
            for capabilities, privileges, seccomp in kernel
        ),
        "the scanner's folders and the bus are closed to them": {
            folder for folder, listed in facts["seen"].items() if not listed
        }
        == set(CLOSED),
        f"they can write to memory only {on_disk or ''}".rstrip(): not on_disk,
        "they reach this box and nothing else": facts["knocks"] == {"127.0.0.1": "open", OUTSIDE: "shut"},
        f"the running unit's exposure is {exposure}": exposure <= EXPOSURE,
        f"systemd-analyze verify says nothing {facts['verify']}".rstrip(): not facts["verify"],
        f"{memory_mb:.0f} MB with the page open, a sixth below what it may": 100 < memory_mb < MEMORY_MB * 5 / 6,
        "keys arrive at the machine and change nothing": (
            facts["arrived"] > 0
            and facts["shown after keys"] == page
            and shown["MainPID"] == facts["unit"]["MainPID"]
            and {one["pid"] for one in after} == {one["pid"] for one in all_of_it}
        ),
        "killed, the browser comes back with the page": facts["shown again"] == page
        and facts["back"]["NRestarts"] == "1",
        "out of memory, it is started again and comes back": (
            int(facts["starved"]["NRestarts"]) >= 2 and facts["shown at last"] == page
        ),
        "no unit of the machine failed": not facts["failed"],
    }


if __name__ == "__main__":
    sys.exit(main())
