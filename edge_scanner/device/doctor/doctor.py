"""The technician's self-test: every part of the box looked at, one line each, nothing changed.

Checks do not stop one another: a box with three faults shows three. A check that crashes is a finding, too, because the
lines after it are what the technician came for. Which code means what to do: core/diagnostics/advice.py.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.diagnostics.codes import DoctorCode
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import settings
from edge_scanner.device.doctor import broker, log, machine, radio
from edge_scanner.device.doctor.location import Place
from edge_scanner.device.system import journal
from edge_scanner.mqtt.brokerlink import Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    Result = Finding | tuple[Finding, ...]


_LATER = {Trouble.NAME_UNKNOWN, Trouble.UNREACHABLE, DoctorCode.UNIT_NOT_RUNNING}
"""What no box has at a bench yet: a network, and a scanner that was started with its settings."""


def open_place(config: Path) -> Place | Finding:
    """What to look at, or the finding that the settings are wrong, after which nothing can be looked at."""
    try:
        return Place(settings=settings.load(config))
    except ConfigurationError as error:
        first = str(error).partition("\n")[0]
        return Finding(check="settings", verdict=Verdict.FAIL, code=DoctorCode.SETTINGS_WRONG, detail=first)


async def examine(place: Place) -> tuple[Finding, ...]:
    """All findings, in the order in which a technician mends them."""
    reached = await _safe("mqtt", lambda: broker.broker(place))
    findings = (
        Finding(check="settings", verdict=Verdict.PASS, detail="read"),
        *await _safe("clock", lambda: log.clock(place, broker.trouble_of(reached))),
        *await _each(machine.CHECKS, place),
        *await _safe("adapter", lambda: radio.radio(place)),
        *await _safe("certificate", lambda: log.certificate(place)),
        *reached,
        *await _each(log.CHECKS, place),
        *await _safe("unit", lambda: machine.unit(place)),
    )
    bootstrap = log.bootstrap(place)
    return tuple(_expected(found, bootstrap=bootstrap, at_bench=place.at_bench) for found in findings)


def _expected(found: Finding, *, bootstrap: bool, at_bench: bool) -> Finding:
    """What every healthy box shows on its first day is no fault of this one.

    The central broker trusts no batch's CA, so it refuses each bootstrap certificate as it would a revoked one.
    """
    if found.verdict is not Verdict.FAIL:
        return found
    if bootstrap and found.code == Trouble.CERTIFICATE_REFUSED:
        return replace(found, verdict=Verdict.SKIP, code="", detail="not before the operational certificate")
    if at_bench and found.code in _LATER:
        return replace(found, verdict=Verdict.SKIP, code="", detail=f"not at the bench: {found.detail}")
    return found


async def _each(checks: Mapping[str, Callable[[Place], Result | Awaitable[Result]]], place: Place) -> list[Finding]:
    return [found for name, look in checks.items() for found in await _safe(name, partial(look, place))]


async def _safe(check: str, look: Callable[[], Result | Awaitable[Result]]) -> tuple[Finding, ...]:
    try:
        result = look()
        found = await result if inspect.isawaitable(result) else result
    except Exception as error:  # noqa: BLE001 (one check's crash must not hide the others' findings)
        return (Finding(check=check, verdict=Verdict.FAIL, code=DoctorCode.CHECK_CRASHED, detail=journal.crash(error)),)
    return found if isinstance(found, tuple) else (found,)
