"""HCI packets -> advertising reports: LE Meta subevents 0x02 (legacy) and 0x0D (extended).

Specification: Bluetooth Core 5.4 Vol 4 Part E 7.7.65.2 and 7.7.65.13; reports of one event follow each other whole
(Part E 5.4, arrayed parameters). Directed reports are adverts too, with whatever data they carry (none, in legacy
ones). An event that contradicts its own lengths is the controller's or the air's fault: counted, never fatal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.model import AddressType
from edge_scanner.device.replay.captures.chains import Chains
from edge_scanner.device.replay.captures.records import Link, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.device.replay.captures.records import Losses, Record

_H4_EVENT = b"\x04"
_MONITOR_EVENT = 3
_LE_META = 0x3E
_LEGACY, _EXTENDED = 0x02, 0x0D
_LEGACY_HEAD, _EXTENDED_HEAD = 9, 24
"""Bytes of a report before its data: fixed fields and the data's length; a legacy report's RSSI stands after it."""
_SCAN_RESPONSE = 0x08
_DATA_STATUS_SHIFT, _MORE, _TRUNCATED = 5, 1, 2
_ANONYMOUS = 0xFF

RSSI_MIN, RSSI_MAX = -127, 20
"""What an RSSI may be in HCI; 127 says that there is none."""


class HciReader:
    """The reports in the HCI packets of one capture."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._chains = Chains(losses)

    def reports(self, record: Record) -> Iterator[Report]:
        """The advertising reports in a record of `Link` EVENT, H4 or MONITOR; nothing for any other packet."""
        event = _event(record)
        # Event code, length, subevent, number of reports.
        if len(event) < 4 or event[0] != _LE_META or event[2] not in (_LEGACY, _EXTENDED):  # noqa: PLR2004 (above)
            return
        body = event[4 : 2 + event[1]]
        if len(event) < 2 + event[1]:
            self._losses.unreadable += 1
            return
        read_one = self._legacy if event[2] == _LEGACY else self._extended
        position = 0
        for _ in range(event[3]):
            end, report = read_one(record, body, position)
            if end > len(body):
                self._losses.unreadable += 1
                return
            position = end
            if report is not None:
                yield report

    def _legacy(self, record: Record, body: bytes, at: int) -> tuple[int, Report | None]:
        """The report that starts at a byte and where it ends, which may be beyond the body."""
        data_at = at + _LEGACY_HEAD
        if data_at > len(body):
            return data_at, None
        data_end = data_at + body[data_at - 1]
        if data_end >= len(body):
            return data_end + 1, None
        return data_end + 1, Report(
            at_s=record.at_s,
            address=address_text(body[at + 2 : at + 8]),
            address_type=address_type(body[at + 1], body[at + 7]),
            rssi=valid_rssi(body[data_end]),
            data=body[data_at:data_end],
        )

    def _extended(self, record: Record, body: bytes, at: int) -> tuple[int, Report | None]:
        """The same for an extended report; None also while its chain goes on."""
        data_at = at + _EXTENDED_HEAD
        if data_at > len(body):
            return data_at, None
        end = data_at + body[data_at - 1]
        if end > len(body):
            return end, None
        kind, advertiser, set_id = body[at], body[at + 2], body[at + 11]
        status = kind >> _DATA_STATUS_SHIFT & 0b11
        chain = (_adapter(record), advertiser, body[at + 3 : at + 9], set_id, kind & _SCAN_RESPONSE)
        data = self._chains.join(chain, body[data_at:end], more=status == _MORE, cut=status == _TRUNCATED)
        if data is None:
            return end, None
        anonymous = advertiser == _ANONYMOUS
        return end, Report(
            at_s=record.at_s,
            address="" if anonymous else address_text(body[at + 3 : at + 9]),
            address_type=AddressType.UNKNOWN if anonymous else address_type(advertiser, body[at + 8]),
            rssi=valid_rssi(body[at + 13]),
            data=data,
        )


def _event(record: Record) -> bytes:
    """The HCI event a record holds, from its event code on; empty for any other packet."""
    if record.link is Link.EVENT:
        return record.data
    if record.link is Link.H4 and record.data[:1] == _H4_EVENT:
        return record.data[1:]
    if record.link is Link.MONITOR and int.from_bytes(record.data[2:4], "big") == _MONITOR_EVENT:
        return record.data[4:]
    return b""


def _adapter(record: Record) -> tuple[int, bytes]:
    """Which adapter heard it: the file's word, and in a monitor packet its own."""
    return record.adapter, record.data[:2] if record.link is Link.MONITOR else b""


def address_text(little_endian: bytes) -> str:
    """An address as BlueZ writes it, most significant byte first."""
    return little_endian[::-1].hex(":").upper()


def address_type(kind: int, most_significant: int) -> AddressType:
    """The type from HCI's (or the link layer's) public/random bit and the address's two top bits."""
    if not kind & 1:
        return AddressType.PUBLIC
    return _RANDOM[most_significant >> 6]


_RANDOM = (AddressType.NON_RESOLVABLE, AddressType.RESOLVABLE, AddressType.UNKNOWN, AddressType.STATIC)


def valid_rssi(byte: int) -> int | None:
    """Signed dBm, or None when the byte says that there is none."""
    rssi = byte - 256 if byte > 127 else byte  # noqa: PLR2004 (two's complement)
    return rssi if RSSI_MIN <= rssi <= RSSI_MAX else None
