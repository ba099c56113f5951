"""Virtual adapters on /dev/vhci and the air in front of them. Runs in the guest.

An adapter is a Bumble controller that answers the kernel's HCI commands. Most phones are advertising reports written
straight to the adapters (hundreds a second; Bumble's own link sends each with a second one as scan response and always
at -50 dBm); the foreground iPhone is a whole Bumble device with a GATT server, because it is connected to.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import struct
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from bumble import hci
from bumble.controller import Controller
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.link import LocalLink
from bumble.transport import open_transport

from tests.e2e.bluez.phones import BLUEZONE_CHARACTERISTIC, BLUEZONE_IPHONE, Phone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bumble.transport.common import Transport

    from tests.e2e.bluez.phones import Shown

LEGACY_BYTES = 31
SLOT_S = 900
TICK_S = 0.005
"""Adverts that are due within so long go out together."""
BEHIND_S = 1.0
"""A guest that fell behind by more skips adverts; a burst would be none of the air's."""


class _Controller(Controller):
    """A Bumble controller that Linux accepts and that can be connected through.

    Linux 6.1 asks for enhanced connection events where it sees LL privacy, and Bumble sends none. Bumble's link takes
    the random address for the sender of data, and Linux scans under a new one each time, connects with the public one.
    """

    def __init__(self, name: str, transport: Transport, link: LocalLink, address: str, *, extended: bool) -> None:
        super().__init__(
            name, host_source=transport.source, host_sink=transport.sink, link=link, public_address=address
        )
        self.le_features &= ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)
        if extended:
            self.le_features |= hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        self.reported: set[bytes] = set()

    def on_hci_le_set_scan_enable_command(self, command: Any) -> Any:
        """Scanning begins or ends, and with it what counts as a duplicate."""
        self.reported.clear()
        return super().on_hci_le_set_scan_enable_command(command)

    @property
    def random_address(self) -> Any:
        return self.public_address

    @random_address.setter
    def random_address(self, address: Any) -> None:
        """Not kept."""


class Air:
    """`sent` counts reports by (adapter, UTC minute, payload); `addresses` are those in them.
    With `filters` adapters report an address once per scan when the
       kernel asks for the duplicate filter, as the specification has it (Core 5.4 Vol 6 Part B 4.4.3.5); without, they
       report everything, as many controllers do. `extended` adapters know extended advertising, as a stick does and
       the on-board one does not. `scans` are the scan parameters the kernel set, in order, each as
       (adapter, active, interval and window in ms, duplicate filter).
    """

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, int, bytes]] = Counter()
        self.addresses: set[bytes] = set()
        self.reads: set[bytes] = set()
        self.scans: list[tuple[str, bool, float, float, bool]] = []
        self.filters = False
        self.extended = False
        self._changes = 0
        self._link: Any = LocalLink()  # type: ignore[no-untyped-call] # (Bumble's)
        self._adapters: dict[str, tuple[_Controller, Transport]] = {}
        self._iphone: tuple[Phone, Device, int] | None = None
        self._shown: dict[tuple[int, object], Shown] = {}

    async def plug(self, name: str, address: str, *, transport: str = "vhci") -> None:
        """A new adapter: the kernel gives it the lowest free hci number. `transport` says, in Bumble's words, where."""
        opened = await open_transport(transport)
        self._adapters[name] = _Controller(name, opened, self._link, address, extended=self.extended), opened

    async def unplug(self, name: str) -> None:
        """An adapter is pulled out."""
        controller, transport = self._adapters.pop(name)
        self._link.remove_controller(controller)
        await transport.close()

    def change(self) -> None:
        """Every phone takes a new identifier and address now."""
        self._changes += 1

    @property
    def epoch(self) -> tuple[int, int]:
        """Names what every phone shows now."""
        return int(time.time() // SLOT_S), self._changes

    async def broadcast(self, phones: Sequence[Phone]) -> None:
        """All phones at their intervals, for ever."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = [(now + phone.interval_s * place / len(phones), place) for place, phone in enumerate(phones)]
        heapq.heapify(due)
        while True:
            await asyncio.sleep(max(TICK_S, due[0][0] - loop.time()))
            now = loop.time()
            while due[0][0] <= now + TICK_S:
                moment, place = due[0]
                phone = phones[place]
                if now - moment > BEHIND_S:
                    moment = now
                heapq.heapreplace(due, (moment + phone.interval_s, place))
                self._send(phone)

    async def stand(self, phone: Phone) -> None:
        """A foreground iPhone: it advertises its service, and tells its identifier to whoever connects; for ever."""
        controller = Controller("phone", link=self._link)
        controller.le_features &= ~hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        shown = phone.show(self.epoch)
        address = hci.Address(shown.address[::-1], hci.Address.RANDOM_DEVICE_ADDRESS)
        device = Device.from_config_with_hci(
            DeviceConfiguration(name="Bluezone", address=address), controller, controller
        )
        characteristic: Characteristic[bytes] = Characteristic(
            BLUEZONE_CHARACTERISTIC,
            Characteristic.Properties.READ,
            Characteristic.READABLE,
            CharacteristicValue(read=lambda _connection: self._tell(phone)),
        )
        device.add_service(Service(BLUEZONE_IPHONE.hex(), [characteristic]))
        await device.power_on()
        # Bumble's device turns milliseconds into units of 0.625 ms; its controller takes the units for milliseconds.
        interval = phone.interval_s * 625
        await device.start_advertising(
            advertising_data=shown.data,
            auto_restart=True,
            advertising_interval_min=interval,
            advertising_interval_max=interval,
        )
        self.addresses.add(shown.address)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await device.stop_advertising()

    def _tell(self, phone: Phone) -> bytes:
        identifier = phone.identifier(self.epoch)
        self.reads.add(identifier)
        return identifier

    def _send(self, phone: Phone) -> None:
        key = phone.number, self.epoch
        shown = self._shown.get(key)
        if shown is None:
            shown = self._shown[key] = phone.show(self.epoch)
        packet = report(shown, phone.rssi)
        for name, (controller, transport) in self._adapters.items():
            if not self._scanning(name, controller):
                continue
            if self.filters and controller.filter_duplicates and shown.address in controller.reported:
                continue
            controller.reported.add(shown.address)
            transport.sink.on_packet(packet)
            self.sent[name, int(time.time() // 60), shown.payload] += 1
            self.addresses.add(shown.address)

    def _scanning(self, name: str, controller: _Controller) -> bool:
        """Whether an adapter scans; notes how."""
        if not controller.le_scan_enable:
            return False
        scan = (
            name,
            controller.le_scan_type == 1,
            controller.le_scan_interval * 0.625,
            controller.le_scan_window * 0.625,
            controller.filter_duplicates,
        )
        if scan not in self.scans:
            self.scans.append(scan)
        return True


def report(shown: Shown, rssi: int) -> bytes:
    """One advert that nobody can connect to, from a random address (Core 5.4 Vol 4 Part E 7.7.65.2).

    What is too long for a legacy advert is an extended one (7.7.65.13): one report with all of it.
    """
    if len(shown.data) > LEGACY_BYTES:
        address = shown.address[::-1]
        fixed = struct.pack("<HB6sBBBbbHB6x", 0, 1, address, 1, 1, 0, 127, rssi, 0, 0)
        event = bytes([0x0D, 1]) + fixed + bytes([len(shown.data)]) + shown.data
        return bytes([0x04, 0x3E, len(event)]) + event
    event = bytes([0x02, 1, 0x03, 0x01, *shown.address[::-1], len(shown.data), *shown.data, rssi & 0xFF])
    return bytes([0x04, 0x3E, len(event)]) + event
