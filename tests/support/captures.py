"""Capture files built by hand, and a second decoder of Android's logs that shares no line with the product.

Writers follow the formats' specifications field by field; nothing here imports `edge_scanner`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

START_S = 1_600_000_000
ADDRESS = bytes.fromhex("665544332251")
GAEN = bytes.fromhex("03036ffd17166ffd") + bytes(range(20))
"""An Android Exposure Notification advert: UUID list and 20 bytes of service data."""


def legacy_report(data: bytes, *, kind: int = 0, random: int = 1, address: bytes = ADDRESS, rssi: int = -70) -> bytes:
    """One report of LE Advertising Report."""
    return bytes([kind, random]) + address + bytes([len(data)]) + data + struct.pack("b", rssi)


def legacy_event(*reports: bytes) -> bytes:
    """An HCI event with LE Meta subevent 0x02."""
    return _le_meta(0x02, bytes([len(reports)]) + b"".join(reports))


def extended_report(
    data: bytes,
    *,
    status: int = 0,
    random: int = 1,
    address: bytes = ADDRESS,
    rssi: int = -70,
    set_id: int = 0,
    kind: int = 0,
) -> bytes:
    """One report of LE Extended Advertising Report; `status` 0 complete, 1 more follows, 2 truncated."""
    return (
        struct.pack("<HB", kind | status << 5, random)
        + address
        + struct.pack("<BBBbbHB", 1, 0, set_id, 127, rssi, 0, 0)
        + bytes(6)
        + bytes([len(data)])
        + data
    )


def extended_event(*reports: bytes) -> bytes:
    """An HCI event with LE Meta subevent 0x0D."""
    return _le_meta(0x0D, bytes([len(reports)]) + b"".join(reports))


def _le_meta(subevent: int, body: bytes) -> bytes:
    return bytes([0x3E, 1 + len(body), subevent]) + body


def btsnoop(records: Iterable[tuple[float, int, bytes]], *, datalink: int = 1002, version: int = 1) -> bytes:
    """A btsnoop file of (seconds, flags, packet)."""
    out = b"btsnoop\0" + struct.pack(">II", version, datalink)
    for at_s, flags, packet in records:
        out += struct.pack(">IIIIq", len(packet), len(packet), flags, 0, btsnoop_time(at_s)) + packet
    return out


def btsnoop_time(at_s: float) -> int:
    """Microseconds since the year 0: btsnoop dates 1 January 2000 as 0x00E03AB44A676000."""
    return 0x00E03AB44A676000 + round((at_s - 946_684_800) * 1_000_000)


def pcap(
    link_type: int, packets: Iterable[tuple[float, bytes]], *, order: str = "<", nanoseconds: bool = False
) -> bytes:
    """A pcap file of (seconds, packet)."""
    magic, unit = (0xA1B23C4D, 1e9) if nanoseconds else (0xA1B2C3D4, 1e6)
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65_535, link_type)
    for at_s, packet in packets:
        whole = int(at_s)
        out += struct.pack(f"{order}IIII", whole, round((at_s - whole) * unit), len(packet), len(packet)) + packet
    return out


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    """A pcapng section header of unknown length."""
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int, *, order: str = "<", resolution: int | None = None, offset_s: int | None = None) -> bytes:
    """A pcapng interface description, with the options for the clock."""
    options = b""
    if resolution is not None:
        options += struct.pack(f"{order}HHB3x", 9, 1, resolution)
    if offset_s is not None:
        options += struct.pack(f"{order}HHq", 14, 8, offset_s)
    if options:
        options += struct.pack(f"{order}HH", 0, 0)
    return block(1, struct.pack(f"{order}HHI", link_type, 0, 0) + options, order)


def enhanced(packet: bytes, ticks: int, *, number: int = 0, order: str = "<") -> bytes:
    """A pcapng enhanced packet block."""
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(6, head + packet, order)


def simple(packet: bytes, *, order: str = "<") -> bytes:
    """A pcapng simple packet block."""
    return block(3, struct.pack(f"{order}I", len(packet)) + packet, order)


def obsolete(packet: bytes, ticks: int, *, number: int = 0, order: str = "<") -> bytes:
    """A pcapng packet block of the first drafts: a 16-bit interface and a count of drops."""
    head = struct.pack(f"{order}HHIIII", number, 7, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(2, head + packet, order)


def packetlogger(records: Iterable[tuple[float, int, bytes]], *, order: str = ">") -> bytes:
    """Apple's PacketLogger: (seconds, kind, packet); kind 1 is an event."""
    out = b""
    for at_s, kind, packet in records:
        whole = int(at_s)
        head = struct.pack(f"{order}IIIB", 9 + len(packet), whole, round((at_s - whole) * 1e6), kind)
        out += head + packet
    return out


def ppi(packet: bytes, *, rssi: int | None = -70, link: int = 251) -> bytes:
    """Link type 192 as Ubertooth writes it: a field of another kind, then its own with the mean RSSI."""
    fields = struct.pack("<HHH", 2, 2, 0)
    if rssi is not None:
        fields += struct.pack("<HHBHBIbbbB", 30006, 12, 0, 2402, 0, 0, rssi + 5, rssi - 5, rssi, 4)
    return struct.pack("<BBHI", 0, 0, 8 + len(fields), link) + fields + packet


def crc24_bits(pdu: bytes) -> bytes:
    """The link layer's CRC bit by bit, as the specification draws its shift register (Vol 6 Part B 3.1.1)."""
    register = [0x555555 >> bit & 1 for bit in range(24)]
    for byte in pdu:
        for bit in range(8):
            feedback = register[23] ^ (byte >> bit & 1)
            register = [feedback, *register[:23]]
            for tap in (1, 3, 4, 6, 9, 10):
                register[tap] ^= feedback
    # Position 23 is sent first; each octet is sent least significant bit first.
    sent = register[::-1]
    return bytes(sum(sent[8 * octet + bit] << bit for bit in range(8)) for octet in range(3))


def pdu(kind: int, payload: bytes, *, random: int = 1) -> bytes:
    """An advertising PDU."""
    return bytes([kind | random << 6, len(payload)]) + payload


def on_air(packet: bytes, *, crc: bytes | None = None, access: int = 0x8E89BED6, coding: bytes = b"") -> bytes:
    """A PDU between access address and CRC."""
    return struct.pack("<I", access) + coding + packet + (crc24_bits(packet) if crc is None else crc)


def pseudo_header(packet: bytes, *, flags: int = 0x0C03, rssi: int = -60) -> bytes:
    """Link type 256: dewhitened, signal valid, CRC checked and valid unless other flags are asked for."""
    return struct.pack("<BbbBIH", 37, rssi, -128, 0, 0x8E89BED6, flags) + packet


def nordic(packet: bytes, *, version: int = 3, flags: int = 1, rssi: int = -60, kind: int = 2) -> bytes:
    """Link type 272 as Nordic's sniffer writes it."""
    ble = struct.pack("<BBBBHI", 10, flags, 37, -rssi, 0, 0) + packet
    length = struct.pack("<H", len(ble)) if version > 1 else bytes([6, len(ble)])
    return b"\x01" + length + struct.pack("<BHB", version, 7, kind) + ble


def extended_payload(
    data: bytes, *, address: bytes | None = None, info: bytes | None = None, aux: bytes | None = None, rest: int = 0
) -> bytes:
    """A common extended advertising payload; `rest` is a flag byte for fields appended as zeros (SyncInfo, TxPower)."""
    flags, fields = rest, b""
    for flag, value in ((0x01, address), (0x08, info), (0x10, aux)):
        if value is not None:
            flags |= flag
            fields += value
    fields += bytes((18 if rest & 0x20 else 0) + (1 if rest & 0x40 else 0))
    header = bytes([flags]) + fields if flags else b""
    return bytes([len(header)]) + header + data


@dataclass(frozen=True)
class Seen:
    """What the second decoder says about one report."""

    at_us: int
    rssi: int
    data: bytes


def second_decoder(log: bytes) -> Iterator[Seen]:
    """Every advertising report of an Android btsnoop log, read with slices only."""
    rest = log[16:]
    position = 0
    while position < len(rest):
        size = int.from_bytes(rest[position + 4 : position + 8], "big")
        at_us = int.from_bytes(rest[position + 16 : position + 24], "big") - 0x00DCDDB30F2F8000
        packet = rest[position + 24 : position + 24 + size]
        position += 24 + size
        if packet[:2] != b"\x04\x3e" or packet[3] not in (2, 13):
            continue
        tail = packet[5:]
        for _ in range(packet[4]):
            if packet[3] == 2:
                end = 9 + tail[8]
                yield Seen(at_us, int.from_bytes(tail[end : end + 1], "big", signed=True), tail[9:end])
                tail = tail[end + 1 :]
            else:
                end = 24 + tail[23]
                yield Seen(at_us, int.from_bytes(tail[13:14], "big", signed=True), tail[24:end])
                tail = tail[end:]


def exposure_notification(data: bytes) -> bytes | None:
    """The 20 bytes under service 0xFD6F, found by walking the structures."""
    while data and data[0]:
        structure, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        if structure[:3] == b"\x16\x6f\xfd" and len(structure) == 23:
            return structure[3:]
    return None


def android_log(path: Path, packets: Sequence[tuple[float, bytes]]) -> Path:
    """A btsnoop file as Android writes it, one legacy report per (seconds, advertising data)."""
    records = [(at_s, 3, b"\x04" + legacy_event(legacy_report(data))) for at_s, data in packets]
    path.write_bytes(btsnoop(records))
    return path
