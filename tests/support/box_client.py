"""A box at a broker: what tests of the MQTT connection share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt import brokerlink
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    import pytest

    from edge_scanner.mqtt.broker import Broker

BOX = "K7MP2R9CX4"


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnects that do not wait a second."""
    monkeypatch.setattr(brokerlink, "RECONNECT_MIN_S", 0.02)
    monkeypatch.setattr(brokerlink, "RECONNECT_MAX_S", 0.1)


def message(text: str, *, topic: str = f"edge-scanner/v1/d/{BOX}/up/counts", retain: bool = False) -> Message:
    """Counts of this box, unless `topic` says otherwise; `text` is payload and key."""
    return Message(kind=MessageKind.COUNTS, topic=topic, payload=text.encode(), key=text, retain=retain, created_s=0.0)


async def connected(broker: Broker) -> None:
    """Wait until it is."""
    async with asyncio.timeout(PATIENCE_S):
        await broker.connected()
