"""Apple's PacketLogger: iOS sysdiagnose and macOS write HCI so (`.pklg`), without a magic and with local fields only.

A record is its length, which does not count itself, seconds and microseconds of UTC, all 32 bits and in one byte order
throughout the file, then a byte of kind and the HCI packet.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from edge_scanner.device.replay.captures.records import MAX_RECORD_BYTES, Link, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.device.replay.captures.records import Source

HEAD_BYTES = 13
"""What tells such a file: a whole head with its kind."""
_HEAD = "III"
_COUNTED_HEAD_BYTES = 9
"""Times and kind, which the length counts."""
_LONGEST = 1 << 17
"""Of a first record: twice the longest HCI packet. What has no magic is believed less."""
_EVENT = 0x01
_KINDS = frozenset({0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0A, 0x0B, *range(0xF7, 0xFE)})
"""Commands, events, data, link manager; the logger's own notes."""
_MICROSECONDS = 1_000_000


def byte_order(head: bytes) -> str:
    """`>` or `<` when a file with this head is PacketLogger's, else empty."""
    if len(head) < HEAD_BYTES or head[-1] not in _KINDS:
        return ""
    for order in "><":
        length, _, microseconds = struct.unpack(order + _HEAD, head[:-1])
        if _COUNTED_HEAD_BYTES <= length <= _LONGEST and microseconds < _MICROSECONDS:
            return order
    return ""


def read(source: Source, order: str) -> Iterator[Record]:
    """The records of a file in this byte order; raises BadDataError for a damaged one."""
    while True:
        offset = source.position
        head = source.maybe(HEAD_BYTES - 1)
        if head is None:
            return
        length, seconds, microseconds = struct.unpack(order + _HEAD, head)
        if not _COUNTED_HEAD_BYTES <= length <= MAX_RECORD_BYTES or microseconds >= _MICROSECONDS:
            raise source.damaged("a record's length or time is impossible", offset)
        body = source.take(length - _COUNTED_HEAD_BYTES + 1)
        link = Link.EVENT if body[0] == _EVENT else Link.OTHER
        at_s = source.utc(seconds + microseconds / _MICROSECONDS, offset)
        yield Record(at_s=at_s, link=link, data=body[1:], offset=offset)
