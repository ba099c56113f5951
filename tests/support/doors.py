"""A fleet with both its brokers on this machine, and what a client finds at their doors."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import Trouble
from provisioning.fleet.fleet import Endpoint
from tests.support.box_client import connected
from tests.support.fleet import workshop
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.mqtt.broker import Broker
    from edge_scanner.mqtt.brokerlink import BrokerSettings
    from tests.support.fleet import Workshop

REFUSED = 0x87
"""MQTT 5: not authorised."""
SILENCE_S = 0.4
"""After this long without a message no more will come: brokers of tests are on this machine."""


def two_doors(tmp_path: Path) -> Workshop:
    """A fleet whose brokers are on this machine."""
    ports = [free_port(), free_port()]
    return workshop(
        tmp_path,
        broker=Endpoint(host="127.0.0.1", port=ports[0]),
        enrol=Endpoint(host="127.0.0.1", port=ports[1]),
    )


def message(topic: str, payload: bytes = b"{}") -> Message:
    """One for the topic."""
    return Message(kind=MessageKind.STATUS, topic=topic, payload=payload, key=topic, created_s=0.0)


async def heard(reader: Broker, count: int = 0) -> list[str]:
    """The topics of what comes: `count` messages, however long they take, and then until nothing more does."""
    found: list[str] = []
    messages = reader.messages()
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(PATIENCE_S if len(found) < count else SILENCE_S):
                found += [(await anext(messages)).topic]
    return found


async def code_for(link: BrokerSettings, name: str, topic: str) -> int:
    """What the broker answers when `name` publishes to the topic."""
    async with open_broker(link, client_id=name) as broker:
        await connected(broker)
        return await broker.publish(message(topic))


async def turned_away(link: BrokerSettings, name: str) -> Trouble:
    """Why this client does not get in; a machine that is too busy to shake hands is no reason."""
    async with open_broker(link, client_id=name) as broker:
        await eventually(lambda: broker.state.trouble not in {Trouble.NONE, Trouble.UNREACHABLE})
        assert not broker.is_connected
        return broker.state.trouble
