"""What the radio hears, on a real dbus-daemon with a stand-in bluetoothd."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from dbus_fast import Variant

from edge_scanner.core.model import AddressType, PhoneClass
from edge_scanner.device.radio import pruning, punctuality, radio, supervisor
from edge_scanner.device.radio.adapter import Bluez
from edge_scanner.device.radio.monitors import PATTERNS
from edge_scanner.device.radio.radio import RadioSettings
from edge_scanner.device.system import unhurried
from edge_scanner.protocols import bluezone
from tests.support.bluez import ADAPTER_1, ADAPTER_2, StandIn
from tests.support.listening import GAEN, PHONE, chatter, hearing, short_bursts
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    import selectors
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.usefixtures("bus")
bus = pytest.fixture(short_bursts)


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


async def test_begins_to_listen_without_a_rest() -> None:
    """The questions and answers of a start are no crowd: the daemon's loop takes each answer at once."""
    rested: list[bool] = []

    class Noting(unhurried.RestingSelector):
        """Remembers whether it would have rested."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            ready = super().select(timeout)
            rested.append(self._rest)
            return ready

    async def begin() -> None:
        async with hearing() as listener:
            await listener.until(lambda: listener.source.fault is None)

    def in_a_loop_of_its_own() -> None:
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Noting())) as runner:
            runner.run(begin())

    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        await asyncio.to_thread(in_a_loop_of_its_own)

    assert rested
    assert not any(rested)


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
        listener.source._on_change(object(), {}, {})  # type: ignore[arg-type]

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

            began_s = time.monotonic()
            bluetoothd.advert("4A:11:22:33:44:66", uuids=(GAEN,))
            await listener.again()
            assert listener.source.silence_s <= time.monotonic() - began_s


@pytest.mark.parametrize("wanted", ["HCI1", "attic", ADAPTER_2.lower(), "auto"])
async def test_adapter_is_chosen_by_name_alias_or_address(wanted: str) -> None:
    """Whatever the operator calls it, the same adapter is found; "auto" takes the first."""
    async with StandIn() as bluetoothd, Bluez() as bluez:
        bluetoothd.plug("hci0", ADAPTER_1, alias="cellar")
        bluetoothd.plug("hci1", ADAPTER_2, alias="attic")

        found = await bluez.find(wanted)

        assert found.name == ("hci0" if wanted == "auto" else "hci1")


@pytest.mark.usefixtures("old_bluetoothd")
async def test_passive_scanning_states_presence_until_bluez_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone that BlueZ falls silent about stays present without packets until its object goes: that is not deaf."""
    monkeypatch.setattr(supervisor, "PROBE_S", 0.2)
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
            await listener.until(lambda: listener.source.silence_s < 0.4)

            bluetoothd.remove(PHONE)
            async with asyncio.timeout(PATIENCE_S):
                stated = -1
                while len(listener.adverts) != stated:
                    stated = len(listener.adverts)
                    await asyncio.sleep(1.2)
            assert [0, 0xFF, bytes.fromhex("b522")] in [list(pattern) for pattern in bluetoothd.patterns]


async def test_active_scanning_states_presence_of_phones_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """BlueZ repeats no packet of UUIDs only, so an iPhone's presence is stated; a phone with data speaks for itself."""
    monkeypatch.setattr(supervisor, "PROBE_S", 0.2)
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


@pytest.mark.usefixtures("old_bluetoothd")
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
            await eventually(lambda: listener.source.counters.heard == 1)

            assert [advert.count for advert in listener.source.drain()] == [1]
            assert listener.source.drain() == []


@pytest.mark.parametrize("version", [None, (5, 69), (5, 82)])
async def test_passive_is_offered_only_where_it_hears_all(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int] | None
) -> None:
    """A bluetoothd that misses protocols passively, or does not tell its version, is scanned actively, visibly."""
    monkeypatch.setattr(radio, "bluetoothd_version", _tells(version))
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing(RadioSettings(mode="passive")) as listener, chatter(bluetoothd):
            await listener.again()

            assert listener.source.counters.passive_refused == 1
            assert listener.source.discovers


@pytest.mark.usefixtures("old_bluetoothd")
async def test_a_bluetoothd_that_dies_of_passive_scanning_is_scanned_actively() -> None:
    """Three deaths soon after passive starts, and the radio does not repeat what killed it."""
    async with AsyncExitStack() as stack:
        bluetoothd = await stack.enter_async_context(StandIn())
        bluetoothd.plug()
        listener = await stack.enter_async_context(hearing(RadioSettings(mode="passive")))
        for _ in range(3):
            await listener.until(bluetoothd.scanning)
            bluetoothd.die()
            bluetoothd = await stack.enter_async_context(StandIn())
            bluetoothd.plug()
        await listener.until(lambda: listener.source.discovers)
        await listener.until(bluetoothd.scanning)

        assert "StartDiscovery" in bluetoothd.calls


@pytest.mark.usefixtures("old_bluetoothd")
async def test_every_kind_of_android_passes_the_monitors() -> None:
    """Phones that send no flags are heard passively by what their protocol sends; a stranger without flags is not."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing(RadioSettings(mode="passive")) as listener:
            await listener.until(lambda: len(bluetoothd.patterns) == len(PATTERNS))
            for number, uuid in enumerate(("fd6f", "fd68", "fd64", "c019")):
                whole = f"0000{uuid}-0000-1000-8000-00805f9b34fb"
                bluetoothd.advert(f"4A:11:22:33:44:{number:02d}", service_data={whole: bytes(20)}, flags=None)
            bluetoothd.advert("4A:11:22:33:44:99", service_data={GAEN.replace("fd6f", "feaa"): b"x"}, flags=None)
            await listener.until(lambda: listener.source.counters.heard >= 4)
            await asyncio.sleep(0.5)

            assert listener.source.counters.heard == 4


async def test_hearing_goes_on_when_nothing_is_late() -> None:
    """Longer than a standstill would have to last: the timer goes off all the while, and nothing is dropped."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: bool(listener.adverts))
            await asyncio.sleep(punctuality.BEAT_S + punctuality.STALL_S + 1.0)
            await listener.again()

            assert listener.source.punctual
            assert listener.source.counters.heard >= 30


async def test_too_many_devices_are_given_back_and_heard_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound BlueZ drops the oldest, and with it bleak; with its next packet such a device is heard again."""
    monkeypatch.setattr(supervisor, "PROBE_S", 0.2)
    monkeypatch.setattr(pruning, "MAX_DEVICES", 10)
    phones = [f"4A:11:22:33:44:{number:02X}" for number in range(200)]
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            for phone in phones:
                bluetoothd.advert(phone, service_data={GAEN: bytes(20)})
                await bluetoothd.room()
            await listener.until(lambda: listener.source.counters.heard == len(phones))
            await listener.until(lambda: bluetoothd.calls.count("RemoveDevice") == len(phones) - 10)

            bluetoothd.advert(phones[0], service_data={GAEN: bytes(20)})
            await listener.until(lambda: listener.source.counters.heard == len(phones) + 1)
            await listener.until(lambda: bluetoothd.calls.count("RemoveDevice") == len(phones) - 9)
            assert listener.source.fault is None


@pytest.mark.parametrize("rssi", [32767, 21, -128, -32768])
async def test_an_rssi_that_no_radio_measures_is_no_packet(rssi: int) -> None:
    """D-Bus has room for more than the air has: counted, and never in a minute's arithmetic."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            bluetoothd.advert(PHONE, service_data={GAEN: bytes(20)}, rssi=rssi)
            bluetoothd.advert("4A:11:22:33:44:66", service_data={GAEN: bytes(20)}, rssi=20)
            await listener.until(lambda: bool(listener.adverts))

            assert [advert.rssi_max for advert in listener.adverts] == [20]
            assert listener.source.counters.unreadable == 1


async def test_data_that_no_advert_can_hold_is_no_packet() -> None:
    """Eight kilobytes of manufacturer data, or a thousand UUIDs, did not come over the air."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(bluetoothd.scanning)
            bluetoothd.advert(PHONE, manufacturer_data={76: bytes(8_000)})
            await bluetoothd.room()
            many = tuple(f"{number:08x}-0000-1000-8000-00805f9b34fb" for number in range(1_000))
            bluetoothd.advert("4A:11:22:33:44:77", uuids=many)
            await bluetoothd.room()
            bluetoothd.advert("4A:11:22:33:44:66", service_data={GAEN: bytes(20)})
            await listener.until(lambda: bool(listener.adverts))

            assert len(listener.adverts) == 1
            assert listener.source.counters.unreadable == 2


def _tells(version: tuple[int, int] | None) -> Callable[[], Awaitable[tuple[int, int] | None]]:
    async def version_of_bluetoothd() -> tuple[int, int] | None:
        return version

    return version_of_bluetoothd


@pytest.fixture
def old_bluetoothd(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has a bluetoothd whose passive scanning hears all."""
    monkeypatch.setattr(radio, "bluetoothd_version", _tells((5, 66)))
