"""From exec to READY: the daemon as its unit starts it, and where that time goes.

The first rows are fresh interpreters that import so much, one step after the other (those of `memory.py`); the last one
is the unit's own command with a bus, a broker, two recipients and a log, until it says READY to its NOTIFY_SOCKET. Wall
time and processor time are medians; processor time is the kernel's for all threads of the process, which says more on a
busy machine. Instructions are valgrind's. A second table has the imports by package: each one's own, without what
it imports in turn. The byte code is compiled before, as the package does.

Run: `python -m tests.benchmarks.start --write`, or `--json`; it needs valgrind.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import document
from tests.benchmarks.memory import ROOT, STEPS, environment
from tests.benchmarks.peers import Scene, command, staged
from tests.support.recipients import parties

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TRIES = 15
SHOWN = 14
"""Packages in the second table."""
IMPORTER = "import importlib, os, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\nos._exit(0)\n"
READY = b"READY=1"
STARTED_S = 900.0
"""Under valgrind and on a busy machine."""


class Unit:
    """The unit's command and its notification socket, in the folder of a stage."""

    def __init__(self, folder: Path, words: Sequence[str], environment: dict[str, str]) -> None:
        self.words, self._path = list(words), folder / "notify"
        self.environment = environment | {"NOTIFY_SOCKET": str(self._path)}

    def start(self, *before: str) -> tuple[float, subprocess.Popen[bytes]]:
        """Seconds until READY, and the process."""
        self._path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
            notices.bind(str(self._path))
            notices.settimeout(STARTED_S)
            start = time.monotonic()
            process = subprocess.Popen(
                [*before, *self.words],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if IMPORTTIME[1] in before else subprocess.DEVNULL,
            )
            while READY not in notices.recv(4096):
                pass
            return time.monotonic() - start, process


IMPORTTIME = ("-X", "importtime")


def unit(folder: Path, words: Sequence[str], told: dict[str, str]) -> Unit:
    """The command of `words` with what the unit sets and where the stage's bus is."""
    kept = {name: told[name] for name in ("DBUS_SYSTEM_BUS_ADDRESS", "HOME")}
    return Unit(folder, words, environment() | kept)


def ended(process: subprocess.Popen[bytes]) -> float:
    """Seconds of the processor of a process that is over, all its threads."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def imported(names: Sequence[str]) -> tuple[float, float]:
    """Seconds on the wall and of the processor of a fresh interpreter that imports them."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", IMPORTER, *names], cwd=ROOT, env=environment())
    spent_s = ended(process)
    return time.monotonic() - start, spent_s


def instructions(words: Sequence[str], kept: dict[str, str], one: Unit | None = None) -> int:
    """Of a command under valgrind: to its end, or to READY."""
    with tempfile.TemporaryDirectory() as name:
        grind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={name}/out"]
        if one is None:
            subprocess.run([*grind, *words], check=True, cwd=ROOT, env=kept, stderr=subprocess.DEVNULL)
        else:
            _, process = one.start(*grind)
            subprocess.run(["callgrind_control", "-d", str(process.pid)], check=True, stdout=subprocess.DEVNULL)
            process.send_signal(signal.SIGKILL)
            process.wait()
        files = sorted(Path(name).glob("out*"))
        found = [re.findall(r"^(?:summary|totals): (\d+)", file.read_text(), re.MULTILINE) for file in files]
        return max(int(number) for numbers in found for number in numbers)


def steps(one: Unit, tries: int) -> Iterator[tuple[str, float, float, int]]:
    """What, milliseconds on the wall and of the processor, millions of instructions."""
    names: list[str] = []
    for what, more in STEPS:
        names += more.split()
        imported(names)
        pairs = [imported(names) for _ in range(tries)]
        counted = instructions([sys.executable, "-c", IMPORTER, *names], environment())
        yield what, *_medians(pairs), counted // 1_000_000
    pairs = []
    for _ in range(tries):
        wall_s, process = one.start()
        process.send_signal(signal.SIGKILL)
        pairs.append((wall_s, ended(process)))
    yield "+ log, recipients, broker, radio: READY", *_medians(pairs), instructions([], {}, one) // 1_000_000


def _medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    wall_s, spent_s = zip(*pairs, strict=True)
    return statistics.median(wall_s) * 1000, statistics.median(spent_s) * 1000


def packages(one: Unit, tries: int) -> list[tuple[str, int, float]]:
    """By package: modules, and milliseconds of their own (median); with the clock of `-X importtime`."""
    runs: list[Counter[str]] = []
    modules: Counter[str] = Counter()
    for _ in range(tries):
        python, *rest = one.words
        timed = Unit(Path(one.environment["NOTIFY_SOCKET"]).parent, rest, one.environment)
        _, process = timed.start(python, *IMPORTTIME)
        process.send_signal(signal.SIGKILL)
        _, told = process.communicate()
        spent: Counter[str] = Counter()
        modules.clear()
        for own, name in re.findall(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", told.decode(), re.MULTILINE):
            package = _package(name)
            spent[package] += int(own)
            modules[package] += 1
        runs.append(spent)
    found = [(name, modules[name], statistics.median(run[name] for run in runs) / 1000) for name in modules]
    return sorted(found, key=lambda row: -row[2])


def _package(name: str) -> str:
    top = name.split(".", maxsplit=1)[0]
    return "the standard library" if top.lstrip("_") in _STANDARD else top


_STANDARD = {name.lstrip("_") for name in sys.stdlib_module_names}


def main() -> None:
    """Parse the command line; measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the tables")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/measurements.md")
    options = parser.parse_args()
    with staged(Scene(name="start", rate=1, phones=1, rotate_s=600)) as stage:
        words = command("edge_scanner", stage, parties(time.time()))
        one = unit(stage.folder, words, stage.environment)
        _, process = one.start()
        process.terminate()
        process.wait()
        found = list(steps(one, options.tries))
        apart = packages(one, options.tries)
    if options.json:
        names = ("what", "wall_ms", "processor_ms", "million_instructions")
        sys.stdout.write(json.dumps([dict(zip(names, row, strict=True)) for row in found]) + "\n")
        return
    heads = ["from exec until", "wall ms", "processor ms", "million instructions"]
    rows = [[what, f"{wall:.0f}", f"{spent:.0f}", f"{counted:,}"] for what, wall, spent, counted in found]
    tables = [(heads, rows), (["package", "modules", "ms of their own"], _short(apart))]
    text = "\n\n".join(document.table(head, body) for head, body in tables)
    document.report(
        "start", f"python -m tests.benchmarks.start --tries {options.tries} --write", text, keep=options.write
    )


def _short(apart: Sequence[tuple[str, int, float]]) -> list[list[str]]:
    """The greatest, and all others together."""
    rest = apart[SHOWN:]
    kept = [*apart[:SHOWN], ("others", sum(row[1] for row in rest), sum(row[2] for row in rest))]
    return [[name, str(count), f"{spent:.1f}"] for name, count, spent in kept]


if __name__ == "__main__":
    main()
