"""pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), both byte orders, every clock resolution.

pcapng: section header, interface description, packet blocks (enhanced, simple, obsolete); every other block is passed
over. A simple packet has no time: it takes that of the packet before it, or the first one's.
A link type without Bluetooth LE is refused where its first packet stands, so a file that merely lists an Ethernet
interface is read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_scanner.device.replay.captures.records import MAX_RECORD_BYTES, Link, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.device.replay.captures.records import Source

PCAP_MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
}
"""Magic -> byte order and seconds per unit of the time's second half."""
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

_LINKS = {
    187: (Link.H4, 0),
    192: (Link.PPI, 0),
    201: (Link.H4, 4),
    251: (Link.LE, 0),
    254: (Link.MONITOR, 0),
    256: (Link.LE_PSEUDO_HEADER, 0),
    272: (Link.NORDIC, 0),
}
"""Link type (tcpdump.org/linktypes.html) -> how its packets are wrapped and bytes to drop first (201: direction)."""

_PCAP_MAJOR = 2
_LINK_TYPE_MASK = 0xFFFF
"""Above stand reserved bits and how long a frame check sequence is; Bluetooth links have none."""
_RECORD_HEAD_BYTES = 16

_BYTE_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACE, _OBSOLETE, _SIMPLE, _ENHANCED = 1, 2, 3, 6
_PACKETS = (_OBSOLETE, _SIMPLE, _ENHANCED)
_DESCRIPTION_BYTES = 8
"""Link type, reserved and snap length before an interface's options."""
_TIME_OFFSET_BYTES = 8
_ENHANCED_BYTES = 20
"""Interface (in an obsolete packet: and drops), time (high, low), captured and original length before the packet."""
_BLOCK_FRAME = 12
"""Type, length and the length repeated."""
_END_OF_OPTIONS, _TIME_RESOLUTION, _TIME_OFFSET = 0, 9, 14
_BASE_2 = 0x80
_FINEST = {0: 19, _BASE_2: 63}
"""Resolutions by base: ticks have 64 bits, so a finer clock could not tell a second."""
_MAX_UNTIMED = 4096
"""Simple packets held until one tells the time; a file of nothing else has none."""
_MAX_INTERFACES = 256
"""More interfaces than any sniffer has channels; a file that describes more is damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interface:
    link_type: int
    snap_length: int
    seconds_per_tick: float = 1e-6
    offset_s: int = 0


def read_pcap(source: Source, magic: bytes) -> Iterator[Record]:
    """The records of a pcap file after its magic; raises BadDataError for an unknown link type or damage."""
    order, second_half = PCAP_MAGICS[magic]
    major, _, _, _, _, link_type = struct.unpack(f"{order}HHiIII", source.take(20))
    if major != _PCAP_MAJOR:
        raise source.damaged(f"pcap version {major} is unknown", 4)
    link, skip = _link(source, link_type & _LINK_TYPE_MASK, 20)
    while True:
        offset = source.position
        header = source.maybe(_RECORD_HEAD_BYTES)
        if header is None:
            return
        if not any(header):
            raise source.damaged(
                "the rest of the file is zeros",
                offset,
                hint=f"the power failed while it was written; its first {offset} bytes are intact and can be replayed",
            )
        seconds, fraction, included, _ = struct.unpack(f"{order}IIII", header)
        if included > MAX_RECORD_BYTES or fraction * second_half >= 1:
            raise source.damaged("a record's length or time is impossible", offset)
        data = source.take(included)[skip:]
        at_s = source.utc(seconds + fraction * second_half, offset)
        yield Record(at_s=at_s, link=link, data=data, offset=offset)


def read_pcapng(source: Source) -> Iterator[Record]:
    """The packets of a pcapng file after its first four bytes; raises BadDataError for damage."""
    reached_s: float | None = None
    untimed: list[Record] = []
    for timed, packet in _packets(source):
        if timed:
            reached_s = packet.at_s
            yield from (replace(one, at_s=reached_s) for one in untimed)
            untimed.clear()
            yield packet
        elif reached_s is not None:
            yield replace(packet, at_s=reached_s)
        else:
            untimed.append(packet)
            if len(untimed) > _MAX_UNTIMED:
                break
    if untimed:
        first = untimed[0].offset
        raise source.damaged("the capture's packets have no time", first, hint="save it as pcap or btsnoop")


def _packets(source: Source) -> Iterator[tuple[bool, Record]]:
    """The packets of all sections, and whether each has a time."""
    section = _Section(source, 0)
    while True:
        offset = source.position
        head = source.maybe(4)
        if head is None:
            return
        if head == PCAPNG_MAGIC:
            section = _Section(source, offset)
            continue
        kind, body = section.block(head, offset)
        if kind == _INTERFACE:
            section.describe(body, offset)
        elif kind in _PACKETS:
            yield kind != _SIMPLE, section.packet(kind, body, offset)


class _Section:
    """A section: its byte order and the interfaces described so far."""

    def __init__(self, source: Source, offset: int) -> None:
        """Reads the section header after its type; its options are passed over."""
        self._source = source
        self._interfaces: list[_Interface] = []
        length, magic = source.take(4), source.take(4)
        order = _BYTE_ORDERS.get(magic)
        if order is None:
            raise source.damaged("the section header has no byte order", offset + 8)
        self._order = order
        self._body(length, offset, taken=4)

    def block(self, kind: bytes, offset: int) -> tuple[int, bytes]:
        """A block's type and body, of which only the type was read."""
        return struct.unpack(f"{self._order}I", kind)[0], self._body(self._source.take(4), offset)

    def describe(self, body: bytes, offset: int) -> None:
        """Keep an interface description: link type, reserved, snap length, options."""
        if len(body) < _DESCRIPTION_BYTES or len(self._interfaces) == _MAX_INTERFACES:
            raise self._source.damaged("an interface description is too short or one too many", offset)
        link_type, _, snap_length = struct.unpack(f"{self._order}HHI", body[:_DESCRIPTION_BYTES])
        seconds_per_tick, offset_s = 1e-6, 0
        for code, value in self._options(body[_DESCRIPTION_BYTES:]):
            if code == _TIME_RESOLUTION and value:
                if value[0] & 0x7F > _FINEST[value[0] & _BASE_2]:
                    raise self._source.damaged("an interface's clock is impossible", offset)
                seconds_per_tick = 2.0 ** -(value[0] & 0x7F) if value[0] & _BASE_2 else 10.0 ** -value[0]
            elif code == _TIME_OFFSET and len(value) == _TIME_OFFSET_BYTES:
                (offset_s,) = struct.unpack(f"{self._order}q", value)
        self._interfaces.append(
            _Interface(
                link_type=link_type, snap_length=snap_length, seconds_per_tick=seconds_per_tick, offset_s=offset_s
            )
        )

    def packet(self, kind: int, body: bytes, offset: int) -> Record:
        """An enhanced or obsolete packet; or a simple one, which belongs to interface 0 and has no time."""
        number, ticks, start, included = 0, None, 4, len(body) - 4
        if kind != _SIMPLE and len(body) >= _ENHANCED_BYTES:
            whose = "I" if kind == _ENHANCED else "Hxx"
            number, high, low, included, _ = struct.unpack(f"{self._order}{whose}IIII", body[:_ENHANCED_BYTES])
            ticks, start = high << 32 | low, _ENHANCED_BYTES
        elif kind == _SIMPLE and len(body) >= start and self._interfaces:
            (original,) = struct.unpack(f"{self._order}I", body[:start])
            included = min(included, original, self._interfaces[0].snap_length or original)
        else:
            raise self._source.damaged("a packet block is too short or comes before its interface", offset)
        if number >= len(self._interfaces) or included > len(body) - start:
            raise self._source.damaged("a packet's interface or length is impossible", offset)
        interface = self._interfaces[number]
        link, skip = _link(self._source, interface.link_type, offset)
        at_s = 0.0
        if ticks is not None:
            at_s = self._source.utc(ticks * interface.seconds_per_tick + interface.offset_s, offset)
        return Record(
            at_s=at_s,
            link=link,
            data=body[start + skip : start + included],
            offset=offset,
            adapter=number,
        )

    def _body(self, length: bytes, offset: int, *, taken: int = 0) -> bytes:
        """A block's body after its length (of which `taken` bytes were read), checked against the repeated length."""
        (total,) = struct.unpack(f"{self._order}I", length)
        if total % 4 or not _BLOCK_FRAME + taken <= total <= MAX_RECORD_BYTES:
            raise self._source.damaged("a block's length is impossible", offset)
        body = self._source.take(total - _BLOCK_FRAME - taken)
        if self._source.take(4) != length:
            raise self._source.damaged("a block's two lengths differ", offset)
        return body

    def _options(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        position = 0
        while position + 4 <= len(body):
            code, size = struct.unpack(f"{self._order}HH", body[position : position + 4])
            if code == _END_OF_OPTIONS:
                return
            yield code, body[position + 4 : position + 4 + size]
            position += 4 + size + -size % 4


def _link(source: Source, link_type: int, offset: int) -> tuple[Link, int]:
    """How packets of a link type are wrapped, and the bytes to drop; raises BadDataError for an unknown one."""
    if link_type not in _LINKS:
        known = ", ".join(str(link) for link in _LINKS)
        raise source.damaged(f"link type {link_type} contains no Bluetooth LE", offset, hint=f"known are {known}")
    return _LINKS[link_type]
