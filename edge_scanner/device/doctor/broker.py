"""The way to the broker, step by step, so that it is clear who must mend it: name, TCP, TLS, MQTT, permissions.

Permissions are probed by their effect: a message under our own name must be taken, one under another name must be
answered with 0x87, and one to ourselves must come back: mosquitto grants every subscription, so subscribing alone
would prove nothing. Orders that wait for this box stay with the broker meanwhile. Our client id is ours
alone, so the probe would throw the running scanner off; while that says that it is connected, it is believed instead.
One that has just begun says so a beat later, and is given the time.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core import json_documents
from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.core.errors import ConfigurationError, EdgeScannerError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.device.daemon.parts import BEAT_S, broker_settings
from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings, BrokerState, Trouble

if TYPE_CHECKING:
    from edge_scanner.device.doctor.location import Place
    from edge_scanner.mqtt.broker import Broker

STEP_S = 10.0
"""Longest wait for one step: a name server over mobile data takes seconds, a dead one for ever."""
ALERT_S = 1.0
"""TLS 1.3: the server refuses our certificate after the handshake, with the next packet."""
WALKS = 3
"""Tries of name, TCP and TLS before "no answer" is the verdict."""
PROBE_S = 15.0
LOOP_S = 5.0
"""Longest wait for our own message to come back, over mobile data."""
FRESH_S = 60.0
"""A snapshot that is older tells nothing about the connection now."""
_STRANGER = "0000000000"
"""An id with a wrong check: no box has it, so the probe harms nobody if it is let through."""
_NOT_AUTHORISED = 0x87
_REFUSED = 0x80


async def broker(place: Place) -> tuple[Finding, ...]:
    """`dns`, `tcp`, `tls`, `mqtt` and `acl`, up to the first that fails."""
    if not place.settings.mqtt.host:
        detail = "no [mqtt] host: counts stay on this box"
        return (Finding(check="mqtt", verdict=Verdict.SKIP, code=Code.BROKER_NOT_CONFIGURED, detail=detail),)
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
    found, trouble = _walk(settings)
    # mosquitto 2.0.21 ends, within a second of reading its lists again, whoever has not yet said CONNECT.
    for _ in range(WALKS - 1):
        if trouble is not Trouble.NO_ANSWER:
            break
        found, trouble = _walk(settings)
    return found, trouble


def _walk(settings: BrokerSettings) -> tuple[list[Finding], Trouble]:
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
        return bool(json_documents.value(small_files.content(path))["health"]["lights"]["broker"]["light"] == "ok")
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _probe(place: Place, settings: BrokerSettings) -> list[Finding]:
    """Connect under our name, speak as ourselves and as somebody else, and hear what is for us by a loop-back."""
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
            own = await link.publish(_message(ours, "up"))
            other = await link.publish(_message(_STRANGER, "up"))
            deaf = await _deaf(link, _message(ours, "down"))
            # MQTT 3.1.1 has no reason codes: silence there proves nothing either way.
            tells = link.state.protocol != "3.1.1" and settings.tls
    except EdgeScannerError as error:
        return [Finding(check="mqtt", verdict=Verdict.FAIL, code=Trouble.LOST, detail=error.what)]
    return [entered, _permissions(own, other, deaf, tells=tells)]


def _permissions(own: int, other: int, deaf: str, *, tells: bool) -> Finding:
    """The verdict on two reason codes and the loop-back."""

    def failed(code: str, detail: str) -> Finding:
        return Finding(check="acl", verdict=Verdict.FAIL, code=code, detail=detail)

    if own >= _REFUSED:
        return failed(Code.BROKER_REFUSES_OURS, f"our own topic: 0x{own:02x}")
    if other != _NOT_AUTHORISED and tells:
        return failed(DoctorCode.BROKER_ALLOWS_OTHERS, f"another box's topic: 0x{other:02x}")
    if deaf:
        return failed(DoctorCode.BROKER_NOT_HEARD, deaf)
    if not tells:
        return Finding(check="acl", verdict=Verdict.SKIP, detail="loop-back heard; this broker tells no more")
    return Finding(check="acl", verdict=Verdict.PASS, detail="own topic taken, another's refused, loop-back heard")


async def _deaf(link: Broker, probe: Message) -> str:
    """Why what is meant for this box does not reach it, "" if it does: a granted subscription would prove nothing."""
    try:
        await link.subscribe(probe.topic, qos=0)
        return "" if await link.comes_back(probe, LOOP_S) else "loop-back: nothing came back"
    except UnavailableError as error:
        return f"loop-back: {error.what}"


def _message(device_id: str, way: str) -> Message:
    return Message(
        kind=MessageKind.STATUS,
        topic=f"edge-scanner/v1/d/{device_id}/{way}/probe",
        payload=json.dumps({"probe": secrets.token_hex(8)}).encode(),
        key="probe",
        created_s=0.0,
    )
