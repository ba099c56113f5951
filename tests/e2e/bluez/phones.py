"""What the virtual phones put on the air, byte for byte, and the secrets in it that may appear nowhere else.

Pure. The bytes follow the formats' sources (docs/protocols.md), not our decoders. A secret depends on the phone and
its epoch only; an epoch is a quarter hour and the number of times the story made everybody change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

FLAGS, UUIDS16, UUIDS128, NAME, SERVICE_DATA, MANUFACTURER = 0x01, 0x03, 0x07, 0x09, 0x16, 0xFF
BLUEZONE_IPHONE = bytes.fromhex("00004e5673f54bc4a12f17d1ad07a667")
BLUEZONE_CHARACTERISTIC = "00004E56-73F5-4BC4-A12F-17D1AD07A689"
BACKGROUND = bytes.fromhex("0108") + bytes(15)
"""Apple's overflow area with the one bit that Bluezone's service has."""


class Kind(StrEnum):
    """The classes of phones, and one thing that is none."""

    BLUEZONE_ANDROID = "bluezone android"
    BLUEZONE_IPHONE = "bluezone iphone in the foreground"
    BLUEZONE_BACKGROUND = "bluezone iphone in the background"
    EXPOSURE_ANDROID = "exposure notification android"
    EXPOSURE_IPHONE = "exposure notification iphone"
    HEADPHONES = "headphones"
    DAMAGED = "exposure notification android whose last structure overruns its advert"
    LONG = "a neighbour with 62 bytes of manufacturer data in an extended advert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One content: `address` most significant byte first, the AD structures, and the payload a log should have."""

    address: bytes
    data: bytes
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """One phone; it repeats its content every `interval_s`, heard at `rssi` dBm."""

    number: int
    kind: Kind
    interval_s: float = 0.25
    rssi: int = -60

    def secret(self, epoch: object, what: str, size: int) -> bytes:
        """Bytes that this phone draws once per epoch."""
        return sha256(f"{self.number} {epoch} {what}".encode()).digest()[:size]

    def identifier(self, epoch: object) -> bytes:
        """Bluezone's 12 bytes."""
        return self.secret(epoch, "identifier", 12)

    def show(self, epoch: object) -> Shown:
        """What is on the air in an epoch."""
        address = bytearray(self.secret(epoch, "address", 6))
        top = {Kind.EXPOSURE_IPHONE: 0x00, Kind.HEADPHONES: 0xC0}.get(self.kind, 0x40)
        address[0] = address[0] & 0x3F | top
        data, payload = self._content(epoch)
        return Shown(address=bytes(address), data=data, payload=payload)

    def _content(self, epoch: object) -> tuple[bytes, bytes]:
        match self.kind:
            case Kind.BLUEZONE_ANDROID:
                payload = self.identifier(epoch)
                data = ad(FLAGS, b"\x02") + ad(MANUFACTURER, b"\xb5\x22" + payload) + ad(UUIDS16, b"\x56\x4e")
                return data, payload
            case Kind.BLUEZONE_IPHONE:
                return ad(FLAGS, b"\x1a") + ad(UUIDS128, BLUEZONE_IPHONE[::-1]) + ad(NAME, b"Bluezone"), b""
            case Kind.BLUEZONE_BACKGROUND:
                return ad(FLAGS, b"\x1a") + ad(MANUFACTURER, b"\x4c\x00" + BACKGROUND), b""
            case Kind.EXPOSURE_ANDROID | Kind.EXPOSURE_IPHONE | Kind.DAMAGED:
                payload = self.secret(epoch, "rolling identifier and metadata", 20)
                flags = ad(FLAGS, b"\x1a") if self.kind is Kind.EXPOSURE_IPHONE else b""
                tail = b"\x05\x09L" if self.kind is Kind.DAMAGED else b""
                return flags + ad(UUIDS16, b"\x6f\xfd") + ad(SERVICE_DATA, b"\x6f\xfd" + payload) + tail, payload
            case Kind.LONG:
                return ad(FLAGS, b"\x02") + ad(MANUFACTURER, b"\x59\x00" + bytes(60)), b""
            case Kind.HEADPHONES:
                name = f"Lan {self.secret('', 'name', 5).hex()}".encode()
                return ad(FLAGS, b"\x06") + ad(NAME, name) + ad(MANUFACTURER, b"\x9e\x00canary"), b""


def ad(kind: int, data: bytes) -> bytes:
    """One AD structure."""
    return bytes([len(data) + 1, kind]) + data


def crowd(*, each: int = 2) -> list[Phone]:
    """`each` of every kind but the foreground iPhone, which is a whole device (air.py), and the two odd ones."""
    apart = (Kind.BLUEZONE_IPHONE, Kind.DAMAGED, Kind.LONG)
    kinds = [kind for kind in Kind if kind not in apart for _ in range(each)]
    return [Phone(number=number, kind=kind, rssi=-50 - number) for number, kind in enumerate(kinds, 1)]
