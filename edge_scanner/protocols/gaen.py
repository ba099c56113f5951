"""Google/Apple Exposure Notification v1.2.

Specification: Exposure Notification Bluetooth Specification v1.2 and Cryptography Specification v1.2 (April 2020).

An advert counts when its service data under 0xFD6F has exactly 20 bytes: rolling proximity identifier 16, encrypted
metadata 4. Nothing else is required: iPhones send flags and Androids none, so no fixed prefix exists. The metadata is
kept for the health authority; it rotates together with the identifier and tells nothing until the key is published.
"""

from __future__ import annotations

import hmac
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from edge_scanner.core.advertising import uuid16
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import AddressType, BeaconProtocol, Derived, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.model import Advert, DayKey

IDENTIFIER_BYTES = 16
KEY_BYTES = 16
INTERVAL_S = 600
MAX_ROLLING_PERIOD = 144

_SERVICE = uuid16(0xFD6F)
_PAYLOAD_BYTES = 20
_HKDF_NO_SALT = bytes(32)
_RPIK_INFO = b"EN-RPIK"
_HKDF_FIRST_BLOCK = b"\x01"
_PADDED_DATA = b"EN-RPI" + bytes(6) + bytes(4)
_INTERVAL_OFFSET = 12
_MAX_INTERVAL = 2**32 - 1

# Measured by DP-3T/bt-measurements exp34 in July 2020: median life of an identifier by family.
_ANDROID_LIFETIME_S = 12.8 * 60
_IPHONE_LIFETIME_S = 20.6 * 60


def decode(advert: Advert) -> Sighting | None:
    """A phone with its identifier; None for anything else."""
    payload = advert.data.service_data.get(_SERVICE)
    if payload is None or len(payload) != _PAYLOAD_BYTES:
        return None
    return Sighting(
        protocol=PROTOCOL,
        kind=Kind.IDENTIFIED,
        phone_class=_phone_class(advert),
        identifier=payload[:IDENTIFIER_BYTES],
        payload=payload,
        advert=advert,
    )


def _phone_class(advert: Advert) -> PhoneClass:
    """The family, which decides how long an identifier lives.

    iPhones send flags from a non-resolvable address, Androids no flags from a resolvable-looking one: all but 5 of
    187,593 captured reports. The address speaks first because not every receiver passes flags on.
    """
    match advert.address_type:
        case AddressType.NON_RESOLVABLE:
            return PhoneClass.IPHONE
        case AddressType.RESOLVABLE:
            return PhoneClass.ANDROID
        case AddressType.UNKNOWN:
            return PhoneClass.ANDROID if advert.data.flags is None else PhoneClass.IPHONE
        case _:
            return PhoneClass.OTHER


def derive(key: DayKey) -> Iterator[Derived]:
    """The identifiers of a temporary exposure key, one per 10-minute interval that begins before `end_s`.

    Raises BadDataError unless the key has 16 bytes, `start_s` lies on the 10-minute grid and 1..144 intervals follow.
    """
    if key.start_s % INTERVAL_S:
        raise BadDataError("an exposure key begins at a full 10-minute interval", where="start_s")
    count = -((key.start_s - key.end_s) // INTERVAL_S)
    identifiers = rolling_identifiers(key.key, key.start_s // INTERVAL_S, count)
    return (
        Derived(identifier=identifiers[offset : offset + IDENTIFIER_BYTES], start_s=start_s, end_s=start_s + INTERVAL_S)
        for offset, start_s in zip(
            range(0, len(identifiers), IDENTIFIER_BYTES),
            range(key.start_s, key.end_s, INTERVAL_S),
            strict=True,
        )
    )


def rolling_identifiers(key: bytes, start_interval: int, count: int) -> bytes:
    """`count` identifiers of 16 bytes in order of time, in one AES call; `start_interval` is unix seconds // 600.

    Raises BadDataError unless the key has 16 bytes, `count` is 1..144 and the intervals fit 32 bits.
    """
    if len(key) != KEY_BYTES:
        raise BadDataError(f"an exposure key has {KEY_BYTES} bytes", where="key")
    if not 1 <= count <= MAX_ROLLING_PERIOD:
        raise BadDataError(f"an exposure key covers 1..{MAX_ROLLING_PERIOD} intervals", where="end_s")
    if not 0 <= start_interval <= _MAX_INTERVAL - count:
        raise BadDataError("an exposure key's interval number has 32 bits", where="start_s")
    # HKDF (RFC 5869) of one output block is two HMACs.
    extracted = hmac.digest(_HKDF_NO_SALT, key, "sha256")
    rpik = hmac.digest(extracted, _RPIK_INFO + _HKDF_FIRST_BLOCK, "sha256")[:KEY_BYTES]
    # ECB is the specification's: every block is a different interval number.
    encryptor = Cipher(AES(rpik), ECB()).encryptor()  # noqa: S305 (prescribed)
    return encryptor.update(_padded_data(start_interval, count))


@lru_cache(maxsize=32)
def _padded_data(start_interval: int, count: int) -> bytes:
    """What is encrypted: the same for every key of a day."""
    intervals = struct.pack(f"<{count}I", *range(start_interval, start_interval + count))
    blocks = bytearray(_PADDED_DATA * count)
    for byte in range(4):
        blocks[_INTERVAL_OFFSET + byte :: IDENTIFIER_BYTES] = intervals[byte::4]
    return bytes(blocks)


PROTOCOL = BeaconProtocol(
    name="gaen",
    tag=2,
    specification="Exposure Notification Bluetooth and Cryptography Specifications v1.2",
    decode=decode,
    marks=frozenset({_SERVICE}),
    derive=derive,
    lifetime_s={
        PhoneClass.ANDROID: _ANDROID_LIFETIME_S,
        PhoneClass.IPHONE: _IPHONE_LIFETIME_S,
        PhoneClass.OTHER: _ANDROID_LIFETIME_S,
    },
)
