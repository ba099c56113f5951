"""A pull of some hours over slow and lossy lines: bytes sent for each byte wanted, and time for each second they need.

Simulated time, with chances drawn from a seed: the figures are the same on a busy machine and on a quiet one. What is
simulated and what is the program's own: `tests/support/slow_pull.py`.

Run: `python -m tests.benchmarks.slow_line --write`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from edge_scanner.authority.collect.collection import State
from tests.benchmarks import document
from tests.support.slow_line import Line, in_simulated_time
from tests.support.slow_pull import LINES, Answered, Watch, answered_box, centre, wanted

ENDS = ("box", "authority")
HEADS = ("line", *(f"{what}, {whose}'s end" for whose in ENDS for what in ("bytes sent ÷ wanted", "time ÷ needed")))


async def _answered(folder: Path) -> Answered:
    async with answered_box(folder) as box:
        return box


def told(speed: tuple[float, float, float]) -> str:
    """A line in words: what it brings, its delay one way where that is long, what it loses."""
    per_s, delay_s, lost = speed
    words = [f"{per_s / 1000:,.0f} kB/s"]
    words += [f"{delay_s:g} s delay"] if delay_s > 0.1 else []
    return ", ".join([*words, *([f"{lost:.0%} lost"] if lost else [])])


def measure(box: Answered, speed: tuple[float, float, float], whose: str, desk: Path) -> tuple[float, float]:
    """One pull to its end."""
    line, watch = Line(*speed), Watch()
    states = in_simulated_time(watch.pull(box, centre(box, line, whose), desk))
    if states != (State.DONE,):
        raise RuntimeError(f"{told(speed)}, {whose}'s end: {states}")
    size = wanted(desk)
    return line.sent / size, watch.took_s / (size / speed[0])


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        box = asyncio.run(_answered(folder / "box"))
        for number, speed in enumerate(LINES):
            both = [measure(box, speed, whose, folder / f"{number}-{whose}") for whose in ENDS]
            rows.append([told(speed), *(f"{value:.2f}" for pair in both for value in pair)])
    text = document.table(HEADS, rows)
    document.report("slow-line", "python -m tests.benchmarks.slow_line --write", text, keep=options.write)


if __name__ == "__main__":
    main()
