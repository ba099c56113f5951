"""The venue's own broker: a side task that says there what the venue's screen knows (core/home_assistant.py).

It has a connection of its own and opens it itself, so that whatever is wrong with that broker ends one try of this task
and nothing else. Nothing waits for it in the store: the next state follows soon.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import __version__
from edge_scanner.core import home_assistant
from edge_scanner.core.errors import UnavailableError
from edge_scanner.device.system import journal
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings, BrokerState
from edge_scanner.mqtt.uplink import REFUSED_FROM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_scanner.core.model import Message
    from edge_scanner.core.snapshot import Snapshot
    from edge_scanner.device.settings import LocalMqtt
    from edge_scanner.mqtt.broker import Broker

LOOK_S = 1.0
"""Between two looks at the screen's newest snapshot and at the connection."""

_log = journal.get("local_mqtt")


def broker_settings(local: LocalMqtt) -> BrokerSettings:
    """The venue's broker as the settings name it."""
    return BrokerSettings(
        host=local.host,
        port=local.port,
        tls=local.tls,
        ca=Path(local.ca) if local.tls else None,
        username=local.username,
        password_file=Path(local.password_file) if local.password_file else None,
        plain_elsewhere=True,
    )


def publisher(
    local: LocalMqtt, *, device: str, latest: Callable[[], Snapshot | None], now: Callable[[], float]
) -> Callable[[], Awaitable[None]]:
    """The side task, which ends only by an exception; `latest` is the newest snapshot, None before the first."""

    async def publish() -> None:
        async with open_broker(
            broker_settings(local),
            client_id=f"edge-scanner-{device}",
            will=home_assistant.availability(device, online=False, now_s=now()),
            birth=lambda: home_assistant.availability(device, online=True, now_s=now()),
            now=now,
            session_s=0,
            patient=True,
        ) as broker:
            await Publisher(local, broker).keep_saying(latest)

    return publish


@dataclass(slots=True)
class Publisher:
    """What was said on this connection, and when."""

    local: LocalMqtt
    broker: Broker
    told: BrokerState | None = None
    greeted: int = 0
    described: bytes = b""
    said: bytes = b""
    said_at: float = 0.0
    refused: bool = False

    async def keep_saying(self, latest: Callable[[], Snapshot | None]) -> None:
        """Look at the newest snapshot for ever, and say what is new."""
        while True:
            self._tell()
            snapshot = latest()
            if self.broker.is_connected and snapshot is not None:
                try:
                    await self._say(snapshot)
                except UnavailableError:
                    self.greeted = 0  # that connection is over; the next one begins with everything
            await asyncio.sleep(LOOK_S)

    async def _say(self, snapshot: Snapshot) -> None:
        if self.greeted != self.broker.connections_total:
            self.greeted, self.described, self.said = self.broker.connections_total, b"", b""
        message = home_assistant.discovery(
            snapshot.venue, prefix=self.local.discovery_prefix, software=__version__, now_s=snapshot.written_s
        )
        if self.local.discovery_prefix and message.payload != self.described:
            self.described = message.payload
            await self._publish(message)
        message = home_assistant.state(snapshot)
        if message.payload != self.said or time.monotonic() - self.said_at >= home_assistant.EVERY_S:
            self.said, self.said_at = message.payload, time.monotonic()
            await self._publish(message)

    async def _publish(self, message: Message) -> None:
        code = await self.broker.publish(message)
        if (code >= REFUSED_FROM) != self.refused:
            self.refused = not self.refused
            if self.refused:
                _log.warning("the venue's broker refuses our messages", topic=message.topic, code=f"0x{code:02x}")

    def _tell(self) -> None:
        """One line each time the connection's state changes."""
        state = replace(self.broker.state, protocol="")
        if state != self.told:
            self.told = state
            if state.connected:
                _log.info("the venue's broker is reached", host=self.local.host)
            elif state.trouble:
                _log.warning("the venue's broker", code=str(state.trouble), detail=state.detail)
