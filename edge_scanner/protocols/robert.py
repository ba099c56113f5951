"""ROBERT: StopCovid and TousAntiCovid (France).

Specification: ROBERT-proximity-tracing/documents e220bff, BLE_contact_tracing-EN-V1_3.

An advert counts when its service data under 0xFD64 has exactly 20 bytes: encrypted country code 1, ephemeral id 8,
time 2, authentication code 5, metadata 4 (version, transmit power, 2 reserved). Only the central server knows the keys,
so nothing can be derived.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.advertising import uuid16
from edge_scanner.core.model import BeaconProtocol, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert

IDENTIFIER_BYTES = 16

_SERVICE = uuid16(0xFD64)
_PAYLOAD_BYTES = 20


def decode(advert: Advert) -> Sighting | None:
    """A phone with its identifier (everything but the metadata); None for anything else."""
    payload = advert.data.service_data.get(_SERVICE)
    if payload is None or len(payload) != _PAYLOAD_BYTES:
        return None
    return Sighting(
        protocol=PROTOCOL,
        kind=Kind.IDENTIFIED,
        identifier=payload[:IDENTIFIER_BYTES],
        payload=payload,
        advert=advert,
    )


PROTOCOL = BeaconProtocol(
    name="robert",
    tag=4,
    specification="ROBERT-proximity-tracing/documents e220bff, BLE contact tracing V1.3",
    decode=decode,
    marks=frozenset({_SERVICE}),
    lifetime_s=dict.fromkeys(PhoneClass, 900.0),
)
