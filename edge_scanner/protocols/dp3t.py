"""DP-3T, low-cost design, as phones broadcast it before Exposure Notification (spring 2020).

Specification: DP-3T white paper (May 2020) section 2; DP-3T/reference_implementation fa2aafc; on air
DP-3T/dp3t-sdk-android tag prestandard.

An advert counts when its service data under 0xFD68 has exactly 16 bytes, the EphID. Phones that fall back to GATT show
the UUID alone; they are left out, because the same phone's scan response carries the data.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from edge_scanner.core.advertising import uuid16
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import BeaconProtocol, Derived, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.model import Advert, DayKey

IDENTIFIER_BYTES = 16
KEY_BYTES = 32
IDENTIFIERS_PER_DAY = 96
DAY_S = 86_400

_SERVICE = uuid16(0xFD68)
_BROADCAST_KEY = b"broadcast key"
_FIRST_COUNTER = bytes(16)

# The reference configuration keeps keys for 21 days; a record of more than a month is a mistake.
MAX_DAYS = 31


def decode(advert: Advert) -> Sighting | None:
    """A phone with its EphID; None for anything else."""
    identifier = advert.data.service_data.get(_SERVICE)
    if identifier is None or len(identifier) != IDENTIFIER_BYTES:
        return None
    return Sighting(protocol=PROTOCOL, kind=Kind.IDENTIFIED, identifier=identifier, payload=identifier, advert=advert)


def derive(key: DayKey) -> Iterator[Derived]:
    """The EphIDs of a day key SK and of the days that follow by hashing, 96 a UTC day.

    A phone broadcasts a day's EphIDs in an order only it knows, so each is valid for the whole day, cut at `end_s`.
    Raises BadDataError unless the key has 32 bytes and [`start_s`, `end_s`) begins at a UTC midnight.
    """
    if len(key.key) != KEY_BYTES:
        raise BadDataError(f"a DP-3T day key has {KEY_BYTES} bytes", where="key")
    if key.start_s % DAY_S:
        raise BadDataError("a DP-3T day key begins at a UTC midnight", where="start_s")
    if not 0 < key.end_s - key.start_s <= MAX_DAYS * DAY_S:
        raise BadDataError(f"a DP-3T record covers up to {MAX_DAYS} days, forwards", where="end_s")
    return _days(key)


def _days(key: DayKey) -> Iterator[Derived]:
    day_key = key.key
    for day_s in range(key.start_s, key.end_s, DAY_S):
        identifiers = day_identifiers(day_key)
        end_s = min(day_s + DAY_S, key.end_s)
        for offset in range(0, len(identifiers), IDENTIFIER_BYTES):
            yield Derived(
                identifier=identifiers[offset : offset + IDENTIFIER_BYTES],
                start_s=day_s,
                end_s=end_s,
            )
        day_key = sha256(day_key).digest()


def day_identifiers(day_key: bytes) -> bytes:
    """All 96 EphIDs of a day, 16 bytes each, in the order of the key stream (not of broadcasting)."""
    stream_key = hmac.digest(day_key, _BROADCAST_KEY, "sha256")
    encryptor = Cipher(AES(stream_key), CTR(_FIRST_COUNTER)).encryptor()
    return encryptor.update(bytes(IDENTIFIER_BYTES * IDENTIFIERS_PER_DAY))


PROTOCOL = BeaconProtocol(
    name="dp3t",
    tag=3,
    specification="DP-3T white paper, low-cost design; DP-3T/reference_implementation fa2aafc",
    decode=decode,
    marks=frozenset({_SERVICE}),
    derive=derive,
    lifetime_s=dict.fromkeys(PhoneClass, 900.0),
)
