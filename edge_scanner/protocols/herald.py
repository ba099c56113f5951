"""Herald, and apps built on it.

Specification: theheraldproject/herald-for-android and herald-for-ios, before and since v2.1; herald-for-cpp 571e92f.

The payload is read over GATT, so an advert shows presence only. Androids add a 6-byte pseudo address under company
0xFFFA or 0x05F1; it stands in for the Bluetooth address, so it is treated as one and left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.advertising import uuid16
from edge_scanner.core.model import BeaconProtocol, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert

_SERVICES = frozenset(
    {
        "428132af-4746-42d3-801e-4572d65bfd9b",  # before v2.1
        uuid16(0xFCF6),  # since v2.1
    }
)
_ANDROID_COMPANIES = frozenset({0xFFFA, 0x05F1})


def decode(advert: Advert) -> Sighting | None:
    """A phone's presence; None for anything else."""
    data = advert.data
    if _SERVICES.isdisjoint(data.service_uuids):
        return None
    android = not _ANDROID_COMPANIES.isdisjoint(data.manufacturer_data)
    phone_class = PhoneClass.ANDROID if android else PhoneClass.OTHER
    return Sighting(protocol=PROTOCOL, kind=Kind.PRESENCE, phone_class=phone_class, advert=advert)


PROTOCOL = BeaconProtocol(
    name="herald",
    tag=7,
    specification="Herald Bluetooth protocol, before and since v2.1",
    decode=decode,
    marks=_SERVICES,
    kinds=frozenset({Kind.PRESENCE}),
)
