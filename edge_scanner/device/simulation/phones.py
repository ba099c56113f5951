"""What simulated devices put on air: contents, addresses and windows, each from the device's own secret.

The counterpart of the protocol files: Bluezone and Exposure Notification identifiers are the real derivations of
real keys, so that a case record finds its phone. Timing is that of the apps (Bluezone 2.0.3 to 3.0.7; Exposure
Notification as measured in DP-3T/bt-measurements exp34). Addresses, metadata and change times are keyed hashes of the
device's secret: the truth a test needs (`on_air`) can be told without having listened.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from edge_scanner.core.advertising import AdvertisingData, uuid16
from edge_scanner.core.model import AddressType
from edge_scanner.protocols import bluezone, gaen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY_S = 86_400
SLOT_S = 900

_APPLE, _BLUEZONE, _MICROSOFT, _BOSE = 0x004C, 0x22B5, 0x0006, 0x009E
_WINDOWS = b"\x01\x09"
"""Connected devices platform, a Windows desktop ([MS-CDP] 2.2.2.2.3)."""
_GAEN_SERVICE = uuid16(0xFD6F)
_IBEACON = bytes.fromhex("0215c7afef7b17884f4aa87d691d53bf21c400140014c5")
_OVERFLOW = b"\x01\x08" + bytes(15)
_ANDROID_FLAGS, _IPHONE_FLAGS, _PLAIN_FLAGS = 0x02, 0x1A, 0x06

_LIVES_S = {"gaen_android": (624.0, 954.0), "gaen_iphone": (960.0, 1440.0)}
"""Shortest and longest life of an identifier: 10.4 to 15.9 and 16 to 24 minutes."""
_IPHONE_SPELL_S = 1800
"""A Bluezone iPhone's app is in the foreground for the first tenth of each half hour."""
_IPHONE_FOREGROUND_S = 180
_BEACON_GAIN_DB = 10
"""The app's iBeacon is sent with high power, its identifier with low."""


class Kind(StrEnum):
    """The classes of devices, which are also the classes of the truth."""

    BLUEZONE_ANDROID = "bluezone_android"
    BLUEZONE_IPHONE = "bluezone_iphone"
    GAEN_ANDROID = "gaen_android"
    GAEN_IPHONE = "gaen_iphone"
    HEADPHONES = "headphones"
    LAPTOP = "laptop"


class OnAir(NamedTuple):
    """One content under one address."""

    data: AdvertisingData
    address: str
    address_type: AddressType


@dataclass(slots=True, kw_only=True)
class Transmitter:
    """One advertisement a device repeats every `interval_s` during windows of `on_s`, each followed by `off_s`.

    `at(moment)` is the content of a window that begins then; contents without windows change on the crowd's grid.
    """

    interval_s: float
    at: Callable[[float], OnAir]
    on_s: float = 0.0
    off_s: float = 0.0
    phase_s: float = 0.0
    gain_db: int = 0

    def window(self, start_s: float, end_s: float) -> tuple[float, float, float]:
        """The part of [start_s, end_s) that is on air (it may be empty), and when its window began."""
        if not self.off_s:
            return start_s, end_s, start_s
        period = self.on_s + self.off_s
        began = (start_s - self.phase_s) // period * period + self.phase_s
        if began + self.on_s <= start_s:
            began += period
        first, last = max(start_s, began), min(end_s, began + self.on_s)
        return first, max(first, last), began


class Device:
    """A device in the hall from `arrive_s` to `leave_s`; `key` is Bluezone's day key of `day_s` or an exposure key."""

    def __init__(self, kind: Kind, secret: bytes, *, day_s: int, key: bytes, arrive_s: float, leave_s: float) -> None:
        self.kind = kind
        self.key = key
        self.day_s = day_s
        self.arrive_s = arrive_s
        self.leave_s = leave_s
        self._secret = secret
        self._identifiers: dict[int, bytes] = {}
        self._changes: list[float] = []
        self._shown: dict[tuple[str, int], OnAir] = {}
        self.transmitters = tuple(self._transmitters())

    def draw(self, what: str, number: int = 0, size: int = 8) -> bytes:
        """Bytes that depend on the device's secret and the question only."""
        return blake2b(f"{what} {number}".encode(), digest_size=size, key=self._secret).digest()

    def chance(self, what: str, number: int = 0) -> float:
        """A number in [0, 1) in the same way."""
        return int.from_bytes(self.draw(what, number)) / 2**64

    def on_air(self) -> Iterator[OnAir]:
        """Everything the device shows during its stay, repeats left out: what must appear nowhere in the clear."""
        seen = set()
        moment = self.arrive_s // 5 * 5
        while moment < self.leave_s:
            for transmitter in self.transmitters:
                shown = transmitter.at(transmitter.window(moment, moment + 5)[2])
                if id(shown) not in seen:
                    seen.add(id(shown))
                    yield shown
            moment += 5

    def _transmitters(self) -> Iterator[Transmitter]:
        match self.kind:
            case Kind.BLUEZONE_ANDROID:
                # One phone in five has the app open: 60 s on air, 5 s off.
                on_s, off_s = (60.0, 5.0) if self.chance("foreground") < 0.2 else (15.0, 15.0)  # noqa: PLR2004 (above)
                phase_s = self.chance("phase") * (on_s + off_s)
                yield Transmitter(interval_s=0.1, at=self._bluezone_android, on_s=on_s, off_s=off_s, phase_s=phase_s)
                if self.chance("version") < 0.5:  # noqa: PLR2004 (half the phones run 3.0.7 or later)
                    # About once a minute in the background: with every second window.
                    yield Transmitter(
                        interval_s=1.0,
                        at=self._ibeacon,
                        on_s=on_s,
                        off_s=on_s + 2 * off_s,
                        phase_s=phase_s,
                        gain_db=_BEACON_GAIN_DB,
                    )
            case Kind.BLUEZONE_IPHONE:
                yield Transmitter(interval_s=0.27, at=self._bluezone_iphone)
            case Kind.GAEN_ANDROID | Kind.GAEN_IPHONE:
                yield Transmitter(interval_s=0.25, at=self._exposure_notification)
            case Kind.HEADPHONES:
                yield Transmitter(interval_s=0.5, at=self._headphones)
            case Kind.LAPTOP:
                yield Transmitter(interval_s=1.0, at=self._laptop)

    def _bluezone_android(self, moment: float) -> OnAir:
        slot = int(moment // SLOT_S)
        # Two phones in three get a new address with every window, the others keep theirs for the quarter hour.
        restless = self.chance("restless") < 2 / 3
        epoch = int(moment * 1000) if restless else slot

        def show() -> OnAir:
            data = AdvertisingData(
                flags=_ANDROID_FLAGS,
                service_uuids=(bluezone.ANDROID_SERVICE,),
                service_data={},
                manufacturer_data={_BLUEZONE: self.bluezone_identifier(moment)},
            )
            return OnAir(data, self._address("bluezone", epoch, AddressType.RESOLVABLE), AddressType.RESOLVABLE)

        return self._once("bluezone", epoch, show)

    def _ibeacon(self, moment: float) -> OnAir:
        def show() -> OnAir:
            data = AdvertisingData(service_data={}, manufacturer_data={_APPLE: _IBEACON})
            address = self._address("beacon", int(moment), AddressType.NON_RESOLVABLE)
            return OnAir(data, address, AddressType.NON_RESOLVABLE)

        return self._once("beacon", int(moment), show)

    def _bluezone_iphone(self, moment: float) -> OnAir:
        # Address changes and the app's visits to the foreground do not keep step.
        address_epoch = int((moment + self.chance("address phase") * SLOT_S) // SLOT_S)
        in_spell = (moment + self.chance("spell phase") * _IPHONE_SPELL_S) % _IPHONE_SPELL_S
        foreground = in_spell < _IPHONE_FOREGROUND_S

        def show() -> OnAir:
            data = AdvertisingData(
                flags=_IPHONE_FLAGS,
                service_uuids=(bluezone.IPHONE_SERVICE,) if foreground else (),
                service_data={},
                manufacturer_data={} if foreground else {_APPLE: _OVERFLOW},
            )
            address = self._address("iphone", address_epoch, AddressType.RESOLVABLE)
            return OnAir(data, address, AddressType.RESOLVABLE)

        return self._once("iphone", 2 * address_epoch + foreground, show)

    def _exposure_notification(self, moment: float) -> OnAir:
        number, since = self._life(moment)
        iphone = self.kind is Kind.GAEN_IPHONE
        kind = AddressType.NON_RESOLVABLE if iphone else AddressType.RESOLVABLE

        def show() -> OnAir:
            payload = self.rolling_identifier(since) + self.draw("metadata", number, 4)
            data = AdvertisingData(
                flags=_IPHONE_FLAGS if iphone else None,
                service_uuids=(_GAEN_SERVICE,),
                service_data={_GAEN_SERVICE: payload},
                manufacturer_data={},
            )
            return OnAir(data, self._address("gaen", number, kind), kind)

        return self._once("gaen", number, show)

    def _headphones(self, _moment: float) -> OnAir:
        def show() -> OnAir:
            data = AdvertisingData(
                flags=_PLAIN_FLAGS, service_data={}, manufacturer_data={_BOSE: self.draw("model", 0, 6)}
            )
            return OnAir(data, self._address("fixed", 0, AddressType.STATIC), AddressType.STATIC)

        return self._once("fixed", 0, show)

    def _laptop(self, moment: float) -> OnAir:
        epoch = int((moment + self.chance("address phase") * SLOT_S) // SLOT_S)

        def show() -> OnAir:
            content = _WINDOWS + self.draw("laptop", epoch, 25)
            data = AdvertisingData(service_data={}, manufacturer_data={_MICROSOFT: content})
            return OnAir(data, self._address("laptop", epoch, AddressType.RESOLVABLE), AddressType.RESOLVABLE)

        return self._once("laptop", epoch, show)

    def bluezone_identifier(self, moment: float) -> bytes:
        """The 12 bytes of the quarter hour that holds `moment`, which is not before `day_s`."""
        day = int(moment - self.day_s) // DAY_S
        if day not in self._identifiers:
            day_key = self.key
            for _ in range(day):
                day_key = bluezone.next_day_key(day_key)
            self._identifiers[day] = bluezone.day_identifiers(day_key)
        offset = int(moment % DAY_S // SLOT_S) * bluezone.IDENTIFIER_BYTES
        return self._identifiers[day][offset : offset + bluezone.IDENTIFIER_BYTES]

    def rolling_identifier(self, moment: float) -> bytes:
        """The 16 bytes of the 10-minute interval that holds `moment`; a stay beyond the day gets its own next key."""
        day = int(moment - self.day_s) // DAY_S
        if day not in self._identifiers:
            key = self.key if day == 0 else self.draw("exposure key", day, gaen.KEY_BYTES)
            first = (self.day_s + day * DAY_S) // gaen.INTERVAL_S
            self._identifiers[day] = gaen.rolling_identifiers(key, first, gaen.MAX_ROLLING_PERIOD)
        offset = int(moment % DAY_S // gaen.INTERVAL_S) * gaen.IDENTIFIER_BYTES
        return self._identifiers[day][offset : offset + gaen.IDENTIFIER_BYTES]

    def _life(self, moment: float) -> tuple[int, float]:
        """Number of the identifier's life at `moment`, and when it began."""
        shortest, longest = _LIVES_S[self.kind]
        if not self._changes:
            self._changes.append(max(self.arrive_s - longest * self.chance("age"), self.day_s))
        while self._changes[-1] <= moment:
            life_s = shortest + (longest - shortest) * self.chance("life", len(self._changes))
            self._changes.append(self._changes[-1] + life_s)
        number = len(self._changes) - 1
        while number and self._changes[number] > moment:
            number -= 1
        return number, self._changes[number]

    def _address(self, what: str, epoch: int, kind: AddressType) -> str:
        """A random address of a kind, as BlueZ writes it."""
        address = bytearray(self.draw(f"address {what}", epoch, 6))
        top = {AddressType.STATIC: 0xC0, AddressType.RESOLVABLE: 0x40}.get(kind, 0x00)
        address[0] = address[0] & 0x3F | top
        return address.hex(":").upper()

    def _once(self, what: str, epoch: int, show: Callable[[], OnAir]) -> OnAir:
        """The same object for the same content, and only the latest of each kind is kept."""
        shown = self._shown.get((what, epoch))
        if shown is None:
            for key in [key for key in self._shown if key[0] == what]:
                del self._shown[key]
            shown = self._shown[what, epoch] = show()
        return shown
