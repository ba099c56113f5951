"""Which reader a file needs, told by its first bytes, and the reports of one or several files in order of time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from edge_scanner.device.replay.captures import btsnoop, packetlogger, pcap
from edge_scanner.device.replay.captures.hci import HciReader
from edge_scanner.device.replay.captures.linklayer import LinkLayerReader
from edge_scanner.device.replay.captures.opening import open_capture
from edge_scanner.device.replay.captures.records import Link
from edge_scanner.device.replay.captures.timeline import Timeline, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from edge_scanner.device.replay.captures.records import Losses, Record, Report, Source

    OnRecord = Callable[[Path, int, float], None]


def records(source: Source) -> Iterator[Record]:
    """Every record of a capture; raises BadDataError naming file and byte for an unknown or damaged one."""
    order = packetlogger.byte_order(source.peek(packetlogger.HEAD_BYTES))
    if order:
        return packetlogger.read(source, order)
    magic = source.take(4)
    if magic in pcap.PCAP_MAGICS:
        return pcap.read_pcap(source, magic)
    if magic == pcap.PCAPNG_MAGIC:
        return pcap.read_pcapng(source)
    if magic + source.take(4) == btsnoop.MAGIC:
        return btsnoop.read(source)
    raise source.damaged("not a capture file", 0, hint="btsnoop, pcap, pcapng and PacketLogger are read")


def read(
    path: Path, losses: Losses, on_record: OnRecord | None = None, *, utc_offset_s: float = 0.0
) -> Iterator[Report]:
    """The reports of one capture in order of time, `-` for standard input.

    `on_record` hears the file, the bytes read and the time reached; `utc_offset_s` is how far the capture's clock is
    ahead of UTC. Raises BadDataError for an unknown or damaged file, OSError with its name for one that cannot be read.
    """
    with open_capture(path, utc_offset_s) as source:
        yield from in_order(_reports(path, source, losses, on_record))


def merge(
    paths: Iterable[Path], losses: Losses, on_record: OnRecord | None = None, *, utc_offset_s: float = 0.0
) -> Iterator[Report]:
    """The reports of several captures as if one receiver had heard them."""
    return heapq.merge(*(read(path, losses, on_record, utc_offset_s=utc_offset_s) for path in paths), key=_time)


def _time(report: Report) -> float:
    return report.at_s


def _reports(path: Path, source: Source, losses: Losses, on_record: OnRecord | None) -> Iterator[Report]:
    hci, link_layer = HciReader(losses), LinkLayerReader(losses)
    for record in Timeline(losses).timed(records(source)):
        if on_record is not None:
            on_record(path, source.position, record.at_s)
        if record.link in (Link.EVENT, Link.H4, Link.MONITOR):
            yield from hci.reports(record)
        elif record.link is not Link.OTHER:
            yield from link_layer.reports(record)
