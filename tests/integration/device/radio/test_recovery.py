"""Hearing again after all that breaks: bluetoothd, the bus, the adapter, a discovery; with a stand-in bluetoothd.

How soon is judged on the real one, in a guest whose clock does not depend on this machine (e2e/test_real_bluez.py).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device.radio import recovery, reset, supervisor
from edge_scanner.device.radio.radio import RadioSettings
from edge_scanner.device.radio.recovery import Fault, RecoveryLevel
from tests.support.bluez import ADAPTER_1, ADAPTER_2, StandIn
from tests.support.listening import chatter, hearing, short_bursts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.dbus import PrivateBus


pytestmark = pytest.mark.usefixtures("bus")
bus = pytest.fixture(short_bursts)


async def test_bluetoothd_dies_and_comes_back() -> None:
    """Hearing resumes after its return, in the same process, and the recovery is counted."""
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
        await listener.again()

        assert listener.source.counters.recoveries[RecoveryLevel.SCANNER] >= 1
        assert listener.source.counters.recoveries[RecoveryLevel.POWER] == 0
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

        await listener.again()
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
                await listener.again()

            assert listener.source.adapter is not None
            assert listener.source.adapter.name == "hci1"
            assert not bluetoothd.scanning("hci0")


async def test_discovery_refused_with_in_progress() -> None:
    """Three refusals power-cycle the adapter, which ends what another client left running; then it hears."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        bluetoothd.busy = 1000
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: listener.source.fault is Fault.REFUSED)
            await listener.again()

            assert listener.source.counters.recoveries[RecoveryLevel.POWER] == 1
            assert listener.source.fault is None


async def test_discovery_that_ends_behind_our_back() -> None:
    """`Discovering` gone false starts a new scanner; stopping the old one fails and that is no matter."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: bool(listener.adverts))
            bluetoothd.fall_silent()

            await listener.again()


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

        await listener.again()
    second.die()


async def test_a_box_without_bluetooth_runs_and_hears_once_there_is_one() -> None:
    """No bluetoothd at the start is a fault, not an error; it is found when it comes, and powered when it is off."""
    bluetoothd = StandIn(powered=False)
    async with hearing() as listener, chatter(bluetoothd):
        await listener.until(lambda: listener.source.fault is Fault.NO_BLUETOOTHD)
        await bluetoothd.start()
        bluetoothd.plug()

        await listener.again()
    bluetoothd.die()


async def test_quiet_air_runs_the_slow_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that says it listens and delivers nothing gets a new scanner, then power-cycles, for ever.

    It counts as listening all the while and none of it is counted: a visitor who ends the silence changes nothing.
    """
    monkeypatch.setattr(supervisor, "PROBE_S", 0.05)
    for name, value in (("QUIET_SCANNER_S", 0.3), ("QUIET_POWER_S", 0.6), ("QUIET_REPEAT_S", 0.6)):
        monkeypatch.setattr(f"edge_scanner.device.radio.recovery.{name}", value)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        bluetoothd.deaf = True
        async with hearing() as listener:
            # Off and on is two: three power-cycles.
            await listener.until(lambda: bluetoothd.calls.count("Set") >= 6)

            assert listener.source.listening
            assert set(listener.source.counters.recoveries.values()) == {0}


async def test_discovering_that_stays_true_without_a_scan_ends_with_the_next_scanner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`Discovering` is stuck, our session is gone: it looks like a silent place, and the quiet sequence's new scanner
    hears again. It is no fault, and nothing about it is counted (docs/radio.md, "When it stops hearing").
    """
    monkeypatch.setattr(supervisor, "PROBE_S", 0.05)
    monkeypatch.setattr(recovery, "QUIET_SCANNER_S", 1.0)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: bool(listener.adverts))
            starts = bluetoothd.calls.count("StartDiscovery")
            bluetoothd.fall_silent(said=False)
            assert (listener.source.fault, listener.source.listening) == (None, True)

            await listener.until(lambda: bluetoothd.calls.count("StartDiscovery") > starts)
            await listener.again()

            assert listener.source.listening
            assert set(listener.source.counters.recoveries.values()) == {0}


async def test_a_hung_bluetoothd_does_not_delay_the_end() -> None:
    """Closing ends, although StopDiscovery is never answered."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener:
            await listener.until(lambda: bluetoothd.scanning() and listener.source.listening)
            bluetoothd.hung = True

        assert "StopDiscovery" in bluetoothd.calls


@pytest.mark.slow
async def test_a_hung_bluetoothd_is_a_fault_and_not_a_hung_radio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that are never answered end; once it answers again the radio hears again."""
    for place in ("adapter.CALL_S", "adapter.POWER_CALL_S", "radio.START_S", "scanner.STOP_S", "supervisor.PROBE_S"):
        monkeypatch.setattr(f"edge_scanner.device.radio.{place}", 0.3)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: bool(listener.adverts))
            bluetoothd.hung = True
            await listener.until(lambda: listener.source.fault is not None)
            await asyncio.sleep(1)
            bluetoothd.hung = False
            await listener.until(lambda: listener.source.fault is None)

            await listener.again()


async def test_a_reset_is_asked_for_by_the_adapters_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A blocked adapter is asked to be unblocked, one that refuses to be reset; who cannot ask goes on trying."""
    monkeypatch.setattr(recovery, "RESET_AFTER_S", (2.0,))
    asked: list[str] = []

    def ask(name: str) -> None:
        asked.append(name)
        reset.ask(tmp_path / "nowhere", name)

    async with StandIn(powered=False) as bluetoothd:
        bluetoothd.plug()
        bluetoothd.block()
        async with hearing(reset=ask) as listener, chatter(bluetoothd):
            await listener.until(lambda: asked == ["hci0"])
            assert listener.source.fault is Fault.BLOCKED
            bluetoothd.block(blocked=False)
            await listener.again()
            bluetoothd.refuse("hci0", "org.bluez.Error.Failed")
            bluetoothd.fall_silent()
            await listener.until(lambda: asked == ["hci0", "hci0"])
            assert listener.source.counters.recoveries[RecoveryLevel.RESET] == 2


async def test_a_bluetoothd_that_refuses_access_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-Bus's policy is no adapter's fault: a fault of its own, no power-cycle, and hearing once it is allowed."""
    monkeypatch.setattr(recovery, "RESTART_AFTER_S", 2.0)
    async with StandIn() as bluetoothd:
        bluetoothd.plug()
        bluetoothd.refuse("hci0", "org.freedesktop.DBus.Error.AccessDenied")
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: listener.source.fault is Fault.DENIED)
            await asyncio.sleep(4)
            assert listener.source.fault is Fault.DENIED
            assert listener.source.counters.recoveries[RecoveryLevel.POWER] == 0

            bluetoothd.refuse("hci0", "")

            await listener.again()


async def test_a_blocked_adapter_is_named_and_never_a_reason_to_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rfkill has its own fault and no power-cycle; once it is lifted, hearing begins."""
    monkeypatch.setattr(recovery, "RESTART_AFTER_S", 2.0)
    async with StandIn(powered=False) as bluetoothd:
        bluetoothd.plug()
        bluetoothd.block()
        async with hearing() as listener, chatter(bluetoothd):
            await listener.until(lambda: listener.source.fault is Fault.BLOCKED)
            await asyncio.sleep(5)
            assert listener.source.fault is Fault.BLOCKED
            assert listener.source.counters.recoveries[RecoveryLevel.POWER] == 0

            bluetoothd.block(blocked=False)

            await listener.again()


@pytest.mark.parametrize("error", ["InProgress", "NotReady", "Failed"])
async def test_auto_goes_on_to_the_next_adapter_when_one_refuses(
    error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first adapter refuses for ever, the second is good: it is taken, and its name is told."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug("hci0", ADAPTER_1)
        bluetoothd.plug("hci1", ADAPTER_2)
        bluetoothd.refuse("hci0", f"org.bluez.Error.{error}")
        async with hearing() as listener, chatter(bluetoothd, adapter="hci1"):
            await listener.again()

            assert listener.source.adapter is not None
            assert listener.source.adapter.name == "hci1"
    told = capsys.readouterr()
    (changed,) = [line for line in (told.out + told.err).splitlines() if "radio takes another adapter" in line]
    assert "hci1" in changed
    assert "hci0" in changed


async def test_auto_passes_over_an_adapter_without_an_address() -> None:
    """An adapter that never got its firmware is not waited for."""
    async with StandIn() as bluetoothd:
        bluetoothd.plug("hci0", "00:00:00:00:00:00")
        bluetoothd.plug("hci1", ADAPTER_2)
        async with hearing() as listener, chatter(bluetoothd, adapter="hci1"):
            await listener.again()
