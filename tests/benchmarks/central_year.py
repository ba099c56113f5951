"""A country's centre after a long time: rows, bytes, and what each page costs, over ten times the boxes and the days.

The tables are filled by PostgreSQL itself (INSERT ... SELECT), day after day in the order in which collectors would
have done it: a release of every box and hour; health and checkpoints by the hour for 90 days, one checkpoint a day
before. Then the page and the API are asked over HTTP. A year of 10,000 boxes is 88 million releases: the runs are a
tenth of its boxes for a year, and all of them for a tenth of it, so that a question that grows with either is seen.

Run: `python -m tests.benchmarks.central_year`, or `--runs 1000x365 --json`. 8.6 million hours need 30 GB for a while.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from edge_scanner.central.store.engine import transaction
from edge_scanner.central.store.model import Box, Site
from edge_scanner.central.store.months import add_months
from edge_scanner.central.store.store import BoxList, open_store
from tests.benchmarks import document
from tests.support.central import HOUR_S, device_of
from tests.support.postgres import Postgres
from tests.support.serving import PASSWORD, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_scanner.central.store.store import Store

RUNS = ("1000x36", "10000x36", "1000x365")
DAY_S = 86_400
END_S = HOUR_S - HOUR_S % DAY_S
RECENT_DAYS = 90
SITE_BOXES = 4
KINDS = ("school", "hotel", "station", "hospital", "enterprise", "market")
OPENINGS = 40
"""Of the whole fleet, over the whole span: they are rare."""
CHECKPOINT_BYTES = 1300
ASKED = 3
LIGHT = {"light": "ok", "code": ""}
HEALTH = {
    "seq": 7, "uptime_s": 86_400, "recoveries": {"scanner": 1}, "outbox_rows": 0, "outbox_dropped_total": 0,
    "pubacks": {"accepted": 9}, "last_contact": END_S, "certificate_expires": END_S + 90 * DAY_S,
    "recipients_expire": END_S + 60 * DAY_S, "oldest_record": END_S - 14 * DAY_S, "retention_days": 14,
    "loop_lag_ms": 1.4, "rss_mb": 41.2,
    "lights": dict.fromkeys(("radio", "log", "clock", "storage", "broker", "counts"), LIGHT),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one question cost: the first time, the median of the next ones, this process's share of it (without the
    database), and how long its answer is.
    """

    cold_ms: float
    warm_ms: float
    own_ms: float
    kilobytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One fleet after one span."""

    boxes: int
    days: int
    rows: dict[str, int]
    gigabytes: dict[str, float]
    fill_s: float
    answers: dict[str, Answer]


def the_list(boxes: int) -> BoxList:
    """The signed list: four boxes a site, a quarter of the sites one hall, thirty sites a district."""
    sites = [
        Site(
            site=f"site-{number}",
            name=f"Nơi {number}",
            province=f"Tỉnh {number // 300}",
            district=f"Quận {number // 30}",
            kind=KINDS[number % len(KINDS)],
            rule="separate" if number % 4 else "same hall",
        )
        for number in range(-(-boxes // SITE_BOXES))
    ]
    listed = [
        Box(
            device=device_of(number),
            site=f"site-{number // SITE_BOXES}",
            room="Cửa",
            state="enrolled",
            identity=bytes(32),
        )
        for number in range(boxes)
    ]
    return BoxList(made=1, digest=b"1", boxes=tuple(listed), sites=tuple(sites))


_RELEASES = """
INSERT INTO releases SELECT device, 'broker', h, 3600, site, 12, 60, 0.25, 264.0, 51.0, 1, 'ntp', nearby,
  jsonb_build_object('nearby', nearby, 'bluezone', (random() * 240)::int, 'bluezone_presence', (random() * 40)::int),
  411, decode(md5(device || h) || md5(h || device), 'hex'), h + 3603, h + 3604,
  decode(md5(h || device) || md5(device || h), 'hex')
FROM (SELECT device, site, h, (random() * 900)::int AS nearby
      FROM generate_series(:start, :end, 3600) AS h CROSS JOIN boxes ORDER BY h) AS hours"""
_STATEMENTS = """
INSERT INTO statements SELECT device, 'checkpoint', (h / 3600)::text, h / 3600, h, h + 4,
  decode(repeat('63', :bytes), 'hex')
FROM generate_series(:first, :end, 3600) AS h CROSS JOIN boxes ORDER BY h"""
_HEALTH = """
INSERT INTO health SELECT device, h, h + 300, CAST(:health AS jsonb)
FROM generate_series(:start, :end, 3600) AS h CROSS JOIN boxes"""
_NEWEST = (
    """
INSERT INTO states SELECT device, kind, 12, 1, :at, :at + 1,
  CAST(CASE kind WHEN 'status' THEN :status ELSE :health END AS jsonb)
FROM boxes CROSS JOIN (VALUES ('status'), ('health')) AS kinds (kind)""",
    """
INSERT INTO heads SELECT device, 8760, decode(md5(device), 'hex'), 12, decode(md5(device), 'hex'),
  decode(repeat('63', 400), 'hex'), :at, :at, true FROM boxes""",
    """
INSERT INTO statements SELECT device, 'audit', '1', 1, :at - n * 3600, :at - n * 3600, convert_to(:entry, 'UTF8')
FROM (SELECT device, row_number() OVER () AS n FROM boxes LIMIT :openings) AS opened""",
    """
INSERT INTO alarms (device, kind, mark, raised, what, evidence)
SELECT device, 'gap', '3', :at, 'statements are missing', '{}' FROM boxes LIMIT 20""",
)


def fill(store: Store, boxes: int, days: int) -> None:
    """Everything that is there after `days` days, day by day, as it would have come."""
    store.take_list(the_list(boxes))
    for day in range(days):
        start_s = END_S - DAY_S * (days - day)
        recent = days - day <= RECENT_DAYS
        values = {
            "start": start_s, "end": start_s + DAY_S - 1, "bytes": CHECKPOINT_BYTES, "health": json.dumps(HEALTH),
            "first": start_s if recent else start_s + DAY_S - 3600,
        }  # fmt: skip
        with transaction(store._engine, write=True) as connection:
            add_months(connection, set(), releases=[start_s], health=[start_s])
            for one in (_RELEASES, _STATEMENTS, *([_HEALTH] if recent else [])):
                connection.execute(sa.text(one), values)
    _newest(store)


def _newest(store: Store) -> None:
    """The fleet's newest words, its heads, and the rare: openings and alarms."""
    status = json.dumps({"state": "online", "software": "1.0.0", "boot": 12, "seq": 1})
    entry = json.dumps({"action": "answer", "authority": "CDC", "case": "C-1", "code": "", "number": 1})
    values = {"at": END_S - 60, "status": status, "health": json.dumps(HEALTH), "entry": entry, "openings": OPENINGS}
    with transaction(store._engine, write=True) as connection:
        for one in _NEWEST:
            connection.execute(sa.text(one), values)
    with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def rows_and_bytes(store: Store) -> tuple[dict[str, int], dict[str, float]]:
    """Of the large tables, partitions and indexes included."""
    rows, sizes = {}, {}
    with store._engine.connect() as connection:
        for table in ("releases", "health", "statements"):
            rows[table] = connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) or 0
            size = sa.text(
                "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(:table)"
                if table != "statements"
                else "SELECT pg_total_relation_size(:table)"
            )
            sizes[table] = round(float(connection.scalar(size, {"table": table}) or 0) / 1e9, 2)
    return rows, sizes


def paths(boxes: int) -> dict[str, str]:
    """What a reader and a program ask."""
    site = f"site-{boxes // SITE_BOXES // 2}"
    week, day = END_S - 7 * DAY_S, END_S - DAY_S
    bins = "/api/v1/bins?from={}&to={}&format={}"
    return {
        "the start page": "/",
        "a place, 7 days": f"/sites/{site}?days=7",
        "a place, 30 days": f"/sites/{site}?days=30",
        "a place, 365 days": f"/sites/{site}?days=365",
        "`/tree`": "/api/v1/tree",
        "`/bins`, a place's week, CSV": bins.format(week, END_S, "csv") + f"&site={site}",
        "`/bins`, all places, a day, Parquet": bins.format(day, END_S, "parquet"),
        "`/alarms`": "/api/v1/alarms",
        "`/metrics`": "/api/v1/metrics",
    }


def ask(url: str, boxes: int, warn: Callable[[str], None]) -> dict[str, Answer]:
    """Each question a few times, as somebody who has signed in."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    form = urllib.parse.urlencode({"name": "lan", "password": PASSWORD}).encode()
    opener.open(urllib.request.Request(f"{url}/login", data=form, headers={"Origin": url})).read()
    found = {}
    for name, path in paths(boxes).items():
        warn(name)
        taken, own, size = [], [], 0
        for _ in range(ASKED):
            began_s, used_s = time.perf_counter(), time.process_time()
            with opener.open(url + path) as answer:
                size = len(answer.read())
            taken.append(1000 * (time.perf_counter() - began_s))
            own.append(1000 * (time.process_time() - used_s))
        warm, used = (sorted(some[1:])[(len(some) - 1) // 2] for some in (taken, own))
        found[name] = Answer(
            cold_ms=round(taken[0], 1), warm_ms=round(warm, 1), own_ms=round(used, 1), kilobytes=round(size / 1000, 1)
        )
    return found


def measure(boxes: int, days: int, say: Callable[[str], None]) -> Result:
    """One run on a server of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Postgres(options="-c shared_buffers=1GB -c max_wal_size=4GB -c work_mem=16MB") as server,
    ):
        url = server.new_database()
        with open_store(url) as store:
            began_s = time.perf_counter()
            fill(store, boxes, days)
            fill_s = time.perf_counter() - began_s
            rows, sizes = rows_and_bytes(store)
            say(f"{rows} {sizes} in {fill_s:.0f} s")
            with serving(Path(folder), filled=False, now_s=END_S + 120.0, url=url) as served:
                answers = ask(served.url, boxes, say)
            began_s = time.perf_counter()
            say("prune")
            store.prune(END_S + 120)
            answers["an hour's pruning"] = _once(time.perf_counter() - began_s)
        return Result(boxes=boxes, days=days, rows=rows, gigabytes=sizes, fill_s=round(fill_s), answers=answers)


def _once(seconds: float) -> Answer:
    return Answer(cold_ms=round(1000 * seconds, 1), warm_ms=round(1000 * seconds, 1), own_ms=0.0, kilobytes=0.0)


def rows(results: list[Result]) -> Iterator[list[Any]]:
    """The table: one column a run."""
    for name in ("releases", "health", "statements"):
        yield [f"rows of `{name}`; GB", *(f"{one.rows[name]:,}; {one.gigabytes[name]}" for one in results)]
    for name in results[0].answers:
        cells = [one.answers[name] for one in results]
        yield [
            name,
            *(
                f"{cell.cold_ms:,.0f}, {cell.warm_ms:,.0f}, {cell.own_ms:,.0f} ms; {cell.kilobytes:,.0f} kB"
                for cell in cells
            ),
        ]


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", nargs="+", default=list(RUNS), metavar="BOXESxDAYS")
    parser.add_argument("--json", action="store_true", help="one JSON object a run instead of the table")
    given = parser.parse_args()
    results = []
    for run in given.runs:
        boxes, _, days = run.partition("x")
        results.append(measure(int(boxes), int(days), _say))
        if given.json:
            sys.stdout.write(json.dumps(asdict(results[-1])) + "\n")
            sys.stdout.flush()
    heads = ["", *(f"{one.boxes:,} boxes, {one.days} days" for one in results)]
    if not given.json:
        sys.stdout.write(document.table(heads, rows(results)) + "\n")


if __name__ == "__main__":
    main()
