"""The radio on a real dbus-daemon with a stand-in bluetoothd: hearing, and hearing again after all that breaks."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from bleak.backends.device import BLEDevice
from dbus_fast import Variant

from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.model import AddressType, PhoneClass
from edge_scanner.device import bursts, keeper, radio
from edge_scanner.device.adapter import Bluez
from edge_scanner.device.passive import PATTERNS
from edge_scanner.device.radio import Radio, RadioSettings, open_radio
from edge_scanner.device.recovery import Fault, Rung
from edge_scanner.protocols import bluezone
from tests.support.bluez import ADAPTER_1, ADAPTER_2, StandIn
from tests.support.dbus import private_bus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edge_scanner.core.model import Advert
    from tests.support.dbus import PrivateBus

GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"
PHONE = "4A:11:22:33:44:55"
WITHIN_S = 15.0

pytestmark = pytest.mark.usefixtures("bus")


@pytest.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    """A private bus that bleak takes for the system's; bursts are short, so that tests are."""
    monkeypatch.setattr(bursts, "COALESCE_S", 0.2)
    async with private_bus(tmp_path, monkeypatch) as private:
        yield private


class Hearing:
    """What a radio hands on, collected by a task that stands in for the pipeline."""

    def __init__(self, source: Radio) -> None:
        self.adverts: list[Advert] = []
        self.source = source
        self.task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        async for advert in self.source:
            self.adverts.append(advert)

    async def until(self, true: Callable[[], bool], limit_s: float = WITHIN_S) -> float:
        """Wait until something is true; the seconds it took."""
        start = time.monotonic()
        while not true():
            if self.task.done():
                await self.task
            assert time.monotonic() - start < limit_s, f"not within {limit_s} s; {self.source.fault}"
            await asyncio.sleep(0.05)
        return time.monotonic() - start

    async def again(self, limit_s: float = WITHIN_S) -> float:
        """Wait for an advert that was heard from now on; the seconds it took."""
        heard = self.source.counters.heard
        return await self.until(lambda: self.source.counters.heard > heard, limit_s)


@asynccontextmanager
async def hearing(settings: RadioSettings | None = None) -> AsyncIterator[Hearing]:
    """An open radio with a listener."""
    async with open_radio(
        settings or RadioSettings(),
        clock=time.time,
        name_uuids=frozenset({bluezone.V1_IPHONE_SERVICE}),
        new_key=lambda: secrets.token_bytes(32),
        readable=bluezone.readable,
    ) as source:
        listener = Hearing(source)
        yield listener
        listener.task.cancel()
        await asyncio.wait({listener.task})


@asynccontextmanager
async def chatter(*stand_ins: StandIn, adapter: str = "hci0") -> AsyncIterator[None]:
    """A phone that advertises ten times a second through every stand-in that is alive."""

    async def talk() -> None:
        while True:
            for stand_in in stand_ins:
                stand_in.advert(PHONE, service_data={GAEN: bytes(20)}, uuids=(GAEN,), adapter=adapter)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(talk())
    yield
    task.cancel()
    await asyncio.wait({task})


async def test_hears_what_a_phone_says() -> None:
    """Content, flags, kind of address, packets and RSSI arrive; the address and an unneeded name do not."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            for rssi in (-70, -60, -65):
                bluetoothd.advert(
                    PHONE, rssi=rssi, uuids=(GAEN,), service_data={GAEN: b"\x01" * 20}, local_name="Lan's phone"
                )
            await listener.until(lambda: sum(advert.count for advert in listener.adverts) == 3)

            assert {advert.address_type for advert in listener.adverts} == {AddressType.RESOLVABLE}
            assert {advert.data.flags for advert in listener.adverts} == {0x1A}
            assert {advert.data.service_uuids for advert in listener.adverts} == {(GAEN,)}
            assert all(advert.data.service_data == {GAEN: b"\x01" * 20} for advert in listener.adverts)
            assert sum(advert.rssi_sum for advert in listener.adverts) == -195
            assert max(advert.rssi_max for advert in listener.adverts) == -60
            assert PHONE not in repr(listener.adverts)
            assert "Lan" not in repr(listener.adverts)
            assert listener.source.listening


async def test_keeps_a_name_in_which_an_identifier_hides() -> None:
    """The local name stays where a protocol's service UUID asks for it."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            bluetoothd.advert(PHONE, uuids=(bluezone.V1_IPHONE_SERVICE,), local_name="1abcdefgh2")
            await listener.until(lambda: bool(listener.adverts))

            assert listener.adverts[0].data.local_name == "1abcdefgh2"


async def test_callbacks_that_are_no_packets_are_ignored() -> None:
    """An RSSI that is taken back and a change of a connected device count as nothing heard."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            bluetoothd.advert(PHONE, service_data={GAEN: bytes(20)})
            bluetoothd.change(PHONE, Connected=Variant("b", True))
            bluetoothd.change(PHONE, Connected=Variant("b", False), invalidate=("RSSI",))
            await listener.until(lambda: listener.source.counters.ignored == 2)

            assert listener.source.counters.heard == 1


async def test_nothing_escapes_the_callback() -> None:
    """What cannot be read is counted; bleak would otherwise log the device's path, packet by packet."""
    async with hearing() as listener:
        listener.source._on_change(BLEDevice(PHONE, None, {}), object())  # type: ignore[arg-type]

        assert listener.source.counters.unreadable == 1


async def test_empty_adverts_do_not_prove_that_the_radio_hears() -> None:
    """A stalled controller may still deliver empty adverts: they are handed on and silence goes on."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            await asyncio.sleep(0.3)
            bluetoothd.advert(PHONE)
            await listener.until(lambda: bool(listener.adverts))
            assert listener.source.silence_s > 0.3

            bluetoothd.advert("4A:11:22:33:44:66", uuids=(GAEN,))
            await listener.again()
            assert listener.source.silence_s < 0.3


async def test_bluetoothd_dies_and_comes_back() -> None:
    """Hearing resumes within 15 s of its return, in the same process, and the recovery is counted."""
    first, second = StandIn(), StandIn()
    await first.start()
    first.plug()
    async with hearing() as listener, chatter(first, second):
        await listener.until(lambda: bool(listener.adverts))
        first.die()
        await listener.until(lambda: listener.source.fault is Fault.NO_BLUETOOTHD)
        assert not listener.source.listening

        await second.start()
        second.plug()
        took_s = await listener.again()

        assert took_s < WITHIN_S
        assert listener.source.counters.recoveries[Rung.SCANNER] >= 1
        assert listener.source.counters.recoveries[Rung.POWER] == 0
    second.die()


async def test_bluetoothd_restarts_between_two_looks() -> None:
    """A restart that takes no time is noticed by the name's new owner, not by silence."""
    first, second = StandIn(), StandIn()
    await first.start()
    first.plug()
    async with hearing() as listener, chatter(first, second):
        await listener.until(lambda: bool(listener.adverts))
        first.die()
        await second.start()
        second.plug()

        assert await listener.again() < WITHIN_S
    second.die()


async def test_adapter_unplugged_and_back_under_another_number() -> None:
    """The adapter is found again by its address although hci0 has become hci1 and another one is hci0."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug("hci0", ADAPTER_2)
        async with hearing(RadioSettings(adapter=ADAPTER_2)) as listener:
            await listener.until(lambda: bluetoothd.scanning("hci0"))
            bluetoothd.unplug("hci0")
            await listener.until(lambda: listener.source.fault is Fault.NO_ADAPTER)
            bluetoothd.plug("hci0", ADAPTER_1)
            bluetoothd.plug("hci1", ADAPTER_2)
            async with chatter(bluetoothd, adapter="hci1"):
                assert await listener.again() < WITHIN_S

            assert listener.source.adapter is not None
            assert listener.source.adapter.name == "hci1"
            assert not bluetoothd.scanning("hci0")


@pytest.mark.parametrize("wanted", ["HCI1", "attic", ADAPTER_2.lower(), "auto"])
async def test_adapter_is_chosen_by_name_alias_or_address(wanted: str) -> None:
    """Whatever the operator calls it, the same adapter is found; "auto" takes the first."""
    async with StandIn() as bluetoothd, Bluez() as bluez:
        bluetoothd.plug("hci0", ADAPTER_1, alias="cellar")
        bluetoothd.plug("hci1", ADAPTER_2, alias="attic")

        found = await bluez.find(wanted)

        assert found.name == ("hci0" if wanted == "auto" else "hci1")


async def test_discovery_refused_with_in_progress() -> None:
    """Three refusals power-cycle the adapter, which ends what another client left running; then it hears."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        bluetoothd.busy = 1000
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: listener.source.fault is Fault.REFUSED)
            await listener.again(20)

            assert listener.source.counters.recoveries[Rung.POWER] == 1
            assert listener.source.fault is None


async def test_discovery_that_ends_behind_our_back() -> None:
    """`Discovering` gone false starts a new scanner; stopping the old one fails and that is no matter."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: bool(listener.adverts))
            bluetoothd.fall_silent()

            assert await listener.again() < WITHIN_S


@pytest.mark.slow
async def test_bus_lost_and_back(bus: PrivateBus) -> None:
    """The whole bus dies and returns with a new bluetoothd: hearing resumes in the same process."""
    first, second = StandIn(), StandIn()
    await first.start()
    first.plug()
    async with hearing() as listener, chatter(second):
        await listener.until(first.scanning)
        bus.stop()
        await listener.until(lambda: listener.source.fault is Fault.NO_BUS)
        await asyncio.sleep(2)
        bus.start()
        await second.start()
        second.plug()

        assert await listener.again() < WITHIN_S
    second.die()


async def test_a_box_without_bluetooth_runs_and_hears_once_there_is_one() -> None:
    """No bluetoothd at the start is a fault, not an error; it is found when it comes, and powered when it is off."""
    bluetoothd = StandIn(powered=False)
    async with hearing() as listener, chatter(bluetoothd):
        await listener.until(lambda: listener.source.fault is Fault.NO_BLUETOOTHD)
        await bluetoothd.start()
        bluetoothd.plug()

        assert await listener.again() < WITHIN_S
    bluetoothd.die()


async def test_quiet_air_climbs_the_slow_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that says it listens and delivers nothing gets a new scanner, a power-cycle, at last an end."""
    monkeypatch.setattr(keeper, "PROBE_S", 0.05)
    for name, value in (("QUIET_SCANNER_S", 0.3), ("QUIET_POWER_S", 0.6), ("QUIET_RESTART_S", 4.0)):
        monkeypatch.setattr(f"edge_scanner.device.recovery.{name}", value)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        bluetoothd.deaf = True
        async with hearing() as listener:
            with pytest.raises(UnavailableError, match="will not listen"):
                await listener.until(lambda: False)

            assert listener.source.counters.recoveries == {"scanner": 1, "power": 1, "restart": 1}
            assert bluetoothd.calls.count("Set") == 2


async def test_passive_scanning_states_presence_until_bluez_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone that BlueZ falls silent about stays present without packets until its object goes: that is not deaf."""
    monkeypatch.setattr(keeper, "PROBE_S", 0.2)
    monkeypatch.setattr(radio, "PRESENCE_S", 0.5)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing(RadioSettings(mode="passive")) as listener:
            await listener.until(lambda: len(bluetoothd.patterns) == len(PATTERNS))
            bluetoothd.advert(PHONE, service_data={GAEN: bytes(20)})
            await listener.until(lambda: len(listener.adverts) >= 4)
            heard, *present = listener.adverts
            assert (heard.count, heard.rssi_max) == (1, -60)
            assert {(advert.count, advert.rssi_count) for advert in present} == {(0, 0)}
            assert len({advert.address_tag for advert in listener.adverts}) == 1
            assert listener.source.silence_s < 1

            bluetoothd.remove(PHONE)
            await asyncio.sleep(0.3)
            stated = len(listener.adverts)
            await asyncio.sleep(1.2)
            assert len(listener.adverts) == stated
            assert [0, 0xFF, bytes.fromhex("b522")] in [list(pattern) for pattern in bluetoothd.patterns]


async def test_active_scanning_states_presence_of_phones_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """BlueZ repeats no packet of UUIDs only, so an iPhone's presence is stated; a phone with data speaks for itself."""
    monkeypatch.setattr(keeper, "PROBE_S", 0.2)
    monkeypatch.setattr(radio, "PRESENCE_S", 0.5)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            bluetoothd.advert(PHONE, uuids=(bluezone.IPHONE_SERVICE,))
            bluetoothd.advert("4A:11:22:33:44:66", service_data={GAEN: bytes(20)})
            await listener.until(lambda: len(listener.adverts) >= 4)

            stated = [advert for advert in listener.adverts if advert.count == 0]
            assert {advert.data.service_uuids for advert in stated} == {(bluezone.IPHONE_SERVICE,)}


async def test_passive_scanning_refused_falls_back_visibly() -> None:
    """A bluetoothd without --experimental is scanned actively, and the counters say so."""
    async with StandIn(experimental=False) as bluetoothd:
        bluetoothd.plug()
        async with hearing(RadioSettings(mode="passive")) as listener, chatter(bluetoothd):
            await listener.again()

            assert listener.source.counters.passive_refused == 1
            assert listener.source.discovers
            assert "StartDiscovery" in bluetoothd.calls


async def test_an_iphone_is_read_once_and_identified_from_then_on() -> None:
    """With read_iphones the 12 bytes come over GATT and the phone's later adverts carry them; one connection in all."""
    identifier = bytes(range(12))
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        bluetoothd.serve(PHONE, bluezone.IPHONE_SERVICE, bluezone.IPHONE_CHARACTERISTIC, identifier)
        async with hearing(RadioSettings(read_iphones=True)) as listener:
            await listener.until(bluetoothd.scanning)

            def identified() -> bool:
                bluetoothd.advert(PHONE, rssi=-50, uuids=(bluezone.IPHONE_SERVICE,))
                return any(bluezone.IPHONE_CHARACTERISTIC in advert.data.service_data for advert in listener.adverts)

            await listener.until(identified)
            sighting = bluezone.decode(listener.adverts[-1])

            assert sighting is not None
            assert (sighting.identifier, sighting.phone_class) == (identifier, PhoneClass.IPHONE)
            assert bluetoothd.calls.count("Connect") == 1
            assert (listener.source.counters.reads, listener.source.counters.reads_failed) == (1, 0)


async def test_no_phone_is_connected_to_unless_asked_for() -> None:
    """By default the radio only listens."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        bluetoothd.serve(PHONE, bluezone.IPHONE_SERVICE, bluezone.IPHONE_CHARACTERISTIC, bytes(12))
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            bluetoothd.advert(PHONE, uuids=(bluezone.IPHONE_SERVICE,))
            await asyncio.sleep(1.5)

            assert "Connect" not in bluetoothd.calls


async def test_what_was_heard_and_not_handed_on_can_be_drained() -> None:
    """After the last turn of the loop the open burst is still there for the last commit."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            listener.task.cancel()
            bluetoothd.advert(PHONE, service_data={GAEN: bytes(20)})
            await asyncio.sleep(0.1)

            assert [advert.count for advert in listener.source.drain()] == [1]
            assert listener.source.drain() == []


async def test_a_hung_bluetoothd_does_not_delay_the_end() -> None:
    """Closing takes a second and a half at most, although StopDiscovery is never answered."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            bluetoothd.hung = True
            start = time.monotonic()

        assert time.monotonic() - start < 1.5
        assert "StopDiscovery" in bluetoothd.calls


@pytest.mark.slow
async def test_a_hung_bluetoothd_is_a_fault_and_not_a_hung_radio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that are never answered end; once it answers again the radio hears again."""
    for place in ("adapter.CALL_S", "adapter.POWER_CALL_S", "radio.START_S", "radio.STOP_S", "keeper.PROBE_S"):
        monkeypatch.setattr(f"edge_scanner.device.{place}", 0.3)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: bool(listener.adverts))
            bluetoothd.hung = True
            await listener.until(lambda: listener.source.fault is not None)
            await asyncio.sleep(1)
            bluetoothd.hung = False
            await listener.until(lambda: listener.source.fault is None)

            assert await listener.again() < WITHIN_S
