"""What bleak does not offer of BlueZ: which adapters there are, whether one listens, and how to power-cycle it.

A file of its own beside `radio.py` because it speaks D-Bus itself: bleak keeps its object cache private, and after a
restart of bluetoothd or of the bus that cache is the very thing in doubt. It has its own connection, subscribes to
nothing (so no advert is ever delivered to it) and imports `dbus_fast`, which bleak brings along; never bleak.

Specification: BlueZ doc/org.bluez.Adapter.rst; D-Bus Specification, "Message Bus Messages".
Decision: adapters are found through the ObjectManager at each start, by address, because hciN moves when a stick is
replugged. Reading them through the object tree was lighter but would bind us to how bluetoothd names its nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError, InvalidMessageError

from edge_scanner.core.errors import UnavailableError
from edge_scanner.device.radio.recovery import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

BUS_ERRORS: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    TimeoutError,
    AuthError,
    DBusError,
    InvalidAddressError,
    InvalidMessageError,
)
"""Everything D-Bus trouble was seen to raise, through bleak too (a lost bus is a bare OSError or EOFError)."""

DBUS_FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown": Fault.NO_BLUETOOTHD,
        "org.freedesktop.DBus.Error.AccessDenied": Fault.DENIED,
        "org.bluez.Error.Blocked": Fault.BLOCKED,
    }
)
"""Error replies that say what is wrong; what another one means depends on what was asked."""

CALL_S = 5.0
"""Longest wait for one answer: bluetoothd answers in milliseconds, a hung one never."""

POWER_CALL_S = 15.0
"""Powering an adapter loads firmware on some sticks."""

POWER_REST_S = 1.5
"""Off time of a power-cycle: controllers that came back faster were seen to answer NotReady (hbldh/bleak#1837)."""

AUTO = "auto"

TRIES = 3
"""Refused starts before "auto" tries the next adapter: `InProgress` of a cancelled client ends by itself in 1-2 s."""

FORGET_AT_ONCE = 64
"""Calls under way: bluetoothd sets the pace, and no socket fills up."""

NO_ADDRESS = "00:00:00:00:00:00"
"""What an adapter without firmware shows: it is there and can do nothing."""

_BLUEZ = "org.bluez"
_SYS = Path("/sys/class/bluetooth")
_PROGRAMS = ("/usr/libexec/bluetooth", "/usr/lib/bluetooth")
_ADAPTER = "org.bluez.Adapter1"
_DBUS = "org.freedesktop.DBus"
_NOBODY = "/org/bluez/nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One Bluetooth adapter of this machine, as BlueZ shows it; `name` is hciN, `alias` the operator's name for it.

    `blocked`: rfkill keeps it off, and no program of ours may lift that.
    """

    path: str
    name: str
    address: str
    alias: str
    powered: bool
    discovering: bool
    low_energy: bool
    blocked: bool


class AdapterFaultError(UnavailableError):
    """Bus, bluetoothd or adapter is not there; `fault` says which."""

    def __init__(self, fault: Fault, *, where: str = "", hint: str = "") -> None:
        super().__init__(str(fault), where=where, hint=hint)
        self.fault = fault


class Bluez:
    """bluetoothd, asked over a connection of our own that is made when needed and again after it broke.

    Every method raises AdapterFaultError.
    """

    def __init__(self) -> None:
        self._bus: MessageBus | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()

    async def owner(self) -> str:
        """The unique bus name of the running bluetoothd: another one after every restart."""
        reply = await self._call(
            Message(
                destination=_DBUS,
                path="/org/freedesktop/DBus",
                interface=_DBUS,
                member="GetNameOwner",
                signature="s",
                body=[_BLUEZ],
            ),
            fault=Fault.NO_BLUETOOTHD,
        )
        return str(reply[0])

    async def adapters(self) -> tuple[Adapter, ...]:
        """All adapters, by hciN. The call starts a bluetoothd that does not run, where systemd will."""
        objects = Message(
            destination=_BLUEZ, path="/", interface="org.freedesktop.DBus.ObjectManager", member="GetManagedObjects"
        )
        try:
            reply = await self._call(objects, fault=Fault.NO_BLUETOOTHD)
        except AdapterFaultError:
            # Where systemd will not, the bus says so after 25 s. It knows at once that nobody has the name.
            await self.owner()
            raise
        found = [
            _adapter(path, interfaces[_ADAPTER]) for path, interfaces in reply[0].items() if _ADAPTER in interfaces
        ]
        return tuple(sorted(found, key=lambda adapter: (len(adapter.name), adapter.name)))

    async def find(self, wanted: str, refusals: Mapping[str, int] = MappingProxyType({})) -> Adapter:
        """The adapter with this address, hciN or alias; for "auto" the Low Energy adapter that is worth trying most.

        That is one that is not blocked, then one that refused less often (`refusals` by address, in whole `TRIES`),
        then one that is powered. An adapter without an address is passed over.
        """
        adapters = await self.adapters()
        if wanted == AUTO:
            usable = [a for a in adapters if a.low_energy and a.address != NO_ADDRESS]
            chosen = sorted(usable, key=lambda a: (a.blocked, refusals.get(a.address, 0) // TRIES, not a.powered))
        else:
            key = wanted.casefold()
            chosen = [a for a in adapters if key in (a.address.casefold(), a.name.casefold(), a.alias.casefold())]
        if not chosen:
            raise AdapterFaultError(
                Fault.NO_ADAPTER,
                where=wanted,
                hint=f"BlueZ shows {', '.join(a.name for a in adapters) or 'none'}; plug it in or change radio.adapter",
            )
        return chosen[0]

    async def state(self, adapter: Adapter) -> Adapter:
        """The same adapter as it is now."""
        reply = await self._call(
            _properties(adapter.path, "GetAll", "s", [_ADAPTER]),
            fault=Fault.NO_ADAPTER,
        )
        return _adapter(adapter.path, reply[0])

    async def power_on(self, adapter: Adapter) -> None:
        """Switch the adapter on; bluetoothd does not do it by itself since 5.66."""
        await self._power(adapter, on=True)

    async def power_cycle(self, adapter: Adapter) -> None:
        """Off, a rest, on: ends whatever discovery bluetoothd or the controller believes in."""
        await self._power(adapter, on=False)
        await asyncio.sleep(POWER_REST_S)
        await self._power(adapter, on=True)

    def rinse(self) -> None:
        """Send everybody who reads BlueZ's signals one that changes nothing, about no device.

        A reader's buffer holds the last signal until the next one comes: in silence, the address of who left last.
        """
        signal = Message(
            message_type=MessageType.SIGNAL,
            path=_NOBODY,
            interface="org.freedesktop.DBus.Properties",
            member="PropertiesChanged",
            signature="sa{sv}as",
            body=[_ADAPTER, {}, []],
        )
        if self._bus is not None and self._bus.connected:
            # Whether it went out is nobody's concern: a bus that breaks has no old signal to tell either.
            self._bus.send(signal).add_done_callback(lambda sent: sent.cancelled() or sent.exception())

    async def forget(self, adapter: Adapter | None, devices: Sequence[str]) -> None:
        """Have BlueZ drop devices, by object path, with all that it and its readers know of them. Never raises.

        What BlueZ refuses, or has no time for, stays until it goes by itself.
        """
        for first in range(0, len(devices) if adapter else 0, FORGET_AT_ONCE):
            calls = [
                self._call(
                    Message(
                        destination=_BLUEZ,
                        path=adapter.path if adapter else "/",
                        interface=_ADAPTER,
                        member="RemoveDevice",
                        signature="o",
                        body=[path],
                    ),
                    fault=Fault.REFUSED,
                )
                for path in devices[first : first + FORGET_AT_ONCE]
            ]
            told = await asyncio.gather(*calls, return_exceptions=True)
            if any(isinstance(one, AdapterFaultError) and one.fault is Fault.NO_BUS for one in told):
                return

    async def _power(self, adapter: Adapter, *, on: bool) -> None:
        await self._call(
            _properties(adapter.path, "Set", "ssv", [_ADAPTER, "Powered", Variant("b", on)]),
            fault=Fault.REFUSED,
            timeout_s=POWER_CALL_S,
        )

    async def _call(self, message: Message, *, fault: Fault, timeout_s: float = CALL_S) -> list[Any]:
        """Reply body. `fault` is what an error reply means; trouble with the connection is always NO_BUS."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._bus is None or not self._bus.connected:
                    self._disconnect()
                    self._bus = MessageBus(bus_type=BusType.SYSTEM)
                    await self._bus.connect()
                reply = await self._bus.call(message)
        except BUS_ERRORS as error:
            self._disconnect()
            raise AdapterFaultError(Fault.NO_BUS, where=type(error).__name__) from error
        except BaseException:
            self._disconnect()
            raise
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            error_name = "no reply" if reply is None else str(reply.error_name)
            raise AdapterFaultError(DBUS_FAULTS.get(error_name, fault), where=error_name)
        return list(reply.body)

    def _disconnect(self) -> None:
        bus, self._bus = self._bus, None
        if bus is not None:
            bus.disconnect()


async def bluetoothd_version() -> tuple[int, int] | None:
    """The installed bluetoothd's version, e.g. (5, 82); None where it does not tell."""
    program = shutil.which("bluetoothd", path=":".join(_PROGRAMS))
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    text = (await process.communicate())[0].decode(errors="replace").strip()
    match = re.fullmatch(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _properties(path: str, member: str, signature: str, body: list[Any]) -> Message:
    return Message(
        destination=_BLUEZ,
        path=path,
        interface="org.freedesktop.DBus.Properties",
        member=member,
        signature=signature,
        body=body,
    )


def _soft_blocked(name: str) -> bool:
    """Whether rfkill keeps this adapter off, as the kernel shows it to everybody."""
    for switch in _SYS.glob(f"{name}/rfkill*"):
        with contextlib.suppress(OSError):
            if "1" in {(switch / kind).read_text().strip() for kind in ("soft", "hard")}:
                return True
    return False


def _adapter(path: str, properties: dict[str, Variant]) -> Adapter:
    def value(name: str, default: object) -> Any:
        variant = properties.get(name)
        return default if variant is None else variant.value

    return Adapter(
        path=path,
        name=path.rpartition("/")[2],
        address=str(value("Address", "")),
        alias=str(value("Alias", "")),
        powered=bool(value("Powered", False)),
        discovering=bool(value("Discovering", False)),
        low_energy="central" in value("Roles", ["central"]),
        # BlueZ 5.66 does not tell; the kernel does.
        blocked=value("PowerState", "") == "off-blocked" or _soft_blocked(path.rpartition("/")[2]),
    )
