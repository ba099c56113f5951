"""Where the memory of a box's programs goes: by step of import, by library, and running.

Each step is a fresh interpreter that imports so much; each library is what one more import costs after the standard
library's part of it. The running daemon hears 1,000 phones at 1,000 adverts a second, seals to two recipients and has a
broker; the page serves one screen. RSS and PSS are the kernel's (`smaps_rollup`); PSS shares what other processes of
the same files use, as a box's daemon and page do. Byte code is compiled before, as the package does.

Run: `python -m tests.benchmarks.memory --write`, or `--json`. `--python` takes another interpreter, for instance
that of an installed package.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import document
from tests.benchmarks.peers import APPEARS_S, Scene, command, staged, until
from tests.support.recipients import parties

ROOT = Path(__file__).parents[2]
COMPILED = ROOT / ".cache" / "bytecode"
STEPS = (
    ("interpreter", ""),
    ("+ asyncio, ssl, json, logging", "asyncio ssl json logging dataclasses inspect typing"),
    ("+ msgspec, structlog: settings and journal", "edge_scanner.device.settings edge_scanner.device.system.journal"),
    ("+ cryptography (OpenSSL)", "edge_scanner.device.enrolment.identity cryptography.x509"),
    ("+ core, protocols", "edge_scanner.core.pipeline edge_scanner.core.log.writer edge_scanner.protocols"),
    ("+ aiosqlite: the store", "edge_scanner.device.storage.store"),
    ("+ paho: the broker", "edge_scanner.mqtt.brokerlink"),
    ("+ bleak, dbus-fast: the radio", "edge_scanner.device.radio.radio"),
    ("+ the daemon", "edge_scanner.device.daemon.daemon"),
)
SCENES = (
    ("daemon, nobody there", Scene(name="0", rate=1, phones=1, rotate_s=600)),
    ("daemon, 1,000 phones", Scene(name="1,000", rate=1_000, phones=1_000, rotate_s=600)),
    ("daemon, 10,000 addresses", Scene(name="10,000", rate=2_000, phones=10_000, rotate_s=600)),
)
IMPORTER = """
import gc, importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
gc.collect()
print(open("/proc/self/smaps_rollup").read())
"""
SECONDS = 70.0
"""A minute is committed and its figures are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Megabytes of one process."""

    what: str
    rss: float
    pss: float
    anonymous: float


def _figure(what: str, rollup: str) -> Figure:
    kb = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines() if line.endswith(" kB")}
    return Figure(what=what, rss=kb["Rss"] / 1024, pss=kb["Pss"] / 1024, anonymous=kb["Anonymous"] / 1024)


def environment() -> dict[str, str]:
    """As the unit sets it, with byte code in a folder of ours: compiling at the start would be measured as memory."""
    unit = (ROOT / "systemd" / "edge-scanner.service").read_text()
    words = " ".join(re.findall(r"^Environment=(.*)$", unit, re.MULTILINE)).split()
    kept = os.environ | dict(word.split("=", 1) for word in words) | {"PYTHONPYCACHEPREFIX": str(COMPILED)}
    return {name: value for name, value in kept.items() if name != "PYTHONDONTWRITEBYTECODE"}


def imported(python: str, *, compiled: bool = False) -> list[Figure]:
    """Step after step, each in an interpreter of its own."""
    names: list[str] = []
    figures = []
    for what, more in STEPS:
        names += more.split()
        words = [python, "-c", IMPORTER, *names]
        told = subprocess.run(words, check=True, capture_output=True, text=True, env=environment(), cwd=ROOT).stdout
        figures.append(_figure(what, told))
    return figures if compiled else imported(python, compiled=True)


def running(python: str, what: str, scene: Scene) -> Figure:
    """The daemon as its unit starts it, after a committed minute."""
    with staged(scene) as stage:
        words = command("edge_scanner", stage, parties(time.time()))
        with subprocess.Popen(
            [python, *words[1:]],
            cwd=ROOT,
            env=environment() | {name: stage.environment[name] for name in ("DBUS_SYSTEM_BUS_ADDRESS", "HOME")},
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                until(lambda: stage.scanning, APPEARS_S, "the daemon does not scan")
                time.sleep(SECONDS)
                return _figure(what, Path(f"/proc/{process.pid}/smaps_rollup").read_text())
            finally:
                process.send_signal(signal.SIGTERM)


def main() -> None:
    """Parse the command line; measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the box's lock installed")
    parser.add_argument("--scenes", nargs="*", type=int, default=list(range(len(SCENES))), metavar="NUMBER")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    figures = imported(options.python)
    figures += [running(options.python, *SCENES[number]) for number in options.scenes]
    if options.json:
        sys.stdout.write(json.dumps([asdict(figure) for figure in figures]) + "\n")
        return
    heads = ["program", "RSS MB", "PSS MB", "anonymous MB"]
    rows = [[one.what, f"{one.rss:.1f}", f"{one.pss:.1f}", f"{one.anonymous:.1f}"] for one in figures]
    table = Table(*heads)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if options.write:
        document.write("memory", "python -m tests.benchmarks.memory --write", document.table(heads, rows))


if __name__ == "__main__":
    main()
