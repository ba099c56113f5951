"""What is kept of the devices that are heard, told as bleak's manager tells its scanners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_scanner.device.radio import pruning
from edge_scanner.device.radio.scanner import Scanner

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"
PHONE, OTHER = "4A:11:22:33:44:55", "4A:11:22:33:44:66"
DATA = {"ServiceData": {GAEN: bytes(20)}}


class Ear(Scanner):
    """A scanner and what it told: address, manufacturer data, service data."""

    def __init__(self, *, passive: bool = False) -> None:
        self.told: list[tuple[Any, ...]] = []
        super().__init__(self._tell, "hci0", passive=passive)

    def _tell(self, properties: Mapping[str, Any], *data: Mapping[Any, bytes]) -> None:
        self.told.append((properties["Address"], *data))

    def hear(self, address: str, **properties: Any) -> None:
        """A packet, with all that BlueZ knows of its device."""
        self.heard(path(address), {"Address": address, "RSSI": -60, **properties})

    def kept(self) -> list[tuple[str, int]]:
        """Address and RSSI of the silent ones."""
        return [(properties["Address"], properties["RSSI"]) for properties in self.silent()]


def path(address: str) -> str:
    """BlueZ's object."""
    return f"/org/bluez/hci0/dev_{address.replace(':', '_')}"


def test_of_a_device_that_speaks_nothing_is_kept() -> None:
    """Each packet is told with its data, which nothing here refers to afterwards."""
    ear = Ear()
    ear.hear(PHONE, **DATA)
    ear.hear(OTHER, ManufacturerData={76: b"\x10"})
    ear.hear(PHONE, **DATA)

    assert ear.told == [
        (PHONE, {}, DATA["ServiceData"]),
        (OTHER, {76: b"\x10"}, {}),
        (PHONE, {}, DATA["ServiceData"]),
    ]
    assert ear.kept() == []


def test_of_a_silent_device_the_newest_is_kept_until_it_speaks_or_goes() -> None:
    """An iPhone whose packets are UUIDs only."""
    ear = Ear()
    ear.hear(PHONE, UUIDs=[GAEN])
    ear.hear(PHONE, UUIDs=[GAEN], RSSI=-50)
    ear.hear(OTHER, UUIDs=[GAEN])
    assert ear.kept() == [(PHONE, -50), (OTHER, -60)]

    ear.hear(PHONE, UUIDs=[GAEN], **DATA)
    ear.removed(path(OTHER))
    assert ear.kept() == []


def test_passive_scanning_keeps_everybody() -> None:
    """BlueZ repeats no packet there."""
    ear = Ear(passive=True)
    ear.hear(PHONE, **DATA)

    assert ear.kept() == [(PHONE, -60)]


def test_what_somebody_works_with_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As BlueZ said when it came, until it goes."""
    monkeypatch.setattr(pruning, "MAX_DEVICES", 0)
    ear = Ear()
    ear.hear(PHONE, Paired=True, **DATA)
    ear.hear(OTHER, **DATA)
    assert ear.surplus() == [path(OTHER)]

    ear.removed(path(PHONE))
    ear.removed(path(PHONE))
    ear.hear(PHONE, Paired=False, **DATA)
    ear.removed(path(OTHER))
    assert ear.surplus() == [path(PHONE)]
