"""org.bluez played on a private bus: dbus-daemon, dbus-fast and bleak's BlueZ backend are real, bluetoothd is ours.

It answers what a scanner asks for (adapters, discovery, advertisement monitors, GATT reads) and emits the signals that
bluetoothd 5.66 emits. Faults are `die`, `unplug`, `fall_silent`, `busy`, `deaf` and `hung`. What it does not play is
the radio and BlueZ's rules about unchanged data: an advert is announced as often as the test says.
"""

from __future__ import annotations

import asyncio
import select
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.constants import MessageFlag

from tests.support.bluez_patterns import fields_of, match

if TYPE_CHECKING:
    from collections.abc import Mapping

ADAPTER_1 = "00:1A:7D:DA:71:01"
ADAPTER_2 = "00:1A:7D:DA:71:02"

_ADAPTER = "org.bluez.Adapter1"
_DEVICE = "org.bluez.Device1"
_SERVICE = "org.bluez.GattService1"
_CHARACTERISTIC = "org.bluez.GattCharacteristic1"
_MONITORS = "org.bluez.AdvertisementMonitorManager1"
_MONITOR = "org.bluez.AdvertisementMonitor1"
_OBJECTS = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"

MONITOR_PATTERNS = 7
"""With more in one monitor bluetoothd 5.66 overruns its heap (docs/real-bluez.md)."""


@dataclass
class _PlayedAdapter:
    properties: dict[str, Variant]
    scanners: set[str] = field(default_factory=set)
    monitors: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    refuses: str = ""


class StandIn:
    """One bluetoothd; after `die` another one can be made, as after a restart.

    `experimental` False refuses advertisement monitors as a bluetoothd without --experimental does; `powered` is the
    state that adapters are plugged in with; `busy` is how many StartDiscovery calls are refused with InProgress.
    """

    def __init__(self, *, experimental: bool = True, powered: bool = True) -> None:
        self.calls: list[str] = []
        self.busy = 0
        self.deaf = self.hung = False
        self.activated = asyncio.Event()
        self.patterns: list[Any] = []
        self._experimental = experimental
        self._powered = powered
        self._adapters: dict[str, _PlayedAdapter] = {}
        self._devices: dict[str, dict[str, Variant]] = {}
        self._gatt: dict[str, dict[str, dict[str, Variant]]] = {}
        self._values: dict[str, bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bus: MessageBus | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.die()

    async def start(self) -> None:
        """Take the name org.bluez."""
        self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name("org.bluez")

    def die(self) -> None:
        """Leave the bus without a word, as a killed bluetoothd does."""
        if self._bus is not None:
            self._bus.disconnect()
            self._bus = None

    @property
    def alive(self) -> bool:
        """Whether it is on the bus."""
        return self._bus is not None

    def plug(self, name: str = "hci0", address: str = ADAPTER_1, alias: str = "box") -> None:
        """An adapter appears as `name`."""
        path = f"/org/bluez/{name}"
        self._adapters[path] = _PlayedAdapter(
            {
                "Address": Variant("s", address),
                "Name": Variant("s", alias),
                "Alias": Variant("s", alias),
                "Powered": Variant("b", self._powered),
                "PowerState": Variant("s", "on" if self._powered else "off"),
                "Discovering": Variant("b", False),
                "Roles": Variant("as", ["central", "peripheral"]),
            }
        )
        self._signal("/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, self._interfaces(path)])

    def unplug(self, name: str = "hci0") -> None:
        """The adapter and its devices are gone."""
        path = f"/org/bluez/{name}"
        for device in [device for device in self._devices if device.startswith(f"{path}/")]:
            self._remove(device)
        del self._adapters[path]
        self._signal("/", _OBJECTS, "InterfacesRemoved", "oas", [path, [_ADAPTER]])

    def block(self, name: str = "hci0", *, blocked: bool = True) -> None:
        """Rfkill keeps the adapter off, or lets it go."""
        adapter = self._adapters[f"/org/bluez/{name}"]
        adapter.properties["PowerState"] = Variant("s", "off-blocked" if blocked else "off")
        if blocked:
            adapter.properties["Powered"] = Variant("b", False)
            self._discovering(f"/org/bluez/{name}", on=False)

    def refuse(self, name: str, error: str) -> None:
        """From now on this adapter answers StartDiscovery with this D-Bus error."""
        self._adapters[f"/org/bluez/{name}"].refuses = error

    def fall_silent(self, name: str = "hci0", *, said: bool = True) -> None:
        """Discovery ends behind the scanner's back; unless it is `said`, `Discovering` is stuck at true."""
        self._discovering(f"/org/bluez/{name}", on=False, said=said)

    def scanning(self, name: str = "hci0") -> bool:
        """Whether anybody scans with this adapter."""
        adapter = self._adapters.get(f"/org/bluez/{name}")
        return adapter is not None and bool(adapter.scanners or adapter.monitors)

    def advert(
        self,
        address: str,
        *,
        rssi: int = -60,
        uuids: tuple[str, ...] = (),
        service_data: Mapping[str, bytes] | None = None,
        manufacturer_data: Mapping[int, bytes] | None = None,
        local_name: str | None = None,
        flags: int | None = 0x1A,
        random: bool = True,
        adapter: str = "hci0",
    ) -> None:
        """One packet: the device appears, or its data and RSSI are signalled as changed; nothing when nobody scans."""
        if not self.scanning(adapter) or self.deaf or self.hung:
            return
        played = self._adapters[f"/org/bluez/{adapter}"]
        fields = fields_of(flags, uuids, service_data or {}, manufacturer_data or {})
        if not played.scanners and not any(match(patterns, fields) for patterns in played.monitors.values()):
            return
        path = _device_path(adapter, address)
        changed = {"RSSI": Variant("n", rssi)}
        if service_data:
            changed["ServiceData"] = Variant(
                "a{sv}", {uuid: Variant("ay", data) for uuid, data in service_data.items()}
            )
        if manufacturer_data:
            changed["ManufacturerData"] = Variant(
                "a{qv}", {company: Variant("ay", data) for company, data in manufacturer_data.items()}
            )
        if path in self._devices:
            self._devices[path].update(changed)
            self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [_DEVICE, changed, []])
            return
        self._devices[path] = {
            "Address": Variant("s", address),
            "AddressType": Variant("s", "random" if random else "public"),
            "Alias": Variant("s", local_name or address.replace(":", "-")),
            "Adapter": Variant("o", f"/org/bluez/{adapter}"),
            **({} if flags is None else {"AdvertisingFlags": Variant("ay", bytes((flags,)))}),
            "UUIDs": Variant("as", list(uuids)),
            **{name: Variant("b", False) for name in ("Paired", "Trusted", "Blocked", "Connected", "ServicesResolved")},
            **({"Name": Variant("s", local_name)} if local_name else {}),
            **changed,
        }
        self._signal("/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, {_DEVICE: self._devices[path]}])

    def change(
        self, address: str, *, adapter: str = "hci0", invalidate: tuple[str, ...] = (), **values: Variant
    ) -> None:
        """Signal a change of any device property: what is no packet."""
        path = _device_path(adapter, address)
        properties = self._devices[path]
        properties.update(values)
        for name in invalidate:
            properties.pop(name, None)
        self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [_DEVICE, values, list(invalidate)])

    def remove(self, address: str, *, adapter: str = "hci0") -> None:
        """TemporaryTimeout: the device was not heard for long enough."""
        self._remove(_device_path(adapter, address))

    def serve(self, address: str, service: str, characteristic: str, value: bytes, *, adapter: str = "hci0") -> None:
        """Let the device be connected to and tell `value` under a characteristic; call before its first advert."""
        device = _device_path(adapter, address)
        path = f"{device}/service000a"
        self._gatt[path] = {
            _SERVICE: {"UUID": Variant("s", service), "Device": Variant("o", device), "Primary": Variant("b", True)}
        }
        self._gatt[f"{path}/char000b"] = {
            _CHARACTERISTIC: {
                "UUID": Variant("s", characteristic),
                "Service": Variant("o", path),
                "Flags": Variant("as", ["read"]),
                "MTU": Variant("q", 185),
            }
        }
        self._values[f"{path}/char000b"] = value

    async def room(self) -> None:
        """Wait until the bus takes more: dbus-fast gives up a connection whose socket is full."""
        assert self._bus is not None
        assert self._bus._sock is not None
        while not select.select([], [self._bus._sock], [], 0)[1]:  # noqa: ASYNC110 (a socket, not a task, sets the pace)
            await asyncio.sleep(0.001)

    def _remove(self, path: str) -> None:
        if self._devices.pop(path, None) is not None:
            self._signal("/", _OBJECTS, "InterfacesRemoved", "oas", [path, [_DEVICE]])

    def _interfaces(self, path: str) -> dict[str, dict[str, Variant]]:
        interfaces = {_ADAPTER: self._adapters[path].properties}
        if self._experimental:
            interfaces[_MONITORS] = {"SupportedMonitorTypes": Variant("as", ["or_patterns"])}
        return interfaces

    def _answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member is None:
            return None
        self.calls.append(message.member)
        if self.hung:
            return True
        handler = getattr(self, f"_do_{message.member}", None)
        if handler is None:
            return None
        if message.path not in {"/", *self._adapters, *self._devices, *self._values}:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "no such object")
        reply = handler(message)
        assert isinstance(reply, Message)
        return reply

    def _do_GetManagedObjects(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        objects = {path: self._interfaces(path) for path in self._adapters}
        objects |= {path: {_DEVICE: properties} for path, properties in self._devices.items()}
        return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])

    def _do_GetAll(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        adapter = self._adapters.get(message.path or "")
        if adapter is None:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "no such adapter")
        return Message.new_method_return(message, "a{sv}", [adapter.properties])

    def _do_Set(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        _, name, value = message.body
        path = message.path or ""
        adapter = self._adapters[path]
        adapter.properties[name] = value
        if name == "Powered" and value.value and adapter.properties["PowerState"].value == "off-blocked":
            adapter.properties["Powered"] = Variant("b", False)
            return Message.new_error(message, "org.bluez.Error.Failed", "Failed")
        if name == "Powered" and not value.value:
            self._discovering(path, on=False)
            self.busy = 0
        self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [_ADAPTER, {name: value}, []])
        return Message.new_method_return(message, "", [])

    def _do_SetDiscoveryFilter(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        return Message.new_method_return(message, "", [])

    def _do_StartDiscovery(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        path = message.path or ""
        if not self._adapters[path].properties["Powered"].value:
            return Message.new_error(message, "org.bluez.Error.NotReady", "Resource Not Ready")
        if error := self._adapters[path].refuses:
            return Message.new_error(message, error, "no")
        if self.busy:
            self.busy -= 1
            return Message.new_error(message, "org.bluez.Error.InProgress", "Operation already in progress")
        self._adapters[path].scanners.add(message.sender or "")
        self._discovering(path, on=True)
        return Message.new_method_return(message, "", [])

    def _do_StopDiscovery(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        path = message.path or ""
        if (message.sender or "") not in self._adapters[path].scanners:
            return Message.new_error(message, "org.bluez.Error.Failed", "No discovery started")
        self._discovering(path, on=False)
        return Message.new_method_return(message, "", [])

    def _do_RegisterMonitor(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        if not self._experimental:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "no such method")
        task = asyncio.get_running_loop().create_task(
            self._activate(message.path or "", message.sender or "", message.body[0])
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Message.new_method_return(message, "", [])

    def _do_UnregisterMonitor(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        self._adapters[message.path or ""].monitors.pop((message.sender or "", message.body[0]), None)
        return Message.new_method_return(message, "", [])

    def _do_RemoveDevice(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        self._remove(message.body[0])
        return Message.new_method_return(message, "", [])

    def _do_Connect(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        device = message.path or ""
        objects = {path: interfaces for path, interfaces in self._gatt.items() if path.startswith(device)}
        if not objects:
            return Message.new_error(message, "org.bluez.Error.Failed", "le-connection-abort-by-local-host")
        for path, interfaces in objects.items():
            self._signal("/", _OBJECTS, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])
        self._device_state(device, Connected=True, ServicesResolved=True)
        return Message.new_method_return(message, "", [])

    def _do_Disconnect(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        self._device_state(message.path or "", Connected=False, ServicesResolved=False)
        return Message.new_method_return(message, "", [])

    def _do_ReadValue(self, message: Message) -> Message:  # noqa: N802 (named as the D-Bus member)
        return Message.new_method_return(message, "ay", [self._values[message.path or ""]])

    def _device_state(self, path: str, **states: bool) -> None:
        changed = {name: Variant("b", state) for name, state in states.items()}
        self._devices[path].update(changed)
        self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [_DEVICE, changed, []])

    def _discovering(self, path: str, *, on: bool, said: bool = True) -> None:
        adapter = self._adapters[path]
        if not on:
            adapter.scanners.clear()
            adapter.monitors.clear()
        if said:
            changed = {"Discovering": Variant("b", on)}
            adapter.properties.update(changed)
            self._signal(path, _PROPERTIES, "PropertiesChanged", "sa{sv}as", [_ADAPTER, changed, []])

    async def _activate(self, adapter: str, application: str, root: str) -> None:
        """Read the application's monitor and activate it, as bluetoothd does after RegisterMonitor."""
        found: dict[str, Variant] = {}
        while self._bus is not None and not found:
            # The client exports its monitor only after RegisterMonitor has returned.
            await asyncio.sleep(0.01)
            reply = await self._bus.call(
                Message(
                    destination=application,
                    path=root,
                    interface=_PROPERTIES,
                    member="GetAll",
                    signature="s",
                    body=[_MONITOR],
                )
            )
            assert reply is not None
            found = reply.body[0] if reply.message_type is MessageType.METHOD_RETURN else {}
        if self._bus is None:
            return
        patterns = found["Patterns"].value
        if len(patterns) > MONITOR_PATTERNS:
            self.die()
            return
        self.patterns += patterns
        self._bus.send(
            Message(
                destination=application,
                path=root,
                interface=_MONITOR,
                member="Activate",
                flags=MessageFlag.NO_REPLY_EXPECTED,
            )
        )
        self._adapters[adapter].monitors[application, root] = patterns
        self.activated.set()

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._bus is not None:
            self._bus.send(
                Message(
                    message_type=MessageType.SIGNAL,
                    path=path,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=body,
                )
            )


def _device_path(adapter: str, address: str) -> str:
    return f"/org/bluez/{adapter}/dev_{address.replace(':', '_')}"
