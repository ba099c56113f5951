"""What a sniffer in a hall would have captured of a simulated crowd, and the truth about the planted phones."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from edge_scanner.core.model import AddressType
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan
from tests.support import captures

if TYPE_CHECKING:
    from edge_scanner.core.advertising import AdvertisingData
    from edge_scanner.core.model import Advert
    from edge_scanner.device.simulation.crowd import Planted

_BASE = "-0000-1000-8000-00805f9b34fb"
_TOP = {AddressType.STATIC: 0xC0, AddressType.RESOLVABLE: 0x40}


def hall(start_s: float, duration_s: float, *planted: Planted, seed: int) -> tuple[bytes, dict[str, set[int]]]:
    """A btsnoop file, and by planted phone the UTC minutes in which its identifiers are in it."""
    crowd = Crowd(CrowdPlan(devices=14, duration_s=duration_s, planted=planted), seed=seed, start_s=start_s)
    shown = {one.name: set(map(identifier, (on_air.data for on_air in crowd.on_air(one.name)))) for one in planted}
    truth: dict[str, set[int]] = {one.name: set() for one in planted}
    records = []
    for advert in crowd.adverts():
        event = captures.legacy_event(
            captures.legacy_report(on_air_bytes(advert.data), address=address(advert), rssi=advert.rssi_max)
        )
        records.append((advert.last_s, 3, b"\x04" + event))
        heard = identifier(advert.data)
        for name, own in shown.items():
            if heard and heard in own:
                truth[name].add(int(advert.last_s // 60 * 60))
    return captures.btsnoop(records), truth


def identifier(data: AdvertisingData) -> bytes:
    """The bytes that only one phone shows, empty for an advert without."""
    if 0x22B5 in data.manufacturer_data:
        return data.manufacturer_data[0x22B5]
    return data.service_data.get(f"0000fd6f{_BASE}", b"")


def address(advert: Advert) -> bytes:
    """An address for the report, as it is on air: the top byte last."""
    top = advert.address_tag[5] & 0x3F | _TOP.get(advert.address_type, 0)
    return advert.address_tag[:5] + bytes([top])


def on_air_bytes(data: AdvertisingData) -> bytes:
    """Advertising data as a phone sends it."""

    def structure(kind: int, value: bytes) -> bytes:
        return bytes([1 + len(value), kind]) + value

    out = b"" if data.flags is None else structure(0x01, bytes([data.flags]))
    short = [int(uuid[:8], 16) for uuid in data.service_uuids if uuid.endswith(_BASE)]
    if short:
        out += structure(0x03, struct.pack(f"<{len(short)}H", *short))
    for uuid in data.service_uuids:
        if not uuid.endswith(_BASE):
            out += structure(0x07, bytes.fromhex(uuid.replace("-", ""))[::-1])
    for uuid, value in data.service_data.items():
        out += structure(0x16, struct.pack("<H", int(uuid[:8], 16)) + value)
    for company, value in data.manufacturer_data.items():
        out += structure(0xFF, struct.pack("<H", company) + value)
    return out
