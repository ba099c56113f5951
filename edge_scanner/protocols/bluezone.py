"""Bluezone (Vietnam, 2020-2021), current scheme (app 2.0.3 and later) and v1 (app 1.0.x).

Specification: none was published. The facts are read from BluezoneGlobal/react-native-bluetooth-scan (4a5ce99, 7f8af0b;
v1: d9ee70f) and BluezoneGlobal/bluezone-app (75c5c5b).

What a phone shows, strongest first; when a receiver merges several of a phone's adverts, the strongest one counts:

* Android: company 0x22B5 with 12 bytes and service UUID 0x4E56. Both look self-assigned, so both are required.
* v1 Android: company 0x22B5 with 6 letters or digits and the v1 UUID; v1 iPhone: the 6 characters hidden in the name.
* iPhone in the foreground: its service UUID; the identifier is told only over GATT. The radio hands a read on as
  service data under the characteristic's UUID, which no advert of the app uses.
* iPhone in the background: one bit of Apple's overflow area, shared with about one service UUID in 128; and Android's
  iBeacon (3.0.7 and later), the same on every phone. Both are hints and add nothing to a count of identifiers.

Both generations share the tag: a v1 record is 6 characters and zeros, and a current identifier ends in 6 zero bytes
once in 2**48. A v1 identifier never changes: it is a device id, and no key derives it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from edge_scanner.core.advertising import uuid16
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import BeaconProtocol, Derived, Kind, PhoneClass, Sighting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.advertising import AdvertisingData
    from edge_scanner.core.model import Advert, DayKey

IDENTIFIER_BYTES = 12
KEY_BYTES = 32
DAY_S = 86_400

ANDROID_SERVICE = uuid16(0x4E56)
IPHONE_SERVICE = "00004e56-73f5-4bc4-a12f-17d1ad07a667"
IPHONE_CHARACTERISTIC = "00004e56-73f5-4bc4-a12f-17d1ad07a689"
V1_ANDROID_SERVICE = "e20a39f4-73f5-4bc4-a12f-17d1ad07a889"
V1_IPHONE_SERVICE = "e20a39f4-73f5-4bc4-a12f-17d1ad07a667"

_COMPANY = 0x22B5
_APPLE = 0x004C
_IBEACON = bytes.fromhex("0215c7afef7b17884f4aa87d691d53bf21c4")
_IBEACON_BYTES = 23
_OVERFLOW_TYPE = 0x01
_OVERFLOW_BYTES = 17
_OVERFLOW_BIT = (1 + 0, 0x08)
_V1_OVERFLOW_BIT = (1 + 10, 0x80)

_V1_IDENTIFIER_BYTES = 6
_V1_NAME_BYTES = 10
_V1_NAME_DIGITS = b"12345"

_SALT = b"bluzonesubkey"
OFFSETS = (0, 4, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30)

# The longest history the app was ever told to keep; a record of more days is a mistake, not a case.
MAX_DAYS = 180


def decode(advert: Advert) -> Sighting | None:
    """The phone's identifier, else its presence, else a hint; None for anything else."""
    data = advert.data
    if (identified := _identifier(data)) is not None:
        phone_class, identifier = identified
        return Sighting(
            protocol=PROTOCOL,
            kind=Kind.IDENTIFIED,
            phone_class=phone_class,
            identifier=identifier,
            payload=identifier,
            advert=advert,
        )
    if (noticed := _notice(data)) is not None:
        kind, phone_class = noticed
        return Sighting(protocol=PROTOCOL, kind=kind, phone_class=phone_class, advert=advert)
    return None


def readable(advert: Advert) -> str | None:
    """The GATT characteristic in which this phone tells its identifier: a current iPhone that told none so far."""
    sighting = decode(advert)
    if sighting is None or sighting.kind is Kind.IDENTIFIED or sighting.phone_class is not PhoneClass.IPHONE:
        return None
    return None if V1_IPHONE_SERVICE in advert.data.service_uuids else IPHONE_CHARACTERISTIC


def _identifier(data: AdvertisingData) -> tuple[PhoneClass, bytes] | None:
    """The identifier and whose it is: 12 bytes, or 6 of v1."""
    own = data.manufacturer_data.get(_COMPANY)
    if own is not None:
        if len(own) == IDENTIFIER_BYTES and ANDROID_SERVICE in data.service_uuids:
            return PhoneClass.ANDROID, own
        if len(own) == _V1_IDENTIFIER_BYTES and own.isalnum() and V1_ANDROID_SERVICE in data.service_uuids:
            return PhoneClass.ANDROID, own
    read = data.service_data.get(IPHONE_CHARACTERISTIC)
    if read is not None and len(read) == IDENTIFIER_BYTES:
        return PhoneClass.IPHONE, read
    if data.local_name is not None and V1_IPHONE_SERVICE in data.service_uuids:
        hidden = _unhide(data.local_name.encode("ascii", "replace"))
        if hidden is not None:
            return PhoneClass.IPHONE, hidden
    return None


def _unhide(name: bytes) -> bytes | None:
    """The v1 identifier in an iPhone's 10-character name; None when its two decoys do not fit.

    The name is digit, 8 characters, digit; the digits differ and lie in 1..5. With lo the smaller and hi the greater,
    the decoys stand at lo and hi + 1 of the 8 characters and repeat characters hi - 1 and lo - 1 of the identifier.
    """
    if len(name) != _V1_NAME_BYTES or name[0] not in _V1_NAME_DIGITS or name[-1] not in _V1_NAME_DIGITS:
        return None
    lo, hi = sorted((name[0] - ord("0"), name[-1] - ord("0")))
    middle = name[1:-1]
    identifier = middle[:lo] + middle[lo + 1 : hi + 1] + middle[hi + 2 :]
    decoys_fit = lo < hi and (middle[lo], middle[hi + 1]) == (identifier[hi - 1], identifier[lo - 1])
    return identifier if decoys_fit and identifier.isalnum() else None


def _notice(data: AdvertisingData) -> tuple[Kind, PhoneClass] | None:
    """What an advert without an identifier tells."""
    if IPHONE_SERVICE in data.service_uuids or V1_IPHONE_SERVICE in data.service_uuids:
        return Kind.PRESENCE, PhoneClass.IPHONE
    apple = data.manufacturer_data.get(_APPLE)
    if apple is None:
        return None
    if len(apple) == _IBEACON_BYTES and apple.startswith(_IBEACON):
        return Kind.HINT, PhoneClass.ANDROID
    if len(apple) == _OVERFLOW_BYTES and apple[0] == _OVERFLOW_TYPE:
        for byte, mask in (_OVERFLOW_BIT, _V1_OVERFLOW_BIT):
            if apple[byte] & mask:
                return Kind.HINT, PhoneClass.IPHONE
    return None


def derive(key: DayKey) -> Iterator[Derived]:
    """The identifiers a case record (`daily_key`, `time_start`, `time_end`, `max`) yields, in order of time.

    `start_s` is a UTC midnight and `key` the day key of that day; later days follow by hashing. As on the phones, a
    rotation that begins at `end_s` still counts. With `chain_lag` 1 the phone broadcast under the previous day's key,
    so the record's first day cannot be derived and is left out. Raises BadDataError for any other shape.
    """
    if key.start_s % DAY_S:
        raise BadDataError("a Bluezone record begins at a UTC midnight", where="start_s")
    if not 0 <= key.end_s - key.start_s < MAX_DAYS * DAY_S:
        raise BadDataError(f"a Bluezone record covers up to {MAX_DAYS} days, forwards", where="end_s")
    if key.chain_lag not in (0, 1):
        raise BadDataError("a Bluezone phone was 0 or 1 links behind", where="chain_lag")
    _check(key.key, key.rotations)
    return _windows(key)


def _windows(key: DayKey) -> Iterator[Derived]:
    day_key = key.key
    step_s = DAY_S // key.rotations
    for day_s in range(key.start_s + key.chain_lag * DAY_S, key.end_s + 1, DAY_S):
        identifiers = day_identifiers(day_key, key.rotations)
        for slot, start_s in enumerate(range(day_s, min(day_s + DAY_S, key.end_s + 1), step_s)):
            offset = slot * IDENTIFIER_BYTES
            identifier = identifiers[offset : offset + IDENTIFIER_BYTES]
            yield Derived(identifier=identifier, start_s=start_s, end_s=start_s + step_s)
        day_key = next_day_key(day_key)


def day_identifiers(day_key: bytes, rotations: int = 96) -> bytes:
    """All identifiers of one UTC day, `rotations` times 12 bytes in order of time; slot 0 begins at 00:00 UTC.

    Raises BadDataError unless the key has 32 bytes and `rotations` cuts the day into whole seconds.
    """
    joined = day_sub_keys(day_key, rotations)
    # Byte by byte of all identifiers at once: 12 strided copies a day are far cheaper than 12 indexings an identifier.
    identifiers = bytearray(IDENTIFIER_BYTES * rotations)
    for position, offset in enumerate(OFFSETS):
        identifiers[position::IDENTIFIER_BYTES] = joined[offset::KEY_BYTES]
    return bytes(identifiers)


def day_sub_keys(day_key: bytes, rotations: int = 96) -> bytes:
    """The hashes behind a day's identifiers, `rotations` times 32 bytes: an identifier is the bytes at `OFFSETS`.

    For whoever derives millions and picks the bytes of many days at once. Raises as `day_identifiers`.
    """
    _check(day_key, rotations)
    sub_key = sha256(day_key + _SALT).digest()
    sub_keys = [sub_key]
    for _ in range(rotations - 1):
        sub_key = sha256(sub_key).digest()
        sub_keys.append(sub_key)
    return b"".join(sub_keys)


def next_day_key(day_key: bytes) -> bytes:
    """The day key of the next UTC day, 32 bytes."""
    return sha256(day_key).digest()


def _check(day_key: bytes, rotations: int) -> None:
    if len(day_key) != KEY_BYTES:
        raise BadDataError(f"a Bluezone day key has {KEY_BYTES} bytes", where="key")
    if rotations < 1 or DAY_S % rotations:
        raise BadDataError("Bluezone rotations cut the day into whole seconds", where="rotations", hint="96 or 144")


PROTOCOL = BeaconProtocol(
    name="bluezone",
    tag=1,
    specification="unpublished; BluezoneGlobal/react-native-bluetooth-scan 4a5ce99, v1 d9ee70f",
    decode=decode,
    marks=frozenset({_COMPANY, IPHONE_CHARACTERISTIC, IPHONE_SERVICE, V1_IPHONE_SERVICE, _APPLE}),
    derive=derive,
    name_uuids=frozenset({V1_IPHONE_SERVICE}),
    lifetime_s=dict.fromkeys(PhoneClass, 900.0),
    kinds=frozenset(Kind),
)
