"""Link-layer packets of a sniffer -> advertising reports.

Specification: Bluetooth Core 5.4 Vol 6 Part B 2.3 (advertising PDUs, common extended payload) and 3.1.1 (CRC); the
headers of link types 256 (tcpdump.org) and 272 (Nordic's sniffer, versions 1 to 3); Per-Packet Information (CACE,
version 1.0.7) with the field of Ubertooth.
A packet whose CRC fails is skipped and counted: a wrong bit in an identifier is a phone that never was. Where the
sniffer did not check, the CRC is computed here. ADV_DIRECT_IND counts as an advert without data, as controllers
report it. An extended advert is its auxiliary packets: ADV_EXT_IND only points to them, unless it carries all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edge_scanner.core.model import AddressType
from edge_scanner.device.replay.captures.chains import Chains
from edge_scanner.device.replay.captures.hci import address_text, address_type, valid_rssi
from edge_scanner.device.replay.captures.records import Link, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.device.replay.captures.records import Losses, Record

_ADVERTISING_ADDRESS = bytes.fromhex("d6be898e")
"""Access address 0x8E89BED6 as it is on air."""
_ADV_IND, _ADV_DIRECT_IND, _ADV_NONCONN_IND, _SCAN_RSP, _ADV_SCAN_IND, _EXTENDED = 0, 1, 2, 4, 6, 7
_LEGACY = frozenset({_ADV_IND, _ADV_NONCONN_IND, _SCAN_RSP, _ADV_SCAN_IND})
_ADDRESS = 6
_CRC = 3
_SHORTEST = 4 + 2 + _CRC
_TX_RANDOM = 0x40

_FIELDS = ((0x01, 6), (0x02, 6), (0x04, 1), (0x08, 2), (0x10, 3), (0x20, 18), (0x40, 1))
"""Common extended header: flag and size of AdvA, TargetA, CTEInfo, AdvDataInfo, AuxPtr, SyncInfo, TxPower, in order."""
_ADV_A, _DATA_INFO, _AUX_POINTER = 0x01, 0x08, 0x10

_DEWHITENED, _SIGNAL_VALID, _CRC_CHECKED, _CRC_VALID = 0x0001, 0x0002, 0x0400, 0x0800
_PSEUDO_HEADER = 10
_CODED = 2
_NORDIC_HEAD, _NORDIC_PACKET_HEAD, _NORDIC_VERSIONS = 7, 10, (1, 2, 3)
_NORDIC_PACKETS = (0x02, 0x06)
_NORDIC_CRC_OK = 0x01
_PPI_HEAD, _PPI_FIELD_HEAD, _PPI_LINKS = 8, 4, (147, 251)
"""Ubertooth names the link by its number or, before it had one, as the first of the user's own."""
_PPI_BTLE, _PPI_RSSI_MEAN, _PPI_RSSI_COUNT = 30006, 10, 11
"""The field's type; a version, frequency (2), clock (1, 4), RSSI greatest, least, mean and how many it is of."""

_KNOWN_ADDRESSES = 64
"""Advertising sets whose address was told by ADV_EXT_IND and is needed by the auxiliary packet milliseconds later."""


class _Packet(NamedTuple):
    """From the access address on; `crc_ok` None where the sniffer did not check."""

    data: bytes
    rssi: int | None
    crc_ok: bool | None
    coded: bool = False


class LinkLayerReader:
    """The reports in the link-layer packets of one capture."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._chains = Chains(losses)
        self._addresses: dict[tuple[int, bytes], tuple[str, AddressType]] = {}

    def reports(self, record: Record) -> Iterator[Report]:
        """The advertising report in a record of `Link` LE, LE_PSEUDO_HEADER, NORDIC or PPI, if it holds one."""
        packet = _UNWRAP[record.link](record.data)
        if packet is None:
            self._losses.unreadable += 1
            return
        if packet.data[:4] != _ADVERTISING_ADDRESS:
            return
        # A coded packet has an octet about its coding between the access address and the header.
        header_at = 5 if packet.coded else 4
        pdu = packet.data[header_at:-_CRC]
        if len(packet.data) < header_at + _SHORTEST - 4 or len(pdu) != 2 + pdu[1]:
            self._losses.unreadable += 1
            return
        crc_ok = packet.crc_ok
        if crc_ok is None:
            crc_ok = crc24(pdu) == int.from_bytes(packet.data[-_CRC:], "little")
        if not crc_ok:
            self._losses.crc_failed += 1
            return
        report = self._report(record, packet.rssi, pdu)
        if report is not None:
            yield report

    def _report(self, record: Record, rssi: int | None, pdu: bytes) -> Report | None:
        kind, payload = pdu[0] & 0x0F, pdu[2:]
        if kind == _EXTENDED:
            return self._extended(record, rssi, pdu)
        if kind not in _LEGACY and kind != _ADV_DIRECT_IND:
            return None
        if len(payload) < _ADDRESS:
            self._losses.unreadable += 1
            return None
        return Report(
            at_s=record.at_s,
            address=address_text(payload[:_ADDRESS]),
            address_type=address_type(bool(pdu[0] & _TX_RANDOM), payload[_ADDRESS - 1]),
            rssi=rssi,
            data=payload[_ADDRESS:] if kind in _LEGACY else b"",
        )

    def _extended(self, record: Record, rssi: int | None, pdu: bytes) -> Report | None:
        """A packet of type 7: a pointer (remembered), a piece of a chain (kept), or a report."""
        fields = extended_header(pdu[2:])
        if fields is None:
            self._losses.unreadable += 1
            return None
        flags, values, data = fields
        advertising_set = (record.adapter, values.get(_DATA_INFO, b""))
        address = values.get(_ADV_A)
        if address is not None:
            known = (address_text(address), address_type(bool(pdu[0] & _TX_RANDOM), address[-1]))
            if _DATA_INFO in values:
                self._remember(advertising_set, known)
        else:
            known = self._addresses.get(advertising_set, ("", AddressType.UNKNOWN))
        points_on = bool(flags & _AUX_POINTER)
        if points_on and not data and not self._chains.holds(advertising_set):
            return None
        whole = self._chains.join(advertising_set, data, more=points_on)
        if whole is None:
            return None
        return Report(at_s=record.at_s, address=known[0], address_type=known[1], rssi=rssi, data=whole)

    def _remember(self, advertising_set: tuple[int, bytes], known: tuple[str, AddressType]) -> None:
        self._addresses.pop(advertising_set, None)
        if len(self._addresses) == _KNOWN_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
        self._addresses[advertising_set] = known


def extended_header(payload: bytes) -> tuple[int, dict[int, bytes], bytes] | None:
    """Flags, the fields by flag and the advertising data of a common extended payload; None when it overruns itself."""
    if not payload:
        return None
    end = 1 + (payload[0] & 0x3F)
    if end > len(payload):
        return None
    if end == 1:
        return 0, {}, payload[1:]
    flags, position, values = payload[1], 2, dict[int, bytes]()
    for flag, size in _FIELDS:
        if flags & flag:
            values[flag] = payload[position : position + size]
            position += size
    return None if position > end else (flags, values, payload[end:])


def _bare(data: bytes) -> _Packet | None:
    return _Packet(data, None, None) if len(data) >= _SHORTEST else None


def _pseudo_header(data: bytes) -> _Packet | None:
    flags = int.from_bytes(data[8:_PSEUDO_HEADER], "little")
    if len(data) < _PSEUDO_HEADER + _SHORTEST or not flags & _DEWHITENED:
        return None
    return _Packet(
        data[_PSEUDO_HEADER:],
        valid_rssi(data[1]) if flags & _SIGNAL_VALID else None,
        bool(flags & _CRC_VALID) if flags & _CRC_CHECKED else None,
        coded=flags >> 14 == _CODED,
    )


def _nordic(data: bytes) -> _Packet | None:
    """Board, length (2), version, counter (2), kind; then length 10, flags, channel, -RSSI, event (2), time (4)."""
    start = _NORDIC_HEAD + _NORDIC_PACKET_HEAD
    if len(data) < start or data[3] not in _NORDIC_VERSIONS:
        return None
    if data[6] not in _NORDIC_PACKETS:
        return _Packet(b"", None, None)
    if data[_NORDIC_HEAD] != _NORDIC_PACKET_HEAD:
        return None
    flags = data[_NORDIC_HEAD + 1]
    return _Packet(
        data[start:],
        valid_rssi(-data[_NORDIC_HEAD + 3] & 0xFF),
        bool(flags & _NORDIC_CRC_OK),
        coded=flags >> 4 & 0b111 == _CODED,
    )


def _ppi(data: bytes) -> _Packet | None:
    """Version, flags, length (2), link (4), then fields of type (2), length (2) and content, little-endian."""
    end = int.from_bytes(data[2:4], "little")
    if data[:1] != b"\0" or not _PPI_HEAD <= end <= len(data) - _SHORTEST:
        return None
    if int.from_bytes(data[4:_PPI_HEAD], "little") not in _PPI_LINKS:
        return _Packet(b"", None, None)
    rssi, position = None, _PPI_HEAD
    while position + _PPI_FIELD_HEAD <= end:
        kind, size = (int.from_bytes(data[position + at : position + at + 2], "little") for at in (0, 2))
        position += _PPI_FIELD_HEAD
        field = data[position : min(position + size, end)]
        if kind == _PPI_BTLE and len(field) > _PPI_RSSI_COUNT and field[_PPI_RSSI_COUNT]:
            rssi = valid_rssi(field[_PPI_RSSI_MEAN])
        position += size
    return _Packet(data[end:], rssi, None)


_UNWRAP = {Link.LE: _bare, Link.LE_PSEUDO_HEADER: _pseudo_header, Link.NORDIC: _nordic, Link.PPI: _ppi}


def _crc_table() -> tuple[int, ...]:
    """The polynomial x^24+x^10+x^9+x^6+x^4+x^3+x+1, least significant bit first, a byte at a time."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xDA6000 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()
_CRC_START = 0xAAAAAA
"""0x555555, the advertising channels' seed, bit-reversed."""


def crc24(pdu: bytes) -> int:
    """The CRC of an advertising PDU as the little-endian number that follows it."""
    value = _CRC_START
    for byte in pdu:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value
