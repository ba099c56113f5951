"""The door to the broker: `open_broker` keeps one connection (connection.py) up in the background (uplink.py).

Specification: docs/mqtt.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import TYPE_CHECKING

from edge_scanner.mqtt import brokerlink
from edge_scanner.mqtt.backlog import Backlog
from edge_scanner.mqtt.brokerlink import BrokerSettings, BrokerState, Trouble
from edge_scanner.mqtt.connection import RECEIVE_MAXIMUM, SESSION_S, PahoConnection
from edge_scanner.mqtt.uplink import Broker, Delivery, Incoming

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from edge_scanner.core.model import Message
    from edge_scanner.mqtt.uplink import Deliver

__all__ = ["Broker", "BrokerSettings", "BrokerState", "Delivery", "Incoming", "Trouble", "open_broker"]

BACKLOG = 1000
"""Messages that wait for a reader who takes batches (backlog.py): 8 MB of the largest that boxes make, 64 MB of the
largest that are let in."""


@contextlib.asynccontextmanager
async def open_broker(
    settings: BrokerSettings,
    *,
    client_id: str,
    will: Message | None = None,
    birth: Callable[[], Message] | None = None,
    now: Callable[[], float] = time.time,
    session_s: int = SESSION_S,
    patient: bool = False,
    at_once: int = RECEIVE_MAXIMUM,
) -> AsyncIterator[Broker]:
    """Keep a connection in the background while inside; entering never waits for it, leaving takes at most a second.

    `birth` is called at every connection and its message sent before anything else; `will` is what the broker publishes
    once we are gone; `session_s` is how long it keeps messages for us then, 0 for whoever only looks. Raises
    ConfigurationError for unusable settings or files. Who is `patient` runs on with unusable files: they are a trouble
    of the connection and read again at the next attempt. `at_once` is how many messages a reader who acknowledges in
    batches (`take`) wants unacknowledged.
    """
    (brokerlink.check_place if patient else brokerlink.check)(settings)

    turns = itertools.count()
    backlog = Backlog(BACKLOG) if at_once > 1 else None

    def connect(protocol: str, deliver: Deliver) -> PahoConnection:
        return PahoConnection(
            settings,
            client_id=client_id,
            will=will,
            protocol=protocol,
            deliver=deliver,
            session_s=session_s,
            turn=next(turns),
            receive_maximum=at_once,
            backlog=backlog,
        )

    broker = Broker(settings, connect, birth=birth, now=now, inbox=backlog)
    task = asyncio.create_task(broker.keep_connected(), name="broker")
    task.add_done_callback(broker.stopped)
    try:
        yield broker
    finally:
        task.cancel()
        await asyncio.wait([task])
