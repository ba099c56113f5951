"""How often a quiet box wakes its processor, and how often it makes its card write: daemon and page, by phones nearby.

The daemon and the page run as their units start them, with a broker, recipients and a stand-in bluetoothd that tells of
each phone 0.4 times a second. A wake-up is a moment at which one of their threads does something after `APART_S` in
which none of both programs did; what threads hand to each other within a moment is one. Wake-ups and flushes (fsync,
fdatasync; of the card, and of `/run`, which is memory) are from strace. Context switches (`/proc/PID/task/*/status`)
and processor time are from a run of its own, which strace does not disturb. No browser is connected to the page.

Run: `python -m tests.benchmarks.wakeups --write`, or with `--json`; `--phones 0 50` chooses.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import document
from tests.benchmarks.memory import ROOT, environment
from tests.benchmarks.peers import APPEARS_S, Scene, command, staged, until
from tests.support.ports import free_port
from tests.support.recipients import parties

if TYPE_CHECKING:
    from collections.abc import Iterator

PHONES = (0, 50, 200, 1_000)
HEARD_PER_S = 0.4
WARM_UP_S = 65.0
"""The first commits and the greeting of the broker."""
SECONDS = 60.0
APART_S = 0.005
MEMORY = "/dev/shm"
"""Where the runtime folder is, as /run on a box."""
FLUSH = re.compile(r" f(?:data)?sync\(\d+<([^>]*)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One crowd; wake-ups and context switches a second, processor seconds and flushes a minute."""

    phones: int
    adverts_per_s: float
    wakeups_per_s: float
    daemon_per_s: float
    page_per_s: float
    daemon_cpu_s: float
    page_cpu_s: float
    card_flushes: float
    memory_flushes: float


def switches(process: int) -> dict[str, int]:
    """Voluntary context switches by thread's name."""
    found: dict[str, int] = {}
    for task in Path(f"/proc/{process}/task").iterdir():
        status = (task / "status").read_text()
        name = (task / "comm").read_text().strip() + "/" + task.name
        found[name] = int(next(line.split()[1] for line in status.splitlines() if line.startswith("voluntary")))
    return found


def cpu_s(process: int) -> float:
    """User and system time."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(process: int, *, traced: bool) -> None:
    """Ask a program to stop; strace, which would not pass it on, ends with its program."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    os.kill(int(children[0]) if traced else process, signal.SIGTERM)


@contextmanager
def running(phones: int, *, traces: Path | None = None) -> Iterator[tuple[int, int]]:
    """Process numbers of daemon and page, once the daemon scans."""
    scene = Scene(name=str(phones), rate=max(round(phones * HEARD_PER_S), 1), phones=max(phones, 1), rotate_s=600)
    with ExitStack() as stack:
        stage = stack.enter_context(staged(scene))
        words = command("edge_scanner", stage, parties(time.time()))
        configuration = Path(words[-1])
        memory = stack.enter_context(tempfile.TemporaryDirectory(dir=MEMORY))
        text = configuration.read_text().replace(f"{stage.folder}/run", memory)
        configuration.write_text(f"{text}[kiosk]\nport = {free_port()}\n")
        kept = environment() | {name: stage.environment[name] for name in ("DBUS_SYSTEM_BUS_ADDRESS", "HOME")}
        processes = []
        for unit in ("run", "kiosk"):
            strace = ["strace", "-f", "-y", "-ttt", "-o", str(traces / unit)] if traces else []
            begun = [*strace, sys.executable, "-m", "edge_scanner.device.unit", unit]
            process = subprocess.Popen(
                [*begun, str(configuration)],
                cwd=ROOT,
                env=kept,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait, 300)
            stack.callback(end, process.pid, traced=traces is not None)
            processes.append(process.pid)
        until(lambda: stage.scanning, APPEARS_S, "the daemon does not scan")
        time.sleep(WARM_UP_S)
        yield processes[0], processes[1]


def measure(phones: int) -> Figure:
    """Both runs."""
    with running(phones) as both:
        before = [(sum(switches(process).values()), cpu_s(process)) for process in both]
        began = time.monotonic()
        time.sleep(SECONDS)
        took_s = time.monotonic() - began
        after = [(sum(switches(process).values()), cpu_s(process)) for process in both]
    with tempfile.TemporaryDirectory() as folder, running(phones, traces=Path(folder)):
        from_s = time.time()
        time.sleep(SECONDS)
        lines = [line for unit in ("run", "kiosk") for line in (Path(folder) / unit).read_text().splitlines()]
        traced = sorted((float(line.split()[1]), line) for line in lines)
        traced = [(at_s, line) for at_s, line in traced if from_s <= at_s < from_s + SECONDS]
    wakeups = sum(later - at_s > APART_S for (at_s, _), (later, _) in pairwise(traced))
    flushed = [match[1].startswith(MEMORY) for _, line in traced if (match := FLUSH.search(line))]
    rates = [(second - first) / took_s for (first, _), (second, _) in zip(before, after, strict=True)]
    spent = [(second - first) / took_s * 60 for (_, first), (_, second) in zip(before, after, strict=True)]
    return Figure(
        phones=phones,
        adverts_per_s=phones * HEARD_PER_S,
        wakeups_per_s=round(wakeups / SECONDS, 1),
        daemon_per_s=round(rates[0], 1),
        page_per_s=round(rates[1], 1),
        daemon_cpu_s=round(spent[0], 2),
        page_cpu_s=round(spent[1], 2),
        card_flushes=round(flushed.count(False) / SECONDS * 60, 1),
        memory_flushes=round(flushed.count(True) / SECONDS * 60, 1),
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--phones", nargs="*", type=int, default=PHONES)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    figures = [measure(phones) for phones in options.phones]
    if options.json:
        sys.stdout.write(json.dumps([asdict(figure) for figure in figures]) + "\n")
        return
    heads = [
        "phones", "adverts/s", "wake-ups/s, both", "daemon: switches/s", "page: switches/s", "daemon: CPU s a minute",
        "page: CPU s a minute", "card: flushes a minute", "memory: flushes a minute",
    ]  # fmt: skip
    rows = [[f"{value:,}" for value in asdict(figure).values()] for figure in figures]
    text = document.table(heads, rows)
    document.report("wake-ups", "python -m tests.benchmarks.wakeups --write", text, keep=options.write)


if __name__ == "__main__":
    main()
