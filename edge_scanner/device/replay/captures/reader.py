"""Which reader a file needs, told by its first bytes, and the reports of one or several files in order of time."""

from __future__ import annotations

import heapq
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from edge_scanner.device.replay.captures import btsnoop, pcap
from edge_scanner.device.replay.captures.hci import HciReader
from edge_scanner.device.replay.captures.linklayer import LinkLayerReader
from edge_scanner.device.replay.captures.records import Link, Losses, Record, Report, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    OnRecord = Callable[[Path, int, float], None]

REORDER_S = 2.0
"""Records of two interfaces, or of a sniffer's threads, are written this much out of order at most; what is later
still is moved to the time already reached."""
REORDER_REPORTS = 4096
"""The reports held back for ordering: 2 s of the busiest channel is below 3,000."""
MAX_STEP_BACK_S = 60.0
"""A clock set back by more than this (a phone whose network corrected it) would fold two times into one: what follows
is moved on by the step, and the step is counted."""


def records(source: Source) -> Iterator[Record]:
    """Every record of a capture; raises BadDataError naming file and byte for an unknown or damaged one."""
    magic = source.take(4)
    if magic in pcap.PCAP_MAGICS:
        return pcap.read_pcap(source, magic)
    if magic == pcap.PCAPNG_MAGIC:
        return pcap.read_pcapng(source)
    if magic + source.take(4) == btsnoop.MAGIC:
        return btsnoop.read(source)
    raise source.damaged("not a capture file", 0, hint="btsnoop, pcap and pcapng are read")


def read(path: Path, losses: Losses, on_record: OnRecord | None = None) -> Iterator[Report]:
    """The reports of one capture in order of time; `on_record` hears the file, the bytes read and the time reached.

    Raises BadDataError for an unknown or damaged file, OSError for one that cannot be opened.
    """
    with path.open("rb") as stream:
        yield from _in_order(_reports(path, Source(stream, str(path)), losses, on_record))


def merge(paths: Iterable[Path], losses: Losses, on_record: OnRecord | None = None) -> Iterator[Report]:
    """The reports of several captures as if one receiver had heard them."""
    return heapq.merge(*(read(path, losses, on_record) for path in paths), key=_time)


def _time(report: Report) -> float:
    return report.at_s


def _reports(path: Path, source: Source, losses: Losses, on_record: OnRecord | None) -> Iterator[Report]:
    hci, link_layer = HciReader(losses), LinkLayerReader(losses)
    newest_s = moved_s = 0.0
    for written in records(source):
        record = replace(written, at_s=written.at_s + moved_s) if moved_s else written
        if record.at_s < newest_s - MAX_STEP_BACK_S:
            losses.clock_steps += 1
            moved_s += newest_s - record.at_s
            record = replace(written, at_s=newest_s)
        newest_s = max(newest_s, record.at_s)
        if on_record is not None:
            on_record(path, source.position, record.at_s)
        if record.link in (Link.EVENT, Link.H4, Link.MONITOR):
            yield from hci.reports(record)
        elif record.link is not Link.OTHER:
            yield from link_layer.reports(record)


def _in_order(reports: Iterable[Report]) -> Iterator[Report]:
    """Slightly unordered reports in order; one that is too late takes the time of the report before it."""
    waiting: list[tuple[float, int, Report]] = []
    number = count()
    reached_s = 0.0
    for report in reports:
        at_s = max(report.at_s, reached_s)
        heapq.heappush(waiting, (at_s, next(number), report))
        while waiting[0][0] <= report.at_s - REORDER_S or len(waiting) > REORDER_REPORTS:
            reached_s, _, first = heapq.heappop(waiting)
            yield _at(first, reached_s)
    while waiting:
        reached_s, _, first = heapq.heappop(waiting)
        yield _at(first, reached_s)


def _at(report: Report, at_s: float) -> Report:
    if report.at_s == at_s:
        return report
    return Report(
        at_s=at_s, address=report.address, address_type=report.address_type, rssi=report.rssi, data=report.data
    )
