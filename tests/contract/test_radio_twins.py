"""One contract for the radio and its stand-ins: what is on air comes out alike, and the door behaves alike.

The real radio hears a stand-in bluetoothd on a real bus; the replay reads the same packets from a btsnoop log as
Android writes it; the crowd makes up its own air and keeps the rules that hold for any source.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from edge_scanner import protocols
from edge_scanner.core.model import AddressType, Kind
from edge_scanner.device.radio import bursts
from edge_scanner.device.radio.radio import RadioSettings, open_radio
from edge_scanner.device.replay.replay import Intake, adverts
from edge_scanner.device.replay.source import open_stand_in
from edge_scanner.device.simulation.crowd import open_crowd
from edge_scanner.device.system.clock import SystemClock
from tests.support.bluez import StandIn
from tests.support.captures import btsnoop, legacy_event, legacy_report
from tests.support.dbus import private_bus
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from edge_scanner.core.model import Advert

    Told = Callable[[Path, pytest.MonkeyPatch], AbstractAsyncContextManager[list[Advert]]]

GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"
BLUEZONE = "00004e56-0000-1000-8000-00805f9b34fb"
V1_IPHONE = "e20a39f4-73f5-4bc4-a12f-17d1ad07a667"
KNOWN = protocols.load(("bluezone", "gaen"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A packet as bytes on air and, written down a second time, as BlueZ would show it."""

    address: str
    random: bool = True
    rssi: int
    data: bytes
    uuids: tuple[str, ...] = ()
    service_data: Mapping[str, bytes] | None = None
    manufacturer_data: Mapping[int, bytes] | None = None
    local_name: str | None = None


AIR = (
    *(
        Packet(
            address="4A:00:00:00:00:01",
            rssi=rssi,
            data=bytes.fromhex("02011a03036ffd17166ffd") + bytes(range(20)),
            uuids=(GAEN,),
            service_data={GAEN: bytes(range(20))},
        )
        for rssi in (-70, -64, -90)
    ),
    Packet(
        address="C1:00:00:00:00:02",
        rssi=-55,
        data=bytes.fromhex("02011a0fffb522") + b"twelve bytes" + bytes.fromhex("0303564e"),
        uuids=(BLUEZONE,),
        manufacturer_data={0x22B5: b"twelve bytes"},
    ),
    Packet(
        address="3F:00:00:00:00:03",
        rssi=-80,
        data=bytes.fromhex("02011a1107") + bytes.fromhex("e20a39f473f54bc4a12f17d1ad07a667")[::-1] + b"\x06\x09Lan's",
        uuids=(V1_IPHONE,),
        local_name="Lan's",
    ),
    Packet(
        address="00:1A:7D:00:00:04",
        random=False,
        rssi=-40,
        data=bytes.fromhex("02011a05ff4c00100a") + b"\x09\x09Lan's TV",
        manufacturer_data={0x004C: bytes.fromhex("100a")},
        local_name="Lan's TV",
    ),
    # A name that claims five bytes and has two: bluetoothd keeps what stands before it.
    Packet(
        address="4B:00:00:00:00:05",
        rssi=-77,
        data=bytes.fromhex("02011a17166ffd") + bytes(range(20, 40)) + b"\x05\x09L",
        service_data={GAEN: bytes(range(20, 40))},
    ),
)


@asynccontextmanager
async def real(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[list[Advert]]:
    """What the radio hands on of AIR."""
    patch.setattr(bursts, "COALESCE_S", 0.2)
    async with private_bus(folder, patch), StandIn() as bluetoothd:
        bluetoothd.plug()
        async with open_radio(
            RadioSettings(),
            clock=time.time,
            name_uuids=frozenset({V1_IPHONE}),
            new_key=lambda: secrets.token_bytes(32),
        ) as radio:
            while not bluetoothd.scanning():  # noqa: ASYNC110 (another process's state)
                await asyncio.sleep(0.02)
            for packet in AIR:
                bluetoothd.advert(
                    packet.address,
                    random=packet.random,
                    rssi=packet.rssi,
                    uuids=packet.uuids,
                    service_data=packet.service_data,
                    manufacturer_data=packet.manufacturer_data,
                    local_name=packet.local_name,
                )
            heard: list[Advert] = []
            async with asyncio.timeout(PATIENCE_S):
                async for advert in radio:
                    heard.append(advert)
                    if sum(one.count for one in heard) == len(AIR):
                        break
            assert radio.listening
            assert radio.counters.dropped == 0
            yield heard


@asynccontextmanager
async def replayed(folder: Path, _patch: pytest.MonkeyPatch) -> AsyncIterator[list[Advert]]:
    """What the replay hands on of AIR."""
    log = folder / "air.btsnoop"
    at_s = 1_600_000_000.0
    log.write_bytes(
        btsnoop(
            (
                at_s + number / 10,
                3,
                b"\x04"
                + legacy_event(
                    legacy_report(
                        packet.data,
                        random=int(packet.random),
                        address=bytes.fromhex(packet.address.replace(":", ""))[::-1],
                        rssi=packet.rssi,
                    )
                ),
            )
            for number, packet in enumerate(AIR)
        )
    )
    async with open_stand_in(adverts([log], KNOWN, Intake())) as source:
        assert source.listening
        yield [advert async for advert in source]


SOURCES = pytest.mark.parametrize("source", [real, replayed], ids=["radio", "replay"])


def told(heard: list[Advert]) -> dict[object, tuple[int, int, int]]:
    """Packets, RSSI sum and RSSI maximum by content and kind of address."""
    by_content: dict[object, tuple[int, int, int]] = {}
    for advert in heard:
        data = advert.data
        key = (
            advert.address_type,
            data.flags,
            data.service_uuids,
            tuple(data.service_data.items()),
            tuple(data.manufacturer_data.items()),
            data.local_name,
        )
        count, total, most = by_content.get(key, (0, 0, -128))
        by_content[key] = (count + advert.count, total + advert.rssi_sum, max(most, advert.rssi_max))
    return by_content


@SOURCES
async def test_the_same_air_is_told_alike(source: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content, kind of address, packets and RSSI are what was sent; a name stays only where an identifier may hide."""
    async with source(tmp_path, monkeypatch) as heard:
        assert told(heard) == {
            (AddressType.RESOLVABLE, 0x1A, (GAEN,), ((GAEN, bytes(range(20))),), (), None): (3, -224, -64),
            (AddressType.STATIC, 0x1A, (BLUEZONE,), (), ((0x22B5, b"twelve bytes"),), None): (1, -55, -55),
            (AddressType.NON_RESOLVABLE, 0x1A, (V1_IPHONE,), (), (), "Lan's"): (1, -80, -80),
            (AddressType.PUBLIC, 0x1A, (), (), ((0x004C, b"\x10\x0a"),), None): (1, -40, -40),
            (AddressType.RESOLVABLE, 0x1A, (), ((GAEN, bytes(range(20, 40))),), (), None): (1, -77, -77),
        }


@SOURCES
async def test_the_same_air_is_recognised_alike(source: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocols find the same phones; a device has one tag, and no two share one."""
    async with source(tmp_path, monkeypatch) as heard:
        found = {(one.protocol.name, one.kind, one.identifier) for a in heard for one in protocols.recognise(KNOWN, a)}

        assert found == {
            ("gaen", Kind.IDENTIFIED, bytes(range(16))),
            ("gaen", Kind.IDENTIFIED, bytes(range(20, 36))),
            ("bluezone", Kind.IDENTIFIED, b"twelve bytes"),
            ("bluezone", Kind.PRESENCE, b""),
        }
        assert len({advert.address_tag for advert in heard}) == 5
        assert {len(advert.address_tag) for advert in heard} == {8}


async def test_the_crowd_keeps_the_rules_of_a_radio() -> None:
    """Every burst lies within one UTC minute, its figures agree with each other, and draining never fails."""
    heard = []
    async with open_crowd(clock=SystemClock(), phones=400, seed=7) as crowd, asyncio.timeout(PATIENCE_S):
        async for advert in crowd:
            heard.append(advert)
            if len(heard) == 30:
                break
        assert crowd.listening
        assert crowd.counters.dropped == 0
        assert isinstance(crowd.drain(), list)

    for advert in heard:
        assert advert.first_s <= advert.last_s
        assert advert.first_s // 60 == advert.last_s // 60
        assert advert.rssi_count <= advert.count
        assert advert.rssi_sum <= advert.rssi_count * advert.rssi_max
        assert len(advert.address_tag) == 8
        assert struct.pack("b", advert.rssi_max)
