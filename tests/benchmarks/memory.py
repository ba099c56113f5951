"""Where the memory of a box's programs goes: by step of import, by library, running, and by what devices leave behind.

Each step is a fresh interpreter that imports so much; each library is what one more import costs after the standard
library's part of it. The running daemon hears 1,000 phones at 1,000 adverts a second, seals to two recipients and has a
broker; the page serves one screen. A bare bleak process that hears as many addresses stands beside. RSS and PSS are the
kernel's (`smaps_rollup`); PSS shares what other processes of the same files use, as a box's daemon and page do. Byte
code is compiled before, as the package does.

The second table has the Python objects that are left of 10,000 addresses, each heard twice (`tracemalloc` over the
stream of `instructions.py`), by the module that made them, for bleak with an empty callback and for ours.

Run: `python -m tests.benchmarks.memory --write`, or `--json`, which has the first table. `--python` takes another
interpreter, for instance that of an installed package.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks import document, instructions
from tests.benchmarks.peers import APPEARS_S, Scene, command, staged, until
from tests.support.recipients import parties
from tests.support.slow_line import SimulatedTime

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
    ("daemon, nobody there", "edge_scanner", Scene(name="0", rate=1, phones=1, rotate_s=600)),
    ("daemon, 1,000 phones", "edge_scanner", Scene(name="1,000", rate=1_000, phones=1_000, rotate_s=600)),
    ("daemon, 10,000 addresses", "edge_scanner", Scene(name="10,000", rate=2_000, phones=10_000, rotate_s=600)),
    ("bleak alone, 10,000 addresses", "bleak", Scene(name="10,000", rate=2_000, phones=10_000, rotate_s=600)),
)
IMPORTER = """
import gc, importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
gc.collect()
print(open("/proc/self/smaps_rollup").read())
"""
MADE_BY = {
    "tests/benchmarks/instructions.py": "dbus-fast: the values of the messages",
    "bleak/backends/bluezdbus/manager.py": "bleak's manager: properties, and the copies that it hands out",
    "bleak/": "bleak's scanner: what it makes of the first and the newest copy",
    "edge_scanner/device/radio/": "`device/radio`: which devices are there",
    "edge_scanner/core/counts/": "`core/counts`: tracks and their tables",
    "edge_scanner/core/address_tags.py": "`core/address_tags.py`: tags",
    "edge_scanner/core/log/": "`core/log`: encounters",
}
"""By the beginning of a file's name; the first that fits."""
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


def running(python: str, what: str, subject: str, scene: Scene) -> Figure:
    """The daemon as its unit starts it, or bleak, after a committed minute."""
    with staged(scene) as stage:
        words = command(subject, stage, parties(time.time()))
        with subprocess.Popen(
            [python, *words[1:]],
            cwd=ROOT,
            env=environment() | {name: stage.environment[name] for name in ("DBUS_SYSTEM_BUS_ADDRESS", "HOME")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                until(lambda: stage.scanning, APPEARS_S, f"{subject} does not scan")
                time.sleep(SECONDS)
                return _figure(what, Path(f"/proc/{process.pid}/smaps_rollup").read_text())
            finally:
                process.send_signal(signal.SIGTERM)


def left_behind() -> list[list[str]]:
    """Megabytes by who made them, of bleak and of ours."""
    once = list(instructions.messages(*instructions.STREAMS["10,000 addresses, 2,000/s"], foreign=False))
    stream = once + [(at_s + instructions.SECONDS, data) for at_s, data in once]
    found = []
    for consumer in (instructions.bare, instructions.ours):
        with asyncio.Runner(loop_factory=SimulatedTime) as runner:
            found.append(runner.run(_made(consumer, stream)))
    names = [*MADE_BY.values(), "all"]
    return [[name, *(f"{made[name] / 2**20:.1f}" for made in found)] for name in names]


async def _made(consumer: Any, stream: list[tuple[float, bytes]]) -> Counter[str]:
    """Bytes by who made them, once all is heard; what is still referred to by `run` is alive."""
    run, heard = instructions.feed(consumer, stream)
    tracemalloc.start()
    run()
    gc.collect()
    made: Counter[str] = Counter()
    for one in tracemalloc.take_snapshot().statistics("filename"):
        file = one.traceback[0].filename.removeprefix(f"{ROOT}/").rpartition("site-packages/")[2]
        made[next((name for start, name in MADE_BY.items() if file.startswith(start)), "other")] += one.size
        made["all"] += one.size
    tracemalloc.stop()
    assert heard() == len(stream)
    return made


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
    text = document.table(heads, rows) + "\n\n"
    text += document.table(["Python objects of 10,000 devices", "bleak MB", "daemon MB"], left_behind())
    document.report("memory", "python -m tests.benchmarks.memory --write", text, keep=options.write)


if __name__ == "__main__":
    main()
