"""`edge-scanner figures`: released phones by hour, day or month, up to two years back, with the interval of each."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from rich.table import Table

from edge_scanner import terminal
from edge_scanner.core.counts import hours
from edge_scanner.core.counts.intervals import tenths
from edge_scanner.core.errors import RefusedError
from edge_scanner.core.wording import counted
from edge_scanner.device.storage.store import open_reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from pathlib import Path

    from edge_scanner.core.counts.hours import Hour, Step

DAY_S = 86_400
By = Literal["hour", "day", "month"]
COLUMNS = ("start_utc", "start_local", "minutes_covered", "phones", "low", "high")
"""Of the CSV. `low` and `high` are the 95 % interval; the last three are empty where nothing was listened to."""


def run_figures(
    *,
    database: Path,
    zone: tzinfo,
    days: int = 7,
    by: By = "day",
    as_csv: bool = False,
    as_json: bool = False,
    now_s: float | None = None,
) -> None:
    """Print the last `days` at the venue, today included, oldest first.

    Raises RefusedError, code `no-figures`, where nothing was released.
    """
    until_s = time.time() if now_s is None else now_s
    from_s = start(int(until_s) - (days - 1) * DAY_S, zone, "day")
    found = hours.steps(asyncio.run(_hours(database, from_s, until_s)), lambda at_s: start(at_s, zone, by))
    if not found:
        raise RefusedError(
            f"nothing was released in {counted(days, 'day')}",
            code="no-figures",
            hint="let the box run for an hour, or ask for more days",
        )
    if as_csv:
        for line in text(found, zone).splitlines():
            terminal.say(line)
    elif as_json:
        terminal.say_json([_row(step, zone) for step in found])
    else:
        _show(found, zone, by)


def start(at_s: int, zone: tzinfo, by: By) -> int:
    """UTC seconds at which the venue's day or month with the hour `at_s` began; an hour is its own."""
    local = datetime.fromtimestamp(at_s, UTC).astimezone(zone)
    if by == "hour":
        return at_s
    first = local.replace(hour=0, minute=0, second=0, day=1 if by == "month" else local.day, fold=0)
    return int(first.timestamp())


def text(found: Sequence[Step], zone: tzinfo) -> str:
    """As CSV. All values are numbers and times, so no cell can be a spreadsheet's formula."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(step, zone) for step in found)
    return out.getvalue()


def _row(step: Step, zone: tzinfo) -> dict[str, object]:
    phones, low, high = tenths(step.phones)
    return {
        "start_utc": f"{datetime.fromtimestamp(step.start_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "start_local": f"{datetime.fromtimestamp(step.start_s, UTC).astimezone(zone):%Y-%m-%d %H:%M}",
        "minutes_covered": step.minutes,
        "phones": phones,
        "low": low,
        "high": high,
    }


def _show(found: Sequence[Step], zone: tzinfo, by: By) -> None:
    form = {"hour": "%Y-%m-%d %H:%M", "day": "%Y-%m-%d", "month": "%Y-%m"}[by]
    table = Table(title="Phones present on average, with the 95 % interval of the noise")
    table.add_column(by)
    table.add_column("phones", justify="right")
    table.add_column("hours listened", justify="right")
    for step in found:
        begun = datetime.fromtimestamp(step.start_s, UTC).astimezone(zone)
        said = "" if step.phones is None else str(step.phones)
        table.add_row(f"{begun:{form}}", said, f"{step.minutes / 60:.1f}")
    terminal.console().print(table)


async def _hours(database: Path, from_s: float, until_s: float) -> list[Hour]:
    async with open_reader(database) as store:
        return await store.hours(from_s, until_s)
