"""TCN: CoEpi and Covid Watch.

Specification: TCNCoalition/TCN protocol 0.4.

An advert counts when its service data under 0xC019 has exactly 16 bytes, the temporary contact number. iPhones exchange
it over GATT and show nothing here. How long a number lives is the app's choice (advised: as long as the address). A
published report holds keys and an index range but no times, so no day key derives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.advertising import uuid16
from edge_scanner.core.model import BeaconProtocol, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert

IDENTIFIER_BYTES = 16

_SERVICE = uuid16(0xC019)


def decode(advert: Advert) -> Sighting | None:
    """A phone with its temporary contact number; None for anything else."""
    identifier = advert.data.service_data.get(_SERVICE)
    if identifier is None or len(identifier) != IDENTIFIER_BYTES:
        return None
    return Sighting(protocol=PROTOCOL, kind=Kind.IDENTIFIED, identifier=identifier, payload=identifier, advert=advert)


PROTOCOL = BeaconProtocol(
    name="tcn",
    tag=8,
    specification="TCNCoalition/TCN 0.4",
    decode=decode,
    marks=frozenset({_SERVICE}),
    lifetime_s=dict.fromkeys(PhoneClass, 900.0),
)
