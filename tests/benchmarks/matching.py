"""A province's fortnight: keys of cases against encounters that lie on the disk, as `edge-authority match` does it.

Files of opened records with so many encounters of 1,000 boxes of one order are made first (80 bytes each); some
identifiers of the cases are planted. Each run is a process of its own that uses every core; processor time is of it and
of the processes that it starts, its peak memory that of the largest of them, beside what all share. The bare cost is
that of the same hashes and AES blocks, half of them in each of two processes at once. The last row has ten times as
many keys against the same encounters.

Run: `python -m tests.benchmarks.matching --write`; `--encounters 1 10` takes other millions. A hundred million need
9 GB in the folder for temporary files (TMPDIR).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import Progress

from edge_scanner.authority.match import bulk, match
from edge_scanner.authority.open import opened
from edge_scanner.protocols import bluezone
from tests.benchmarks import authority, document
from tests.support.office import Office
from tests.support.sightings import PLACES, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

MILLIONS = (1, 10, 100)
BOXES = 1_000
SCALE = 0.1
"""Of the keys of `authority.py`: 3.4 million identifiers."""
PORTION = 250_000
NOW_S = authority.NOW_S


def make(path: Path, millions: float, boxes: list[str], begin: int) -> None:
    """A file of opened records; its encounters are the same in every run."""
    order = Office(NOW_S).request(*boxes, from_s=NOW_S - 86_400, to_s=NOW_S, nonce=bytes(16))
    rows = int(millions * 1_000_000)
    known = verdict(next(iter(PLACES)))
    with opened.create(path, request=order, now_s=NOW_S) as target, Progress(console=Console(stderr=True)) as bar:
        for box in boxes:
            target.add(replace(known, device=box, place=box), [], [])
        target.db.execute("PRAGMA journal_mode = OFF")
        target.db.execute("PRAGMA synchronous = OFF")
        task = bar.add_task(f"making {path.name}", total=rows)
        for start in range(0, rows, PORTION):
            with target.db:
                many = target.db.executemany
                many("INSERT INTO encounter VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _rows(begin + start, boxes))
            bar.update(task, completed=start + PORTION)


def _rows(seed: int, boxes: list[str]) -> Iterator[tuple[str, int, int, int, bytes, int, int, int]]:
    dice = np.random.default_rng(seed)
    payload = dice.integers(0, 256, (PORTION, 20), dtype=np.uint8)
    protocol = dice.integers(1, 3, PORTION, dtype=np.uint8)
    payload[protocol == bluezone.PROTOCOL.tag, 12:] = 0
    at_s = dice.integers(authority.MIDNIGHT - 13 * 86_400, authority.MIDNIGHT + 86_400, PORTION).tolist()
    if seed == 0:
        some = (block.all() for block in bulk.blocks(authority.keys(0.001)))
        planted = [(block, row) for block in some for row in range(0, len(block.ids), 7)][: authority.HITS]
        for place, (block, row) in enumerate(planted):
            payload[place, :16] = block.ids[row].view(np.uint8)
            protocol[place], at_s[place] = block.protocol, int(block.start_s[row]) + 30
    data = payload.tobytes()
    for place, (tag, at) in enumerate(zip(protocol.tolist(), at_s, strict=True)):
        box = boxes[(seed + place) % len(boxes)]
        yield box, at, at, tag, data[20 * place : 20 * place + 20], 4, -80, -70


def one(scale: float, paths: list[Path]) -> dict[str, float]:
    """In a process: the match; what it took."""
    everyone = authority.cases(scale)
    spent: dict[str, float] = {}
    clock = authority.Clock()

    def note(step: str, _done: int, _of: int) -> None:
        spent[step] = time.perf_counter()

    began = time.perf_counter()
    found = match.match(everyone, paths, now_s=NOW_S, on_step=note)
    told = clock.read("match")
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    for step, at in sorted(spent.items(), key=lambda item: item[1]):
        told[step], began = at - began, at
    return told | {
        "minutes": len(found.sightings),
        "identifiers": found.identifiers,
        "all_cpu_s": told["match_cpu_s"] + children.ru_utime + children.ru_stime,
        "peak_mb": max(own.ru_maxrss, children.ru_maxrss) / 1024,
    }


def bare(scale: float) -> tuple[float, float]:
    """Seconds on the wall of half the bare work in each of two processes at once, and of the processor of both."""

    def half(_number: int) -> float:
        words = [sys.executable, "-m", "tests.benchmarks.authority", "--part", "bare", "--scale", str(scale / 2)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        return float(json.loads(done.stdout)["bare_cpu_s"])

    began = time.perf_counter()
    with ThreadPoolExecutor(2) as both:
        cpu_s = sum(both.map(half, range(2)))
    return time.perf_counter() - began, cpu_s


def run(scale: float, paths: list[Path]) -> dict[str, float]:
    """One match in a process of its own."""
    # Not as a program: its processes would import all of it again.
    words = [sys.executable, "-c", "from tests.benchmarks import matching; matching.main()", "--run", str(scale)]
    words += map(str, paths)
    found: dict[str, float] = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    return found


def row(millions: float, figures: dict[str, float], floor_cpu_s: float, disk_gb: float) -> list[str]:
    """As a table has it."""
    return [
        f"{millions:g} M, {disk_gb:.2f} GB",
        f"{figures['identifiers'] / 1e6:.1f} M",
        f"{figures['match_s']:.0f}",
        ", ".join(f"{figures.get(step, 0):.0f}" for step in ("reading", "deriving", "looking up")),
        f"{figures['all_cpu_s']:.1f}",
        f"{floor_cpu_s:.1f}",
        f"{figures['peak_mb']:.0f}",
        f"{figures['minutes']:,.0f}",
    ]


HEADS = (
    "encounters", "identifiers", "s", "of that reading, deriving, looking up", "processor s", "bare, processor s",
    "peak MB", "minutes found",
)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--encounters", type=float, nargs="+", default=MILLIONS, metavar="MILLIONS")
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    if options.run:
        sys.stdout.write(json.dumps(one(float(options.run[0]), list(map(Path, options.run[1:])))) + "\n")
        return
    boxes = [f"{number:010d}" for number in range(BOXES)]
    _, floor = bare(SCALE)
    rows, made, total = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for millions in options.encounters:
            path = Path(folder) / f"{millions:g}.opened"
            make(path, millions - total, boxes, int(total * 1_000_000))
            made.append(path)
            total = millions
            disk_gb = sum(file.stat().st_size for file in made) / 1e9
            rows.append(row(millions, run(SCALE, made), floor, disk_gb))

        _, more = bare(10 * SCALE)
        rows.append(row(total, run(10 * SCALE, made), more, disk_gb))
    text = document.table(HEADS, rows)
    document.report("matching", "python -m tests.benchmarks.matching --write", text, keep=options.write)


if __name__ == "__main__":
    main()
