"""BlueTrace Lite: the TraceTogether Token (Singapore).

Specification: none was published; bitowlonline/TraceTogether-Teardown 4e0fba4.

An advert counts when its flags are 0x06 and its service data under 0xFFFF has exactly 20 bytes: authentication code 6,
encoded id 10, reserved 2, version and organisation 2. 0xFFFF is assigned to nobody and hobby devices use it freely, so
both conditions are needed. How often the id changes is not published; 15 minutes is BlueTrace's advice to phones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.advertising import uuid16
from edge_scanner.core.model import BeaconProtocol, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert

IDENTIFIER_BYTES = 16

_SERVICE = uuid16(0xFFFF)
_PAYLOAD_BYTES = 20
_TOKEN_FLAGS = 0x06


def decode(advert: Advert) -> Sighting | None:
    """A token with its identifier; None for anything else."""
    payload = advert.data.service_data.get(_SERVICE)
    if payload is None or len(payload) != _PAYLOAD_BYTES or advert.data.flags != _TOKEN_FLAGS:
        return None
    return Sighting(
        protocol=PROTOCOL,
        kind=Kind.IDENTIFIED,
        identifier=payload[:IDENTIFIER_BYTES],
        payload=payload,
        advert=advert,
    )


PROTOCOL = BeaconProtocol(
    name="bluetrace_lite",
    tag=5,
    specification="unpublished; bitowlonline/TraceTogether-Teardown 4e0fba4",
    decode=decode,
    marks=frozenset({_SERVICE}),
    lifetime_s=dict.fromkeys(PhoneClass, 900.0),
)
