"""Advertising data: the AD structures of one advertisement, in any order.

Specification: Bluetooth Core 5.4 Vol 3 Part C section 11, Core Specification Supplement 11 part A.
UUIDs are 128-bit lower-case text as BlueZ gives them, so that the radio's hot path converts nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_BASE_UUID_TAIL = "-0000-1000-8000-00805f9b34fb"

_FLAGS = 0x01
_UUIDS = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_LOCAL_NAME = (0x08, 0x09)
_SERVICE_DATA = {0x16: 2, 0x20: 4, 0x21: 16}
_MANUFACTURER_DATA = 0xFF
_COMPANY_ID_BYTES = 2


class Heard(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A frozen noun of what is on air; its text form has numbers and kinds, nothing that a phone sends.

    msgspec's because a crowd makes thousands a second: made in a fifth of a dataclass's time, and never looked at by
    the garbage collector (`gc`), as none of them refers to what refers to it.
    """

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return [(name, value) for name, value in fields if isinstance(value, int | float | Enum)]


class AdvertisingData(Heard, frozen=True, kw_only=True, gc=False):
    """What one advertisement says; `local_name` is None except where a protocol's identifier hides in it."""

    flags: int | None = None
    service_uuids: tuple[str, ...] = ()
    service_data: Mapping[str, bytes]
    manufacturer_data: Mapping[int, bytes]
    local_name: str | None = None


def uuid16(value: int) -> str:
    """The 128-bit text of a 16-bit UUID, e.g. 0xFD6F -> `0000fd6f-0000-1000-8000-00805f9b34fb`."""
    return f"{value:08x}{_BASE_UUID_TAIL}"


def whole(data: bytes) -> bytes:
    """`data` without a structure that overruns it and what follows: shorter than `data` means that it is damaged."""
    position = 0
    while position < len(data) and data[position]:
        end = position + 1 + data[position]
        if end > len(data):
            return data[:position]
        position = end
    return data


def parse(data: bytes) -> AdvertisingData:
    """Advertising data of 0..1650 bytes as it is on air.

    A structure that overruns the data ends it, and what stood before counts, as in bluetoothd. A structure whose
    content is too short for its type is passed over, as receivers do; length 0 ends the data.
    """
    flags: int | None = None
    uuids: list[str] = []
    service_data: dict[str, bytes] = {}
    manufacturer_data: dict[int, bytes] = {}
    name: str | None = None
    position = 0
    while position < len(data) and data[position]:
        end = position + 1 + data[position]
        if end > len(data):
            break
        kind, value = data[position + 1], data[position + 2 : end]
        position = end
        if kind == _FLAGS and value:
            flags = value[0]
        elif width := _UUIDS.get(kind):
            whole = len(value) - len(value) % width
            uuids += [_uuid(value[i : i + width]) for i in range(0, whole, width)]
        elif width := _SERVICE_DATA.get(kind):
            if len(value) >= width:
                service_data[_uuid(value[:width])] = value[width:]
        elif kind == _MANUFACTURER_DATA and len(value) >= _COMPANY_ID_BYTES:
            company = int.from_bytes(value[:_COMPANY_ID_BYTES], "little")
            manufacturer_data[company] = value[_COMPANY_ID_BYTES:]
        elif kind in _LOCAL_NAME:
            name = value.decode("utf-8", "replace")
    return AdvertisingData(
        flags=flags,
        service_uuids=tuple(uuids),
        service_data=service_data,
        manufacturer_data=manufacturer_data,
        local_name=name,
    )


def _uuid(little_endian: bytes) -> str:
    """128-bit text of a 2-, 4- or 16-byte UUID as it is on air."""
    digits = little_endian[::-1].hex()
    if len(digits) < 32:  # noqa: PLR2004 (32 hex digits are 128 bits)
        return f"{digits:0>8}{_BASE_UUID_TAIL}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
