"""The released figures of two months, for the operator's comparisons: another file of the kiosk beside the snapshot.

It is written when a bin was released and not with every beat: sixty days are 70 kB. `build` takes `Report`s, so nothing
that was not released has a way in; `from_json` trusts nothing, as the snapshot's does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core import json_documents
from edge_scanner.core.counts.intervals import error
from edge_scanner.core.counts.occupancy import usable
from edge_scanner.core.counts.release import NEARBY
from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_scanner.core.model import Report

VERSION = 1
DAYS = 62
"""This month and the whole one before it."""
MAX_BYTES = 256 * 1024
_MAX_BIN_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """One released bin: phones present on average, noised, which may be negative; `half` its 95 % interval."""

    at_s: int
    bin_s: int
    mean: float
    half: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Bins that were listened to for half of their time or longer, oldest first."""

    v: int = VERSION
    bins: tuple[Bin, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What may be told of one bin, or of several: `likely` is 0 where it may be none, and nothing is negative."""

    likely: int
    low: int
    high: int


def build(reports: Iterable[Report]) -> History:
    """The latest bins of the broker's ledger, as many as one file holds."""
    bins = [
        Bin(
            at_s=report.bin_start_s,
            bin_s=report.bin_s,
            mean=round(report.figures[NEARBY] / report.minutes_covered, 1),
            half=round(error(report, NEARBY) / report.minutes_covered, 1),
        )
        for report in reports
        if usable(report) and NEARBY in report.figures
    ]
    bins.sort(key=lambda one: one.at_s)
    return History(bins=tuple(bins[-json_documents.MAX_ITEMS :]))


def figure(bins: Sequence[Bin]) -> Figure:
    """The average of bins whose noises are independent: of one, or of those that lie a day or longer apart."""
    mean = sum(one.mean for one in bins) / len(bins)
    half = sqrt(sum(one.half**2 for one in bins)) / len(bins)
    if mean < half:
        return Figure(likely=0, low=0, high=round(max(mean, 0.0) + half))
    return Figure(likely=round(mean), low=round(mean - half), high=round(mean + half))


def to_json(history: History) -> bytes:
    """The file's text."""
    return json_documents.dumps(history)


def from_json(data: bytes) -> History:
    """The history in `data`; raises BadDataError naming the field for anything else."""
    history = json_documents.loads(History, data, max_bytes=MAX_BYTES)
    for one in history.bins:
        if not 0 < one.bin_s <= _MAX_BIN_S or one.at_s < 0 or one.half < 0:
            raise BadDataError("a value is out of range", where="document.bins")
    if history.v != VERSION:
        raise BadDataError("a value is out of range", where="document.v")
    return history
