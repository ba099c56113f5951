"""Bluetooth: the bus, bluetoothd and its version, the adapter, and what is heard in ten seconds."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.device.health import FAULTS
from edge_scanner.device.radio.adapter import AdapterFaultError, Bluez, bluetoothd_version
from edge_scanner.device.radio.radio import RadioSettings, open_radio
from edge_scanner.device.radio.recovery import Fault

if TYPE_CHECKING:
    from edge_scanner.device.doctor.location import Place
    from edge_scanner.device.radio.adapter import Adapter

OLDEST_BLUETOOTHD = (5, 66)
"""Debian 12's; older ones were not tried, and 5.55 is known to lose discovery."""


async def radio(place: Place) -> tuple[Finding, ...]:
    """`bluetoothd`, `adapter` and `adverts`; the last only where there is an adapter that is on."""
    async with Bluez() as bluez:
        try:
            await bluez.owner()
        except AdapterFaultError as error:
            return _without_bluetoothd(error.fault, place)
        service = await _version()
        try:
            adapter = await bluez.find(place.settings.radio.adapter)
        except AdapterFaultError as error:
            return service, _fault("adapter", error.fault)
    found = _adapter(adapter)
    if found.verdict is Verdict.FAIL:
        return service, found
    return service, found, await _listen(place)


def _without_bluetoothd(fault: Fault, place: Place) -> tuple[Finding, ...]:
    """Debian starts no bluetoothd on a machine without an adapter: then the adapter is what is missing."""
    if any((place.sys / "class" / "bluetooth").glob("hci*")):
        return (_fault("bluetoothd", fault),)
    missing = _fault("adapter", Fault.NO_ADAPTER)
    return (missing,) if fault is Fault.NO_BLUETOOTHD else (_fault("bluetoothd", fault), missing)


async def _version() -> Finding:
    version = await bluetoothd_version()
    if version is not None and version >= OLDEST_BLUETOOTHD:
        detail = f"running, {version[0]}.{version[1]}"
        return Finding(check="bluetoothd", verdict=Verdict.PASS, detail=detail)
    return Finding(
        check="bluetoothd",
        verdict=Verdict.WARN,
        code=DoctorCode.RADIO_OLD_BLUETOOTHD,
        detail="running, version too old" if version else "running, version unknown",
    )


def _adapter(adapter: Adapter) -> Finding:
    if adapter.blocked:
        return Finding(
            check="adapter",
            verdict=Verdict.FAIL,
            code=Code.RADIO_BLOCKED,
            detail=f"{adapter.name} is blocked by rfkill",
        )
    if not adapter.powered:
        return Finding(
            check="adapter", verdict=Verdict.FAIL, code=DoctorCode.RADIO_OFF, detail=f"{adapter.name} is switched off"
        )
    return Finding(check="adapter", verdict=Verdict.PASS, detail=f"{adapter.name} is on")


async def _listen(place: Place) -> Finding:
    """How many packets come; not from how many devices, which is nobody's business here."""
    settings = RadioSettings(adapter=place.settings.radio.adapter)
    async with open_radio(
        settings, clock=place.now, name_uuids=frozenset(), new_key=lambda: secrets.token_bytes(32)
    ) as source:
        try:
            async with asyncio.timeout(place.listen_s):
                async for _advert in source:
                    pass
        except TimeoutError:
            heard = source.counters.heard
    detail = f"{heard} packets in {place.listen_s:.0f} s"
    if not heard:
        return Finding(check="adverts", verdict=Verdict.WARN, code=Code.RADIO_SILENT, detail=detail)
    return Finding(check="adverts", verdict=Verdict.PASS, detail=detail)


def _fault(check: str, fault: Fault) -> Finding:
    code = FAULTS.get(fault, Code.RADIO_FAULT)
    return Finding(check=check, verdict=Verdict.FAIL, code=code, detail=str(fault))
