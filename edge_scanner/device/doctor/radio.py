"""Bluetooth: the bus, bluetoothd and its version, the adapter, and what is heard in ten seconds."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from typing import TYPE_CHECKING

from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.device.radio.adapter import AdapterFaultError, Bluez
from edge_scanner.device.radio.radio import RadioSettings, open_radio
from edge_scanner.device.radio.recovery import Fault

if TYPE_CHECKING:
    from edge_scanner.device.doctor.location import Place
    from edge_scanner.device.radio.adapter import Adapter

OLDEST_BLUETOOTHD = (5, 66)
"""Debian 12's; older ones were not tried, and 5.55 is known to lose discovery."""
_PROGRAMS = ("/usr/libexec/bluetooth", "/usr/lib/bluetooth")
_CODES = {
    Fault.NO_BUS: Code.RADIO_NO_BUS,
    Fault.NO_BLUETOOTHD: Code.RADIO_NO_BLUETOOTHD,
    Fault.NO_ADAPTER: Code.RADIO_NO_ADAPTER,
}


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
    program = shutil.which("bluetoothd", path=":".join(_PROGRAMS))
    if program is None:
        return Finding(check="bluetoothd", verdict=Verdict.PASS, detail="running, version not told")
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    text = (await process.communicate())[0].decode(errors="replace").strip()
    match = re.fullmatch(r"(\d+)\.(\d+)", text)
    if match and (int(match[1]), int(match[2])) >= OLDEST_BLUETOOTHD:
        return Finding(check="bluetoothd", verdict=Verdict.PASS, detail=f"running, {text}")
    return Finding(
        check="bluetoothd",
        verdict=Verdict.WARN,
        code=DoctorCode.RADIO_OLD_BLUETOOTHD,
        detail="running, version too old" if match else "running, version unknown",
    )


def _adapter(adapter: Adapter) -> Finding:
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
    code = _CODES.get(fault, Code.RADIO_FAULT)
    return Finding(check=check, verdict=Verdict.FAIL, code=code, detail=str(fault))
