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
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tests.e2e.arm64 import card, guest, verdicts
from tests.support.recipients import parties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.recipients import Parties

HERE = Path(__file__).parent
REPO = HERE.parents[2]
FOLDER = REPO / ".cache" / "e2e" / "arm64"
PROGRAM = "/opt/edge-scanner/bin/edge-scanner"
LAST_LINES = 40
"""Of the console and the journal, shown when something does not hold."""
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
            card.furnish(tree, who)
        with timed(durations, "the installed program under qemu-user"):
            held = replay(tree)
        with timed(durations, "the card written"):
            card.image(tree, room / "card.ext4")
        with timed(durations, "the guest"):
            held |= live(room, who)
    report(held, durations)
    return 0 if all(held.values()) else 1


def build(room: Path) -> Path:
    """The arm64 package of this work tree."""
    command: list[str | Path] = [sys.executable, REPO / "tools" / "make-deb", "--arch", "arm64", "--fast"]
    subprocess.run([*command, "--out", room], check=True, stdout=subprocess.DEVNULL)
    (package,) = room.glob("*.deb")
    return package


def replay(tree: Path) -> verdicts.Verdicts:
    """A capture through the installed program into a log of its own, which is removed again."""
    expected = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"]
    held = verdicts.of_version(card.inside(tree, PROGRAM, "--version").strip(), expected)
    capture = Path(os.environ.get("EDGE_SCANNER_DATA", "")) / "dp3t-exp34" / "08.btsnoop"
    if not capture.exists():
        sys.stdout.write("no replay: EDGE_SCANNER_DATA names no folder of real captures\n")
        return held | {"a capture is replayed": False}
    place = tree / "var" / "tmp" / "replay"
    place.mkdir()
    shutil.copy(capture, place)
    (place / "scanner.toml").write_text(f'{card.SETTINGS}state_dir = "/var/tmp/replay/state"\n')
    options = ["--config", "/var/tmp/replay/scanner.toml", "--json"]
    replayed = card.inside(
        tree, PROGRAM, "replay", "/var/tmp/replay/08.btsnoop", "--state-dir", "/var/tmp/replay/state", *options
    )
    verified = card.inside(tree, PROGRAM, "log", "verify", *options)
    shutil.rmtree(place)
    return held | verdicts.of_replay(json.loads(replayed), json.loads(verified))


def live(room: Path, who: Parties) -> verdicts.Verdicts:
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


def last(text: str) -> str:
    """The end of a long text."""
    return "\n".join([line for line in text.splitlines() if line][-LAST_LINES:])


@contextmanager
def timed(durations: dict[str, float], what: str) -> Iterator[None]:
    """How long something took."""
    began = time.monotonic()
    yield
    durations[what] = time.monotonic() - began


def report(held: verdicts.Verdicts, durations: dict[str, float]) -> None:
    """Two tables."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, holds in held.items():
        table.add_row("[green]yes[/]" if holds else "[bold red]NO[/]", what)
    for what, duration_s in durations.items():
        table.add_row(f"{duration_s:.0f} s", what)
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    sys.exit(main())
