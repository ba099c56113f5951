"""What a running box remembers: the real daemon's memory, searched from outside for the phones it heard.

The air is org.bluez played on a private bus; the daemon runs with the environment that its unit gives it. Two minutes
are real ones: how long a phone stays in memory is what is measured here.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.protocols import bluezone
from tests.support.bluez import StandIn
from tests.support.box import Box
from tests.support.dbus import private_bus
from tests.support.process_memory import read_memory
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "edge-scanner.service"
GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"
FORGOTTEN_S = 120.0
TEMPORARY_S = 30.0
"""BlueZ forgets a device so long after its last packet."""


@dataclass(frozen=True)
class Phone:
    """One phone of either app, with everything about it that could be found again."""

    exposure: bool
    octets: bytes = field(default_factory=lambda: bytes([0x40 | secrets.randbelow(64)]) + secrets.token_bytes(5))
    identifier: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    name: str = field(default_factory=lambda: f"phone {secrets.token_hex(8)}")

    @property
    def address(self) -> str:
        """Its Bluetooth address."""
        return self.octets.hex(":").upper()

    def speak(self, stand_in: StandIn) -> None:
        """One packet."""
        if self.exposure:
            data = {GAEN: self.identifier + secrets.token_bytes(4)}
            stand_in.advert(self.address, uuids=(GAEN,), service_data=data, local_name=self.name)
        else:
            uuids, data_of = (bluezone.ANDROID_SERVICE,), {0x22B5: self.identifier[:12]}
            stand_in.advert(self.address, uuids=uuids, manufacturer_data=data_of, flags=2, local_name=self.name)

    def secrets(self) -> dict[str, bytes]:
        """Every spelling that a process may keep, by what it is."""
        return {
            "identifier": self.identifier[:12],
            "part of an identifier": self.identifier[2:10],
            "address": self.address.encode(),
            "address in a path": self.address.replace(":", "_").encode(),
            "address, raw": self.octets,
            "address, raw, as on air": self.octets[::-1],
            "name": self.name.encode(),
        }


def environment() -> dict[str, str]:
    """What the unit sets."""
    lines = [line for line in UNIT.read_text().splitlines() if line.startswith("Environment=")]
    return dict(word.split("=", 1) for line in lines for word in line.removeprefix("Environment=").split())


def found(pid: int, phones: list[Phone]) -> dict[str, int]:
    """Of how many phones each sort of secret is in the process's memory."""
    image = read_memory(pid)
    sorts = phones[0].secrets()
    return {what: count for what in sorts if (count := sum(phone.secrets()[what] in image for phone in phones))}


async def forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, others: int) -> dict[str, int]:
    """What is left of sixty phones two minutes after their last word, while `others` go on speaking."""
    phones = [Phone(exposure=bool(number % 2)) for number in range(60)]
    crowd = [Phone(exposure=bool(number % 2)) for number in range(others)]
    async with private_bus(tmp_path, monkeypatch):
        with Box(tmp_path / "box") as box:
            async with StandIn() as stand_in:
                stand_in.plug()
                box.start(**environment())
                deadline = time.monotonic() + PATIENCE_S
                while not stand_in.scanning():
                    assert time.monotonic() < deadline, box.journal.read_text()
                    await asyncio.sleep(0.1)
                for _ in range(10):
                    for phone in phones:
                        phone.speak(stand_in)
                    await asyncio.sleep(0.5)
                last = time.monotonic()
                # The control: the same search finds them all while they are there.
                there = await asyncio.to_thread(found, box.pid, phones)
                assert there["identifier"] == there["address"] == there["name"] == len(phones)
                here = True
                while (passed := time.monotonic() - last) < FORGOTTEN_S:
                    if here and passed > TEMPORARY_S:
                        here = False
                        for phone in phones:
                            stand_in.remove(phone.address)
                    for phone in crowd:
                        phone.speak(stand_in)
                    await asyncio.sleep(0.5)
                left = await asyncio.to_thread(found, box.pid, phones)
            assert box.stop() == 0
    return left


async def test_nothing_of_a_phone_is_in_memory_two_minutes_after_its_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No identifier, address or name, in any spelling, while other phones go on speaking."""
    assert await forgotten(tmp_path, monkeypatch, others=20) == {}


async def test_the_last_phones_before_a_silence_are_forgotten_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else comes, so nothing pushes them out of a variable, a buffer or a cache."""
    assert await forgotten(tmp_path, monkeypatch, others=0) == {}


def peak_mb(pid: int) -> float:
    """The most resident memory that the process ever had."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1e3


async def test_devices_that_claim_more_than_the_air_can_hold_stay_within_the_units_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,600 devices with megabytes each the daemon keeps next to nothing, and goes on hearing phones."""
    (bound_mb,) = [int(line[10:-1]) for line in UNIT.read_text().splitlines() if line.startswith("MemoryMax=")]
    uuids = tuple(f"{number:08x}-0000-1000-8000-00805f9b34fb" for number in range(3000))
    vast = {company: bytes(10_000) for company in range(6)}
    async with private_bus(tmp_path, monkeypatch):
        with Box(tmp_path / "box") as box:
            async with StandIn() as stand_in:
                stand_in.plug()
                box.start(**environment())
                await asyncio.to_thread(box.until, "radio listens")
                for number in range(1600):
                    await stand_in.room()
                    address = f"4A:00:00:00:{number >> 8:02X}:{number & 255:02X}"
                    if number % 2:
                        stand_in.advert(address, uuids=uuids)
                    else:
                        stand_in.advert(address, manufacturer_data=vast)
                phone = Phone(exposure=True)
                deadline = time.monotonic() + PATIENCE_S
                while phone.identifier not in await asyncio.to_thread(read_memory, box.pid):
                    assert time.monotonic() < deadline, "the phone after the flood is not heard"
                    phone.speak(stand_in)
                    await asyncio.sleep(0.5)
                most_mb = peak_mb(box.pid)
            assert box.stop() == 0
    assert most_mb < bound_mb
