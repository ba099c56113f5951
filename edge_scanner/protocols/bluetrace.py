"""BlueTrace on phones: TraceTogether, OpenTrace, COVIDSafe.

Specification: BlueTrace white paper (April 2020); constants from the OpenTrace apps' sample configuration.

The identifier is exchanged over GATT, so an advert shows presence only. The service UUID is required: company 0x03FF,
under which Androids add 3 hexadecimal characters, belongs to a maker of scales. The characters are drawn anew with each
restart of the advert; they tell the phone's family and are no identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.model import BeaconProtocol, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert

_SERVICES = frozenset(
    {
        "b82ab3fc-1595-4f6a-80f0-fe094cc218f9",  # production
        "17e033d3-490e-4bc9-9fe8-2f567643f4d3",  # staging
        "a6ba4286-c550-4794-a888-9467ef0b31a8",  # default of the iOS reference
    }
)
_ANDROID_COMPANY = 0x03FF


def decode(advert: Advert) -> Sighting | None:
    """A phone's presence; None for anything else."""
    data = advert.data
    if _SERVICES.isdisjoint(data.service_uuids):
        return None
    phone_class = PhoneClass.ANDROID if _ANDROID_COMPANY in data.manufacturer_data else PhoneClass.OTHER
    return Sighting(protocol=PROTOCOL, kind=Kind.PRESENCE, phone_class=phone_class, advert=advert)


PROTOCOL = BeaconProtocol(
    name="bluetrace",
    tag=6,
    specification="BlueTrace white paper; OpenTrace sample configuration",
    decode=decode,
    marks=_SERVICES,
    kinds=frozenset({Kind.PRESENCE}),
)
