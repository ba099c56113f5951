"""COMMANDS edge-provision fleet send | list --files: signed documents to every box, and which version each reports.

The fleet carries what the authority and the custodian signed and can change nothing in it: a document is checked here
under their roots, because every box would refuse it silently otherwise, and is retained at the broker, so that a box
that is away takes it at its next connection. What a box has taken stands in its status message.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core import json_documents
from edge_scanner.core.errors import BadDataError, ConfigurationError, LogError, RefusedError, UnavailableError
from edge_scanner.core.log import recipients, roots
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull import revocations
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.connection import PACKET_TOO_LARGE
from provisioning import files

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from edge_scanner.mqtt.broker import Broker
    from edge_scanner.mqtt.brokerlink import BrokerSettings

NAME = "fleet-config"
"""The client that may write to boxes and read their status; its certificate is made with `fleet issue`."""

_SETS = "down/cfg"
_SENT = "recipients-sent"

CONNECT_S = 30.0
"""A broker that does not answer by then is not there."""

QUIET_S = 2.0
"""Retained messages come at once after a subscription; after this silence there are no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A signed document for boxes: the last words of its topic, and what people call it."""

    place: str
    what: str
    version: int
    document: bytes


def keep(folder: Path, order: Order) -> None:
    """Keep the version of a recipient set that is sent, in the fleet's folder, unless a newer one was; StorageError.

    What boxes report is held against it: a box may say anything, so the highest claim is no yardstick for the others.
    """
    if order.place == _SETS and order.version > (sent(folder) or 0):
        files.write(folder / _SENT, f"{order.version}\n".encode(), mode=0o644)


def sent(folder: Path) -> int | None:
    """The newest recipient set that was sent from this folder, None before any; raises StorageError, BadDataError."""
    path = folder / _SENT
    if not path.exists():
        return None
    text = files.read(path, hint="send the newest set again").strip()
    if not text.isdigit():
        raise BadDataError("not a version", where=str(path), hint="delete it, and send the newest set again")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a box says it has; None for what it has not, or while it is away."""

    recipients: int | None = None
    revocations: int | None = None


def read(document: bytes, authority_pem: bytes, custodian_pem: bytes) -> Order:
    """A recipient set or a list of revoked mandates; raises ConfigurationError for one that boxes would refuse."""
    document = document.rstrip(b"\n")
    try:
        pinned = roots.read(authority_pem, custodian_pem)
        if b'"format":"edge-scanner/recipients/' in document:
            found = recipients.verify(document, pinned)
            return Order(place=_SETS, what="recipient set", version=found.version, document=document)
        voided = revocations.verify(document, pinned.authority)
        return Order(place="down/mandates", what="revoked mandates", version=voided.version, document=document)
    except LogError as error:
        raise ConfigurationError(
            f"boxes would refuse it: {error}", hint="ask the authority for the document that the roots signed"
        ) from error


async def send(settings: BrokerSettings, devices: Collection[str], order: Order) -> int:
    """Publish to every box, retained; how many the broker took. Raises UnavailableError.

    RefusedError where it takes none of this size.
    """
    taken = 0
    async with open_broker(settings, client_id=NAME, session_s=0) as broker:
        await _connected(broker, settings)
        for device in devices:
            message = Message(
                kind=MessageKind.PULL,
                topic=f"edge-scanner/v1/d/{device}/{order.place}",
                payload=order.document,
                key=f"{device}/{order.place}/{order.version}",
                retain=True,
                created_s=time.time(),
                expires_s=None,
            )
            code = await broker.publish(message)
            if code == PACKET_TOO_LARGE:
                raise RefusedError(
                    f"the broker does not accept a message of {len(order.document)} bytes",
                    code="too_large",
                    where=settings.place,
                    hint="set max_packet_size as in config/broker/mosquitto.conf",
                )
            taken += code < _REFUSED
    return taken


async def reported(settings: BrokerSettings) -> Mapping[str, Reported]:
    """What every box's retained status says, by device; raises UnavailableError."""
    found: dict[str, Reported] = {}
    async with open_broker(settings, client_id=NAME, session_s=0) as broker:
        await _connected(broker, settings)
        await broker.subscribe("edge-scanner/v1/d/+/up/status")
        messages = broker.messages()
        try:
            while True:
                async with asyncio.timeout(QUIET_S):
                    incoming = await anext(messages)
                found[incoming.topic.split("/")[3]] = _status(incoming.payload)
        except TimeoutError:
            return found


# MQTT 5 reason codes from here on are refusals; below are success and "nobody listens".
_REFUSED = 0x80


def _status(payload: bytes) -> Reported:
    """A status message of a box, which may say anything."""
    try:
        body = json_documents.value(payload)
        versions = [body.get(name) for name in ("recipients_version", "revocations_version")]
    except (ValueError, AttributeError):
        return Reported()
    known = [version if type(version) is int else None for version in versions]
    return Reported(recipients=known[0], revocations=known[1])


async def _connected(broker: Broker, settings: BrokerSettings) -> None:
    try:
        async with asyncio.timeout(CONNECT_S):
            await broker.connected()
    except TimeoutError as error:
        raise UnavailableError(
            f"no connection: {broker.state.detail or 'no answer'}", where=settings.place, hint="fleet tail says more"
        ) from error
