"""PROGRAM `make e2e-arm64`: the arm64 package on Debian's arm64 Python, then under systemd on Debian's arm64 kernel.

First the installed program replays a capture into a sealed log, under qemu-user; then a guest boots from a card with
the same installed package. Prints verdicts and durations; exit code 1 when a verdict does not hold. Needs root; the
capture is in the folder that EDGE_SCANNER_DATA names; without it the replay is left out, and that does not hold.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_scanner import __version__
from tests.e2e.arm64 import card, guest, verdicts
from tests.e2e.card import SETTINGS, furnish, image
from tests.e2e.verdict import Verdicts, last, report, timed
from tests.support.recipients import parties

if TYPE_CHECKING:
    from tests.support.recipients import Parties

HERE = Path(__file__).parent
REPO = HERE.parents[2]
FOLDER = REPO / ".cache" / "e2e" / "arm64"
UNITS = {
    # A Raspberry Pi's adapter is on a serial line as well.
    "e2e-adapter.service": "[Service]\nExecStart=/usr/bin/btattach -B /dev/ttyS0 -P h4\n",
}
PROGRAM = "/opt/edge-scanner/bin/edge-scanner"
KEEP_AT = FOLDER / "left"
"""What the guest left the last time."""


def main() -> int:
    """Make what is missing, run, print; the exit code."""
    durations: dict[str, float] = {}
    who = parties(time.time())
    with tempfile.TemporaryDirectory(prefix="edge-scanner-arm64-") as scratch:
        room = Path(scratch)
        tree = room / "tree"
        with timed(durations, "Debian's tree and kernel, made once"):
            subprocess.run([HERE / "make-tree", FOLDER], check=True)
        with timed(durations, "the package built"):
            package = build(room)
        with timed(durations, "the package installed by dpkg"):
            card.install(FOLDER / "tree", package, tree)
            furnish(tree, who, HERE / "story.py", UNITS)
        with timed(durations, "the installed program under qemu-user"):
            held = replay(tree)
        with timed(durations, "the card written"):
            image(tree, room / "card.ext4", "1G")
        with timed(durations, "the guest"):
            held |= live(room, who)
    report(held, durations)
    return 0 if all(held.values()) else 1


def build(room: Path) -> Path:
    """The arm64 package of this work tree."""
    command: list[str | Path] = [sys.executable, REPO / "tools" / "make-deb", "--arch", "arm64", "--fast"]
    command += ["--maintainer", "A test <test@localhost>"]
    subprocess.run([*command, "--out", room], check=True, stdout=subprocess.DEVNULL)
    (package,) = room.glob("*.deb")
    return package


def replay(tree: Path) -> Verdicts:
    """A capture through the installed program into a log of its own, which is removed again."""
    held = verdicts.of_version(card.inside(tree, PROGRAM, "--version").strip(), __version__)
    capture = Path(os.environ.get("EDGE_SCANNER_DATA", "")) / "dp3t-exp34" / "08.btsnoop"
    if not capture.exists():
        sys.stdout.write("no replay: EDGE_SCANNER_DATA names no folder of real captures\n")
        return held | {"a capture is replayed": False}
    place = tree / "var" / "tmp" / "replay"
    place.mkdir()
    shutil.copy(capture, place)
    (place / "scanner.toml").write_text(f'{SETTINGS}state_dir = "/var/tmp/replay/state"\n')
    options = ["--config", "/var/tmp/replay/scanner.toml", "--json"]
    replayed = card.inside(
        tree, PROGRAM, "replay", "/var/tmp/replay/08.btsnoop", "--state-dir", "/var/tmp/replay/state", *options
    )
    verified = card.inside(tree, PROGRAM, "log", "verify", *options)
    shutil.rmtree(place)
    return held | verdicts.of_replay(json.loads(replayed), json.loads(verified))


def live(room: Path, who: Parties) -> Verdicts:
    """The guest's story, and what it left."""
    shutil.rmtree(KEEP_AT, ignore_errors=True)
    KEEP_AT.mkdir()
    air, console = asyncio.run(guest.boot(FOLDER, room / "card.ext4", KEEP_AT))
    found = KEEP_AT / "facts.json"
    facts: dict[str, Any] = json.loads(found.read_text()) if found.exists() else {"crash": "the guest left no facts"}
    if crash := facts.get("crash"):
        sys.stdout.write(f"{last(console)}\n{crash}\n")
        return {"the guest told its story": False}
    held = verdicts.of_units(facts) | verdicts.of_log(KEEP_AT, who, air)
    if not all(held.values()):
        sys.stdout.write(f"{last(console)}\n{last((KEEP_AT / 'journal.txt').read_text())}\n")
    for at_s, what in facts["happened"]:
        sys.stdout.write(f"{at_s:6.0f} s after the guest's start: {what}\n")
    return held


if __name__ == "__main__":
    sys.exit(main())
