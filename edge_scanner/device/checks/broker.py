"""The way to the broker, step by step, so that it is clear who must mend it: name, TCP, TLS, MQTT, permissions.

Permissions are probed by their effect: a message under our own name must be taken, one under another name must be
answered with 0x87. mosquitto grants every subscription, so subscribing would prove nothing. Our client id is ours
alone, so the probe would throw the running scanner off; while that says that it is connected, it is believed instead.
One that has just begun says so a beat later, and is given the time.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core.checkup import Finding, Verdict
from edge_scanner.core.codes import Code, DoctorCode
from edge_scanner.core.errors import ConfigurationError, EdgeScannerError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.device.scanner import BEAT_S, broker_settings
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings, BrokerState, Trouble

if TYPE_CHECKING:
    from edge_scanner.device.checks.place import Place

STEP_S = 10.0
"""Longest wait for one step: a name server over mobile data takes seconds, a dead one for ever."""
ALERT_S = 1.0
"""TLS 1.3: the server refuses our certificate after the handshake, with the next packet."""
PROBE_S = 15.0
FRESH_S = 60.0
"""A snapshot that is older tells nothing about the connection now."""
_STRANGER = "0000000000"
"""An id with a wrong check: no box has it, so the probe harms nobody if it is let through."""
_NOT_AUTHORISED = 0x87
_REFUSED = 0x80


async def broker(place: Place) -> tuple[Finding, ...]:
    """`dns`, `tcp`, `tls`, `mqtt` and `acl`, up to the first that fails."""
    if not place.settings.mqtt.host:
        return (Finding(check="mqtt", verdict=Verdict.WARN, code=Code.BROKER_NOT_CONFIGURED, detail="no [mqtt] host"),)
    settings = broker_settings(place.settings.mqtt)
    found: list[Finding] = []
    way, trouble = await asyncio.to_thread(_way, settings)
    found += way
    if trouble is not Trouble.NONE:
        return tuple(found)
    says = _scanner_says(place)
    if says is False:
        await asyncio.sleep(BEAT_S + 1)
        says = _scanner_says(place)
    if says:
        found.append(Finding(check="mqtt", verdict=Verdict.PASS, detail="the scanner is connected"))
        found.append(Finding(check="acl", verdict=Verdict.SKIP, detail="stop the scanner to probe permissions"))
        return tuple(found)
    found += await _probe(place, settings)
    return tuple(found)


def trouble_of(findings: tuple[Finding, ...]) -> str:
    """The code that ended the way to the broker, "" when it went through; the clock's check reads it."""
    return next((finding.code for finding in findings if finding.verdict is Verdict.FAIL), "")


def _way(settings: BrokerSettings) -> tuple[list[Finding], Trouble]:
    """Name, TCP and TLS with plain sockets; what failed last and why."""
    found: list[Finding] = []
    step = "dns"
    try:
        addresses = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        found.append(
            Finding(check="dns", verdict=Verdict.PASS, detail=f"{len({a[4][0] for a in addresses})} addresses")
        )
        step, began = "tcp", time.monotonic()
        with socket.create_connection((settings.host, settings.port), STEP_S) as plain:
            took_ms = (time.monotonic() - began) * 1000
            found.append(Finding(check="tcp", verdict=Verdict.PASS, detail=f"port {settings.port}, {took_ms:.0f} ms"))
            if settings.tls:
                step = "tls"
                found.append(_handshake(settings, plain))
    except (OSError, ConfigurationError) as error:
        state = (
            BrokerState(connected=False, trouble=Trouble.FILES, detail=error.what)
            if isinstance(error, ConfigurationError)
            else brokerlink.explain_error(error, tls=settings.tls)
        )
        found.append(Finding(check=step, verdict=Verdict.FAIL, code=state.trouble, detail=state.detail))
        return found, state.trouble
    return found, Trouble.NONE


def _handshake(settings: BrokerSettings, plain: socket.socket) -> Finding:
    context = brokerlink.tls_context(settings)
    with context.wrap_socket(plain, server_hostname=settings.host) as channel:
        channel.settimeout(ALERT_S)
        try:
            if not channel.recv(1):
                raise ssl.SSLEOFError
        except TimeoutError:
            pass  # a broker that waits for our first packet has let us in
        certificate = channel.getpeercert() or {}
        return Finding(
            check="tls", verdict=Verdict.PASS, detail=f"{channel.version()}, server until {certificate.get('notAfter')}"
        )


def _scanner_says(place: Place) -> bool | None:
    """Whether the running scanner is connected, as far as it has said; None when it does not run."""
    path = Path(place.settings.device.runtime_dir) / "snapshot.json"
    try:
        if time.time() - path.stat().st_mtime > FRESH_S:
            return None
        return bool(json.loads(path.read_bytes())["health"]["lights"]["broker"]["light"] == "ok")
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _probe(place: Place, settings: BrokerSettings) -> list[Finding]:
    """Connect under our name, speak as ourselves and as somebody else."""
    ours = place.settings.device.id
    try:
        async with open_broker(settings, client_id=ours or "edge-scanner-doctor") as link:
            try:
                async with asyncio.timeout(PROBE_S):
                    await link.connected()
            except TimeoutError:
                state = link.state
                code = state.trouble or Trouble.NO_ANSWER
                return [Finding(check="mqtt", verdict=Verdict.FAIL, code=code, detail=state.detail or "no answer")]
            entered = Finding(check="mqtt", verdict=Verdict.PASS, detail=f"MQTT {link.state.protocol}")
            own = await link.publish(_message(ours))
            other = await link.publish(_message(_STRANGER))
    except EdgeScannerError as error:
        return [Finding(check="mqtt", verdict=Verdict.FAIL, code=Trouble.LOST, detail=error.what)]
    if own >= _REFUSED:
        refused = f"our own topic: 0x{own:02x}"
        return [
            entered,
            Finding(check="acl", verdict=Verdict.FAIL, code=DoctorCode.BROKER_REFUSES_OURS, detail=refused),
        ]
    if other != _NOT_AUTHORISED:
        # MQTT 3.1.1 has no reason codes: silence there proves nothing either way.
        if link.state.protocol == "3.1.1" or not settings.tls:
            return [entered, Finding(check="acl", verdict=Verdict.SKIP, detail="this broker does not tell")]
        taken = f"another box's topic: 0x{other:02x}"
        return [entered, Finding(check="acl", verdict=Verdict.FAIL, code=DoctorCode.BROKER_ALLOWS_OTHERS, detail=taken)]
    return [entered, Finding(check="acl", verdict=Verdict.PASS, detail="own topic taken, another's refused")]


def _message(device_id: str) -> Message:
    return Message(
        kind=MessageKind.STATUS, topic=f"edge/v1/d/{device_id}/up/probe", payload=b"{}", key="probe", created_s=0.0
    )
