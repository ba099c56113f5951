"""What counting costs: per advert and in memory with 10,000 identifiers alive, per minute closed, per release.

Run: `python -m tests.benchmarks.counting`, or `--identifiers 1000 --json`.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from edge_scanner.core.advertising import AdvertisingData
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.model import Advert, Tally
from edge_scanner.protocols import load, recognise

if TYPE_CHECKING:
    from edge_scanner.core.model import Sighting

START_S = 1_700_002_800
ROUNDS = 24
"""Two minutes of 5-second bursts."""


def bursts(identifiers: int, at_s: float) -> list[tuple[Advert, list[Sighting]]]:
    """One burst of every device: two thirds with an identifier, one third without any protocol."""
    protocols = load(["gaen"])
    events = []
    for number in range(identifiers * 3 // 2):
        payload = number.to_bytes(20, "big")[::-1]
        known = number < identifiers
        service_data = {"0000fd6f-0000-1000-8000-00805f9b34fb": payload} if known else {}
        advert = Advert(
            data=AdvertisingData(service_data=service_data, manufacturer_data={}),
            address_tag=payload[:8],
            first_s=at_s,
            last_s=at_s + 4,
            count=10,
            rssi_count=10,
            rssi_sum=-700,
            rssi_max=-65,
        )
        events.append((advert, recognise(protocols, advert)))
    return events


def measure(identifiers: int) -> dict[str, float]:
    """The figures, times in microseconds or milliseconds, memory in MB."""
    protocols = load(["bluezone", "gaen"])
    tracemalloc.start()
    counter = Counter(protocols)
    first = bursts(identifiers, START_S)
    before = tracemalloc.get_traced_memory()[0]
    for event in first:
        counter.add(*event)
    memory = (tracemalloc.get_traced_memory()[0] - before) / 1e6
    tracemalloc.stop()
    spent = 0.0
    adverts = 0
    closing = []
    for turn in range(1, ROUNDS + 1):
        events = bursts(identifiers, START_S + 5 * turn)
        began = time.perf_counter()
        for event in events:
            counter.add(*event)
        spent += time.perf_counter() - began
        adverts += len(events)
        if turn % 12 == 0:
            began = time.perf_counter()
            counter.close(START_S + 5 * turn - 60)
            closing.append(time.perf_counter() - began)
    ledger = Ledger(figures=counter.figures)
    tally = dict.fromkeys(counter.figures, 100)
    began = time.perf_counter()
    for minute in range(600):
        ledger.add(Tally(minute_s=START_S + minute * 60, listened_s=60.0, figures=tally))
    per_release = (time.perf_counter() - began) / len(ledger.due(START_S))
    return {
        "identifiers": identifiers,
        "add_us": spent / adverts * 1e6,
        "close_ms": max(closing) * 1e3,
        "memory_mb": memory,
        "release_us": per_release * 1e6,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--identifiers", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.identifiers)
    if options.json:
        print(json.dumps(found))  # noqa: T201 (the answer for programs)
        return
    table = Table(
        "what", "cost", title=f"Counting with {options.identifiers:,} identifiers and half as many others alive"
    )
    table.add_row("one advert (burst)", f"{found['add_us']:.2f} us")
    table.add_row("closing a minute", f"{found['close_ms']:.1f} ms")
    table.add_row("memory of the tables", f"{found['memory_mb']:.1f} MB")
    table.add_row("one release, its share of the sums included", f"{found['release_us']:.0f} us")
    Console().print(table)


if __name__ == "__main__":
    main()
