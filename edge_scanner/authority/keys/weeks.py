"""ISO weeks of opening keys: `2026-W48` begins on Monday 00:00 UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from edge_scanner.core.errors import BadDataError

WEEK_S = 7 * 86400
_WEEK = re.compile(r"(\d{4})-W(\d{2})")


def week_of(at_s: float) -> str:
    """The week that holds a moment, UTC seconds."""
    year, week, _ = datetime.fromtimestamp(at_s, UTC).isocalendar()
    return f"{year}-W{week:02d}"


def week_start(week: str) -> int:
    """UTC seconds of a week's beginning; raises BadDataError."""
    match = _WEEK.fullmatch(week)
    year, number = (int(match[1]), int(match[2])) if match else (0, 0)
    try:
        return int(datetime.fromisocalendar(year, number, 1).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise BadDataError("not an ISO week", where=week, hint="write 2026-W48") from error


def weeks_from(week: str, count: int) -> list[str]:
    """`count` weeks, the first one `week`."""
    start = datetime.fromtimestamp(week_start(week), UTC)
    return [week_of((start + timedelta(weeks=number)).timestamp()) for number in range(count)]
