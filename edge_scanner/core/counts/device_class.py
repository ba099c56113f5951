"""What kind of thing an advertisement comes from, by its payload alone: one table, no memory, nobody linked.

One thing in a pocket is many addresses: an open case of earbuds shows five at once, a pair of Galaxy Buds three.
Counted as devices they are five visitors; as `accessory` they leave the figure of phones alone. Who says nothing that
the table knows is `unknown`; where an advertisement says two things the later class in `DeviceClass` wins.

An Apple Watch, an iPad and a Mac broadcast the same Nearby Info as an iPhone, so they are `phone`. Static addresses say
nothing here: earbuds have them as often as lamps.

Sources: Bluetooth SIG Assigned Numbers (2025-06: company identifiers 7.1, 16-bit UUIDs 3); for Apple's types,
"Handoff All Your Privacy" (Martin et al., PETS 2019) and furiousMAC/continuity; Microsoft, [MS-CDP] 2.2.2.2.3;
Google, Fast Pair and Eddystone specifications; labelled captures of earbuds' cases, 2023 to 2025.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from edge_scanner.core.advertising import uuid16

if TYPE_CHECKING:
    from edge_scanner.core.advertising import AdvertisingData


class DeviceClass(IntEnum):
    """The classes, from the least to the most telling; an address only ever moves up."""

    UNKNOWN = 0
    THING = 1
    ACCESSORY = 2
    COMPUTER = 3
    PHONE = 4

    @property
    def figure(self) -> str:
        """The name of its figure in a tally."""
        return self.name.lower()


_U, _T, _A, _C, _P = DeviceClass

FIGURES = tuple(kind.figure for kind in DeviceClass)
"""The names of the classes' figures, in the order of `DeviceClass`."""

_APPLE = 0x004C
_MICROSOFT = 0x0006
_SAMSUNG = 0x0075

_APPLE_TYPES = {
    0x01: _P,  # background service UUIDs of apps
    0x02: _T,  # iBeacon
    0x03: _T,  # AirPrint
    0x05: _P,  # AirDrop
    0x06: _T,  # HomeKit
    0x07: _A,  # proximity pairing: AirPods, Beats and their cases
    0x08: _P,  # "Hey Siri"
    0x09: _T,  # AirPlay target: a television or a loudspeaker
    0x0C: _P,  # Handoff
    0x0D: _P,  # Instant Hotspot, who looks for one
    0x0E: _P,  # Instant Hotspot, who offers one
    0x0F: _P,  # Nearby Action
    0x10: _P,  # Nearby Info
    0x12: _A,  # Find My: a tag, or earbuds in a closed case
}
_MICROSOFT_TYPES = {0x01: _C, 0x03: _A}
"""Connected devices platform: a Windows machine; Swift Pair: a mouse, a keyboard, headphones."""

_COMPANIES = {
    0x000D: _T,  # Texas Instruments: SensorTag, beacons
    0x0055: _A,  # Plantronics
    0x0057: _A,  # Harman: JBL
    0x0059: _T,  # Nordic Semiconductor: beacons, sensors
    0x0067: _A,  # GN: Jabra
    0x0087: _A,  # Garmin
    0x009E: _A,  # Bose
    0x00C4: _T,  # LG: televisions
    0x0118: _T,  # Radius Networks
    0x012D: _A,  # Sony: headphones
    0x0157: _A,  # Huami: Amazfit and Mi bands
    0x015D: _T,  # Estimote
    0x0211: _T,  # Telink: lamps
    0x02E5: _T,  # Espressif
    0x0494: _A,  # Sennheiser
    0x0499: _T,  # Ruuvi
    0x05A7: _T,  # Sonos
    0x060F: _T,  # Signify: lamps
}

_SERVICES = {
    uuid16(number): kind
    for number, kind in {
        0x180D: _A,  # heart rate
        0x1812: _A,  # keyboards, mice, remote controls
        0x184E: _A,  # audio streams: LE Audio earbuds
        0x1853: _A,  # common audio
        0x1854: _A,  # hearing access
        0xFD5A: _A,  # Samsung SmartTag
        0xFD69: _A,  # Samsung: Galaxy Buds
        0xFD84: _A,  # Tile
        0xFDF0: _A,  # audio streaming for hearing aids
        0xFE2C: _A,  # Fast Pair
        0xFEBE: _A,  # Bose
        0xFEEC: _A,  # Tile
        0xFEED: _A,  # Tile
        0xFEF3: _P,  # Nearby Share of an Android phone
        0xFD6F: _P,  # Exposure Notification, where no protocol recognises it
        0x181A: _T,  # environmental sensing
        0x1826: _T,  # fitness machine
        0x1827: _T,  # mesh provisioning
        0x1828: _T,  # mesh proxy
        0xFCD2: _T,  # BTHome sensors
        0xFD3D: _T,  # SwitchBot
        0xFE0F: _T,  # Signify: lamps
        0xFE6A: _T,  # Kontakt.io
        0xFE95: _T,  # Xiaomi: sensors, lamps
        0xFEAA: _T,  # Eddystone
    }.items()
}

_ALT_BEACON = b"\xbe\xac"
"""AltBeacon, whatever the company."""
_SAMSUNG_EARBUDS = 0x42


def classify(data: AdvertisingData) -> DeviceClass:
    """The class of what sends `data`; never raises, whatever is in it."""
    kind = _U
    for company, payload in data.manufacturer_data.items():
        if (found := _of_company(company, payload)) > kind:
            kind = found
    for uuids in (data.service_data, data.service_uuids):
        for uuid in uuids:
            if (found := _SERVICES.get(uuid, _U)) > kind:
                kind = found
    return kind


def _of_company(company: int, payload: bytes) -> DeviceClass:
    if company == _APPLE:
        return _of_apple(payload)
    if payload.startswith(_ALT_BEACON):
        return _T
    if company == _MICROSOFT:
        return _MICROSOFT_TYPES.get(payload[0], _U) if payload else _U
    if company == _SAMSUNG:
        return _A if payload and payload[0] == _SAMSUNG_EARBUDS else _U
    return _COMPANIES.get(company, _U)


def _of_apple(payload: bytes) -> DeviceClass:
    """Type, length, content, one after the other; the most telling of them."""
    kind = _U
    position = 0
    while position + 1 < len(payload):
        kind = max(kind, _APPLE_TYPES.get(payload[position], _U))
        position += 2 + payload[position + 1]
    return kind
