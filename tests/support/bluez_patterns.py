"""Patterns of advertisement monitors, as bluetoothd 5.66 compares them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def fields_of(
    flags: int | None,
    uuids: tuple[str, ...],
    service_data: Mapping[str, bytes],
    manufacturer_data: Mapping[int, bytes],
) -> list[tuple[int, bytes]]:
    """An advertisement's fields: AD type and data; a UUID may stand in any of its types."""
    fields = [] if flags is None else [(0x01, bytes((flags,)))]
    fields += [(0x16, _uuid16(uuid) + data) for uuid, data in service_data.items()]
    fields += [(0xFF, company.to_bytes(2, "little") + data) for company, data in manufacturer_data.items()]
    for uuid in uuids:
        short = _uuid16(uuid)
        fields += [(kind, short) for kind in (0x02, 0x03)] if short else []
        fields += [(kind, bytes.fromhex(uuid.replace("-", ""))[::-1]) for kind in (0x06, 0x07)]
    return fields


def match(patterns: Sequence[Any], fields: Sequence[tuple[int, bytes]]) -> bool:
    """Whether one pattern (offset, AD type, bytes) matches one field."""
    return any(
        kind == wanted and data[offset:].startswith(bytes(head))
        for offset, wanted, head in patterns
        for kind, data in fields
    )


def _uuid16(uuid: str) -> bytes:
    """The two bytes of a UUID of the Bluetooth base, as they are on air; nothing for another one."""
    return bytes.fromhex(uuid[4:8])[::-1] if uuid.endswith("-0000-1000-8000-00805f9b34fb") else b""
