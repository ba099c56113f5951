"""The centre's store over a simulated span of a fleet: rows a second, bytes a row, and what each question costs.

A simulated hour is one release, one health and one checkpoint-sized statement of every box, committed in batches of 500
as the collector does. `--boxes 10000 --days 365` is a country's year; fewer give the same bytes a row, and a second run
with ten times fewer boxes shows the slope of each question. Times are of this machine, rows and bytes are not.

Run: `python -m tests.benchmarks.central --boxes 100 --days 30`, with `--postgres` on a PostgreSQL of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from edge_scanner.central.store.model import Batch, Box, Site
from edge_scanner.central.store.store import BoxList, open_store
from tests.support.central import HOUR_S, device_of, release, state, statement
from tests.support.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_scanner.central.store.store import Store

BATCH = 500
CHECKPOINT = b"c" * 1300
"""As long as a checkpoint message with a proof of twenty hashes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One span of one fleet; `questions_ms` are the medians of five."""

    database: str
    boxes: int
    days: int
    rows: int
    rows_a_second: float
    megabytes: float
    bytes_a_box_hour: float
    questions_ms: dict[str, float]


def fill(store: Store, boxes: int, days: int) -> tuple[int, float]:
    """Rows kept and the seconds that it took."""
    names = [device_of(number) for number in range(boxes)]
    sites = {name: f"site-{number // 4}" for number, name in enumerate(names)}
    store.take_list(
        BoxList(
            made=1,
            digest=b"1",
            boxes=tuple(Box(device=n, site=sites[n], room="", state="enrolled", identity=bytes(32)) for n in names),
            sites=tuple(Site(site=site, name=site, kind="station") for site in sorted(set(sites.values()))),
        )
    )
    rows, began_s = 0, time.perf_counter()
    for hour in range(24 * days):
        at = HOUR_S + 3600 * hour
        for start in range(0, boxes, BATCH):
            part = names[start : start + BATCH]
            batch = Batch(
                releases=tuple(release(name, at, site=sites[name]) for name in part),
                states=tuple(state(name, "health", seq=hour, at=at, received=at, body=_HEALTH) for name in part),
                statements=tuple(
                    statement(name, "checkpoint", hour, at=at, received=at, payload=CHECKPOINT) for name in part
                ),
            )
            store.keep(batch, now_s=at)
            rows += len(batch)
    return rows, time.perf_counter() - began_s


_HEALTH = {
    "uptime_s": 86_400,
    "outbox_rows": 0,
    "loop_lag_ms": 100,
    "rss_mb": 60,
    "lights": {name: {"light": "ok", "code": ""} for name in ("radio", "log", "clock", "storage", "broker", "counts")},
}


def questions(store: Store, days: int) -> dict[str, float]:
    """Milliseconds of what the page and the API ask."""
    end = HOUR_S + 86_400 * days
    read = store.read
    first = read.boxes()[0]
    asked: dict[str, Callable[[], object]] = {
        "all sites, the newest hour": lambda: read.bins(end - 3600, end, figures=("bluezone",)),
        "one site, a week by the hour": lambda: read.bins(end - 7 * 86_400, end, site=first.site),
        "one site, the whole span by the day": lambda: read.bins(0, end, site=first.site, step_s=86_400),
        "the fleet now": read.fleet,
        "a page of 10,000 releases": lambda: read.releases(end - 86_400, end),
        "one box's evidence": lambda: list(read.statements(first.device)),
    }
    found = {}
    for name, ask in asked.items():
        taken = []
        for _ in range(5):
            began_s = time.perf_counter()
            ask()
            taken.append(1000 * (time.perf_counter() - began_s))
        found[name] = round(sorted(taken)[2], 1)
    return found


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """A database of its own."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="edge-central-") as folder:
            yield f"sqlite:///{folder}/central.db"
    else:
        with Postgres(durable=True) as server:
            yield server.new_database()


def size_of(store: Store, url: str) -> int:
    """Bytes of tables and indexes."""
    engine = store._engine
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(url.removeprefix("sqlite:///")).stat().st_size


def measure(kind: str, boxes: int, days: int) -> Result:
    """One run."""
    with database(kind) as url, open_store(url) as store:
        empty = size_of(store, url)
        rows, taken_s = fill(store, boxes, days)
        used = size_of(store, url) - empty
        return Result(
            database=kind,
            boxes=boxes,
            days=days,
            rows=rows,
            rows_a_second=round(rows / taken_s),
            megabytes=round(used / 1e6, 1),
            bytes_a_box_hour=round(used / (boxes * days * 24)),
            questions_ms=questions(store, days),
        )


def main() -> None:
    """Measure and print one JSON object a run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boxes", type=int, default=100)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    kind = "postgresql" if given.postgres else "sqlite"
    for boxes in sorted({max(1, given.boxes // 10), given.boxes}):
        sys.stdout.write(json.dumps(asdict(measure(kind, boxes, given.days))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
