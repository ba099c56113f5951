"""btsnoop version 1 (RFC 1761 with Bluetooth data links), as Android and `btmon -w` write it.

All numbers are big-endian; a time is microseconds since the year 0, of which `_EPOCH_US` lie before 1970. Android
writes local time, hence the offset of the `Source`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from edge_scanner.device.replay.captures.records import MAX_RECORD_BYTES, Link, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.device.replay.captures.records import Source

MAGIC = b"btsnoop\0"

_EPOCH_US = 0x00DCDDB30F2F8000
_VERSION = 1
_UNENCAPSULATED, _UART, _MONITOR = 1001, 1002, 2001
_RECEIVED_EVENT = 0b11
"""Flags of an un-encapsulated record: bit 0 received, bit 1 command or event."""
_MONITOR_EVENT = 3
"""The low half of a monitor record's flags is its opcode, the high half the adapter."""


def read(source: Source) -> Iterator[Record]:
    """The records after the magic; raises BadDataError for another version, data link or a damaged record."""
    version, datalink = struct.unpack(">II", source.take(8))
    if version != _VERSION:
        raise source.damaged(f"btsnoop version {version} is unknown", 8)
    if datalink not in (_UNENCAPSULATED, _UART, _MONITOR):
        raise source.damaged(f"btsnoop data link {datalink} is unknown", 12, hint="known are 1001, 1002 and 2001")
    while True:
        offset = source.position
        header = source.maybe(24)
        if header is None:
            return
        original, included, flags, _, time_us = struct.unpack(">IIIIq", header)
        if included > original or included > MAX_RECORD_BYTES:
            raise source.damaged("a record's length is impossible", offset)
        at_s = source.utc((time_us - _EPOCH_US) / 1e6, offset)
        link, adapter = Link.H4, 0
        if datalink == _UNENCAPSULATED:
            link = Link.EVENT if flags & _RECEIVED_EVENT == _RECEIVED_EVENT else Link.OTHER
        elif datalink == _MONITOR:
            link = Link.EVENT if flags & 0xFFFF == _MONITOR_EVENT else Link.OTHER
            adapter = flags >> 16
        yield Record(at_s=at_s, link=link, data=source.take(included), offset=offset, adapter=adapter)
