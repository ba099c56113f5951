"""bleak, as the radio uses it: its manager of BlueZ for what is heard, its client for a read.

Promise: the only importer of bleak. A device's properties are kept once, by the manager, which mirrors BlueZ; here only
those of devices that are silent while they stay, for `radio.py` to state their presence.

Decision: the manager and not `BleakScanner`, which makes four objects of each packet and keeps the first and the newest
properties of each device once more: with 10,000 addresses 20 MB more than this, and a seventh of bleak's instructions.
The manager is what bleak's own scanner calls; the lock holds the version that the tests of this room were run with.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bleak import BleakClient
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError, BleakError
from dbus_fast import Variant

from edge_scanner.device.radio.adapter import BUS_ERRORS, DBUS_FAULTS
from edge_scanner.device.radio.monitors import MONITORS
from edge_scanner.device.radio.pruning import in_use, surplus
from edge_scanner.device.radio.recovery import Fault
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from edge_scanner.device.radio.gatt_reads import Read

STOP_S = 5.0
"""Longest end of a scan, or of a monitor."""

READ_S = 10.0
"""One GATT connection and read, by issue; a phone in reach takes 1-3 s."""

ERRORS: tuple[type[Exception], ...] = (BleakError, *BUS_ERRORS)
"""What a call to bleak may end with."""

_PASSIVE_REFUSED = "passive scanning on Linux requires"


_NONE: Mapping[Any, bytes] = {}

_log = journal.get("radio")


class Scanner:
    """Scans with the adapter hciN, actively, or passively for our patterns; whatever it holds is of devices that BlueZ
    knows at this moment.

    `on_change` gets each packet: all that BlueZ knows of its device, and of that the manufacturer and service data.
    """

    def __init__(
        self,
        on_change: Callable[[Mapping[str, Any], Mapping[int, bytes], Mapping[str, bytes]], None],
        adapter: str,
        *,
        passive: bool = False,
    ) -> None:
        self._on_change = on_change
        self._adapter = f"/org/bluez/{adapter}"
        self._passive = passive
        self._devices: dict[str, Mapping[str, Any] | None] = {}
        self._used: set[str] = set()
        self._stops: list[Callable[[], Awaitable[None]]] = []

    async def start(self) -> None:
        """Begin to listen; raises one of `ERRORS`, and `stop` ends what was begun."""
        manager = await get_global_bluez_manager()
        if not self._passive:
            filters = {"Transport": Variant("s", "le"), "DuplicateData": Variant("b", True)}
            self._stops.append(await manager.active_scan(self._adapter, filters, self.heard, self.removed))
            return
        for number, patterns in enumerate(MONITORS):
            wanted: Any = [(offset, AdvertisementDataType(kind), head) for offset, kind, head in patterns]
            # The first hears what any of them lets through.
            told = (_nothing, _nothing) if number else (self.heard, self.removed)
            self._stops.append(await manager.passive_scan(self._adapter, wanted, *told))

    async def stop(self) -> None:
        """End it."""
        stops, self._stops = self._stops, []
        for stop in stops:
            try:
                async with asyncio.timeout(STOP_S):
                    await stop()
            except ERRORS as error:
                # Whoever stops because bluetoothd died gets an error for it; the next start tells what matters.
                _log.debug("radio scanner did not stop cleanly", error=type(error).__name__)

    def heard(self, path: str, properties: Any) -> None:
        """Called by bleak's manager for each packet, with the object path of its device."""
        manufacturer_data = properties.get("ManufacturerData", _NONE)
        service_data = properties.get("ServiceData", _NONE)
        if path not in self._devices and in_use(properties):
            self._used.add(path)
        if self._passive or not (manufacturer_data or service_data):
            self._devices[path] = properties
        else:
            self._devices[path] = None
        self._on_change(properties, manufacturer_data, service_data)

    def removed(self, path: str) -> None:
        """Called by bleak's manager when BlueZ forgets a device."""
        self._devices.pop(path, None)
        self._used.discard(path)

    def silent(self) -> list[Mapping[str, Any]]:
        """What BlueZ knows of each device of which it signals nothing while it stays."""
        return [properties for properties in self._devices.values() if properties is not None]

    def surplus(self) -> list[str]:
        """The object paths of devices that BlueZ shall forget (pruning.py)."""
        return surplus(self._devices, self._used)

    async def read(self, read: Read) -> bytes | None:
        """What a device tells over GATT; None when it is not there or does not answer."""
        path = f"{self._adapter}/dev_{read.address.replace(':', '_')}"
        if path not in self._devices:
            return None
        device = BLEDevice(read.address, None, {"path": path, "props": {"Adapter": self._adapter}})
        try:
            async with asyncio.timeout(READ_S), BleakClient(device, timeout=READ_S) as client:
                return bytes(await client.read_gatt_char(read.characteristic))
        except ERRORS:
            return None


def _nothing(*_told: object) -> None:
    """For a monitor that is there for BlueZ alone."""


def refuses_passive(error: Exception) -> bool:
    """Whether a start was refused because bluetoothd cannot scan passively."""
    return _PASSIVE_REFUSED in str(error)


def fault_of(error: Exception) -> tuple[Fault, str]:
    """What a refused start means, with a detail that names no device."""
    if isinstance(error, BleakDBusError):
        return DBUS_FAULTS.get(error.dbus_error, Fault.REFUSED), error.dbus_error
    refused = isinstance(error, BleakError | TimeoutError)
    return Fault.REFUSED if refused else Fault.NO_BUS, type(error).__name__
