"""The part of Protocol Buffers that an export file uses: a bounded reader of one message's fields.

Specification: Protocol Buffers, "Encoding". Forty lines instead of the `protobuf` package, which needs generated code
and takes a malformed key for an absent one. Groups (long deprecated) are refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_UINT64 = 2**64 - 1
_SIGN_BIT = 2**63
_MAX_NUMBER = 2**29 - 1
"""A tag is at most 32 bits long, three of them the wire type."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, its value (int for varints and fixed numbers, else bytes), and where its value begins."""

    number: int
    value: int | bytes
    at: int

    @property
    def data(self) -> bytes:
        """The bytes of a length-delimited field; raises BadDataError for a number."""
        if not isinstance(self.value, bytes):
            raise BadDataError(f"field {self.number} is neither a message nor text", where=f"byte {self.at}")
        return self.value

    @property
    def integer(self) -> int:
        """A number as int32 and int64 have it: above 2**63 it is negative. Raises BadDataError for bytes."""
        if isinstance(self.value, bytes):
            raise BadDataError(f"field {self.number} is not a number", where=f"byte {self.at}")
        return self.value - 2**64 if self.value >= _SIGN_BIT else self.value


def fields(data: bytes, offset: int = 0) -> Iterator[Field]:
    """The fields of one message in order; `offset` is where it lies in its file. Raises BadDataError with the byte."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _varint(data, position, offset)
        number, kind = tag >> 3, tag & 7
        if not 0 < number <= _MAX_NUMBER:
            raise BadDataError(f"field number {number} is impossible", where=f"byte {offset + start}")
        if kind == _VARINT:
            value, end = _varint(data, position, offset)
            yield Field(number, value, offset + position)
            position = end
            continue
        if kind == _BYTES:
            length, position = _varint(data, position, offset)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise BadDataError(f"wire type {kind} is not known", where=f"byte {offset + start}")
        if length > len(data) - position:
            raise BadDataError("the file ends inside a field", where=f"byte {offset + position}")
        raw = data[position : position + length]
        value_at, position = offset + position, position + length
        if kind == _BYTES:
            yield Field(number, raw, value_at)
        else:
            yield Field(number, struct.unpack("<Q" if kind == _FIXED64 else "<I", raw)[0], value_at)


def _varint(data: bytes, position: int, offset: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= len(data):
            raise BadDataError("the file ends inside a number", where=f"byte {offset + position}")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value & _UINT64, position + index + 1
    raise BadDataError("a number is longer than 64 bits", where=f"byte {offset + position}")
