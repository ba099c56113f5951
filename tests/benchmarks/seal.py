"""What sealing costs: a frame, a segment, a checkpoint; bytes per encounter at rest; opening a day.

Bytes at rest are those of a real SQLite file with the product's schema in rows of the product's sizes.

Run: `python -m tests.benchmarks.seal`, or `--frames 600 --json`.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from edge_scanner.core.log import merkle, opener
from edge_scanner.core.log.frames import RECORD_BYTES, EndReason
from edge_scanner.core.log.verifier import Verifier
from tests.support.sealed_logs import Box, encounter, keys_of

if TYPE_CHECKING:
    from edge_scanner.core.model import Encounter

HALL = 60
"""Identifiers a minute in the venue of the design's estimate (61.5)."""
DAY_MINUTES = 1440
RETENTION_DAYS = 14


def seal_times(box: Box, found: list[Encounter], count: int) -> list[float]:
    """Microseconds of each minute, rows handed over in between as the daemon does."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        box.log.seal(box.now_s, found, clock=box.clock(60))
        times.append((time.perf_counter() - begin) * 1e6)
        box.now_s += 60
        box.commit()
    return times


def file_bytes(box: Box) -> int:
    """The log's rows in a database of 4,096-byte pages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        database = sqlite3.connect(path)
        database.executescript(
            "CREATE TABLE segment(seq INTEGER PRIMARY KEY, opened_s REAL, header BLOB);"
            "CREATE TABLE frame(id INTEGER PRIMARY KEY, ciphertext BLOB);"
            "CREATE TABLE leaf(seq INTEGER PRIMARY KEY, digest BLOB);"
        )
        database.executemany(
            "INSERT INTO segment VALUES (?, ?, ?)",
            [(row.seq, row.opened_s, row.header) for row in box.stored.headers],
        )
        database.executemany(
            "INSERT INTO frame VALUES (?, ?)",
            [(f.seq << 20 | f.number, f.ciphertext) for rows in box.stored.frames.values() for f in rows],
        )
        database.executemany("INSERT INTO leaf VALUES (?, ?)", [(row.seq, row.digest) for row in box.stored.leaves])
        database.commit()
        database.close()
        return path.stat().st_size


def reading_times(box: Box) -> tuple[float, float]:
    """Milliseconds to verify, and to open with both keys, everything the box stored."""
    stored = box.stored
    begin = time.perf_counter()
    verifier = Verifier(
        device=box.device, identity=box.identity.public_key(), before=merkle.EMPTY, leaves=stored.digests()
    )
    for boot in stored.boots:
        verifier.boot(boot.record)
    for row in stored.headers:
        verifier.segment(row, stored.frames[row.seq])
    verifier.finish()
    middle = time.perf_counter()
    keys = keys_of("authority", "custodian")
    for row in stored.headers:
        list(opener.open_frames(row.header, opener.part_keys(row.header, keys), stored.frames[row.seq]))
    return (middle - begin) * 1e3, (time.perf_counter() - middle) * 1e3


def measure(count: int) -> dict[str, float]:
    """All figures."""
    figures: dict[str, float] = {}
    for size in (0, HALL, 153, 1683):
        times = seal_times(Box().minutes(1), [encounter(n) for n in range(size)], count)
        figures[f"us_per_minute_of_{size}_encounters"] = round(statistics.median(times), 1)
    opening = []
    for _ in range(20):
        box = Box()
        begin = time.perf_counter()
        box.log.seal(box.now_s, [], clock=box.clock(60))
        opening.append((time.perf_counter() - begin) * 1e6 - figures["us_per_minute_of_0_encounters"])
    figures["us_to_open_a_segment_for_two_parties"] = round(statistics.median(opening), 1)
    box = Box()
    begin = time.perf_counter()
    seal_times(box, [encounter(n) for n in range(HALL)], DAY_MINUTES)
    figures["ms_to_seal_a_day"] = round((time.perf_counter() - begin) * 1e3, 1)
    box.log.close(EndReason.STOP, box.clock())
    box.commit()
    verify_ms, open_ms = reading_times(box)
    figures["ms_to_verify_a_day"] = round(verify_ms, 1)
    figures["ms_to_open_a_day"] = round(open_ms, 1)
    figures["header_bytes_for_two_parties"] = len(box.stored.headers[0].header)
    day = file_bytes(box)
    figures["bytes_per_encounter_at_rest_at_60_a_minute"] = round(day / (HALL * DAY_MINUTES), 1)
    figures["bytes_per_encounter_at_rest_at_153_a_minute"] = round(day / (153 * DAY_MINUTES), 1)
    figures["bytes_per_encounter_of_information"] = RECORD_BYTES
    figures["mb_per_14_days_up_to_153_a_minute"] = round(day * RETENTION_DAYS / 1e6, 1)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=600, help="minutes to time for each crowd (600)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    figures = measure(options.frames)
    if options.json:
        print(json.dumps(figures))  # noqa: T201 (the result is the output)
        return
    table = Table("figure", "value", box=None, header_style="bold")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(table)


if __name__ == "__main__":
    main()
