"""Two months of released hours, for the operator's comparisons: another file of the kiosk beside the snapshot.

It holds the latest of the hours that the box keeps for two years (core/counts/hours.py), and is written when there is a
new one and not with every beat. Only released hours go in; `from_json` trusts nothing, as the snapshot's does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core import json_documents
from edge_scanner.core.counts.hours import HOUR_S, Hour
from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
DAYS = 62
"""This month and the whole one before it."""
MAX_BYTES = 256 * 1024
_LEAST_MINUTES = 30
_MOST = 1 << 33
"""UTC seconds until 2242, and more than any other number of an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Hours that were listened to for half of their time or longer, oldest first.

    `holiday` is the day beside which a holiday is set: the same of the last one of that name, up to two years ago.
    """

    v: int = VERSION
    hours: tuple[Hour, ...] = ()
    holiday: tuple[Hour, ...] = ()


def build(hours: Iterable[Hour], now_s: float, holiday: Iterable[Hour] = ()) -> History:
    """Those that are over and were listened to; `hours` are of `DAYS` days at most, in the order of time."""

    def told(those: Iterable[Hour]) -> tuple[Hour, ...]:
        return tuple(hour for hour in those if hour.start_s + HOUR_S <= now_s and hour.minutes >= _LEAST_MINUTES)

    return History(hours=told(hours), holiday=told(holiday))


def to_json(history: History) -> bytes:
    """The file's text."""
    return json_documents.dumps(history)


def from_json(data: bytes) -> History:
    """The history in `data`; raises BadDataError naming the field for anything else."""
    history = json_documents.loads(History, data, max_bytes=MAX_BYTES)
    for hour in (*history.hours, *history.holiday):
        numbers = (hour.start_s, hour.minutes - 1, hour.parts - 1, hour.scale, abs(hour.nearby))
        if not all(0 <= number < _MOST for number in numbers):
            raise BadDataError("a value is out of range", where="document.hours")
    if history.v != VERSION:
        raise BadDataError("a value is out of range", where="document.v")
    return history
