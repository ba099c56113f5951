"""The broker dies under five hundred boxes: each comes back by the box's own rules, under its own name.

Each box is the product's `Broker`, which decides how long to wait and begins again; one TLS connection of it is a few
lines of MQTT 3.1.1 (tests/support/tiny_mqtt.py), because five hundred paho clients would be five hundred threads.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.enrolment import device_id
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import Broker, open_broker
from edge_scanner.mqtt.brokerlink import BrokerState, Trouble, tls_context
from tests.support import centre
from tests.support.fleet import workshop
from tests.support.tiny_mqtt import LostError, TinyClient, connect
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edge_scanner.mqtt.brokerlink import BrokerSettings
    from edge_scanner.mqtt.uplink import Deliver, Extras

COUNT = int(os.environ.get("EDGE_SCANNER_STORM", "500"))
DOWN_S = 3.0
"""Long enough that many boxes try in vain and wait longer the next time."""


class TinyConnection:
    """`uplink.Connection` over a TinyClient: what a box's connection is to its `Broker`."""

    def __init__(self, settings: BrokerSettings, name: str) -> None:
        self.state = BrokerState(connected=False)
        self.ended = asyncio.Event()
        self._settings = settings
        self._name = name
        self._client: TinyClient | None = None

    async def open(self) -> bool:
        """Connect; whether the broker accepted us."""
        try:
            # As a box does: the certificate's files are read at every connection.
            context = tls_context(self._settings)
            self._client = await connect(self._settings.port, self._name, tls=context, clean=False)
        except (OSError, LostError):
            self.state = BrokerState(connected=False, trouble=Trouble.UNREACHABLE)
            return False
        self._client.lost.add_done_callback(lambda _lost: self.ended.set())
        return True

    async def publish(self, message: Message, _extras: Extras) -> int:
        """0 once it is acknowledged."""
        assert self._client is not None
        try:
            await self._client.publish(message.topic, message.payload)
        except LostError:
            raise UnavailableError("the connection to the broker ended") from None
        return 0

    async def subscribe(self, _topic: str, qos: int) -> int:
        """Not needed by a box that only reports."""
        return qos

    def hang_up(self) -> None:
        """End the connection without a word."""
        if self._client is not None:
            self._client.close()

    async def close(self) -> None:
        """The same."""
        self.hang_up()


@asynccontextmanager
async def _box(settings: BrokerSettings, name: str) -> AsyncIterator[Broker]:
    def make(_protocol: str, _deliver: Deliver) -> TinyConnection:
        return TinyConnection(settings, name)

    broker = Broker(replace(settings, protocol="3.1.1"), make, birth=None, now=time.time)
    task = asyncio.create_task(broker.keep_connected())
    try:
        yield broker
    finally:
        task.cancel()
        await asyncio.wait([task])


def _message(name: str, word: str) -> Message:
    topic = f"edge-scanner/v1/d/{name}/up/counts"
    return Message(kind=MessageKind.COUNTS, topic=topic, payload=word.encode(), key=word, created_s=0.0)


async def _say(boxes: dict[str, Broker], collector: Broker, word: str) -> None:
    """Every box says `word`, and the collector hears it from each under its own name."""
    heard: set[str] = set()

    async def listen() -> None:
        async for incoming in collector.messages():
            if incoming.payload == word.encode():
                heard.add(incoming.topic.split("/")[3])
            if heard == boxes.keys():
                return

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(listen())
        for name, box in boxes.items():
            tasks.create_task(box.publish(_message(name, word)))
    assert heard == boxes.keys()


@pytest.mark.slow
async def test_five_hundred_boxes_come_back(tmp_path: Path) -> None:
    """SIGKILL and a restart: all are back, none is lost, and every one is heard under its own name again."""
    shop = workshop(tmp_path)
    names = [device_id.from_entropy(number.to_bytes(device_id.ENTROPY_BYTES, "big")) for number in range(COUNT)]
    with centre.central(tmp_path / "centre", shop.fleet) as middle:
        identities = {name: middle.client(name) for name in names}
        async with (
            AsyncExitStack() as stack,
            open_broker(middle.client("fleet-collector"), client_id="fleet-collector") as collector,
        ):
            await collector.subscribe("edge-scanner/v1/d/+/up/#")
            began_s = time.monotonic()
            boxes = {name: await stack.enter_async_context(_box(link, name)) for name, link in identities.items()}
            await _all_in(boxes, collector)
            first_s = time.monotonic() - began_s
            await _say(boxes, collector, "before")

            middle.stop(kill=True)
            await eventually(lambda: not any(box.is_connected for box in boxes.values()))
            await asyncio.sleep(DOWN_S)
            middle.start()
            began_s = time.monotonic()
            await _all_in(boxes, collector)
            again_s = time.monotonic() - began_s
            await _say(boxes, collector, "after")
            came = [box.connections_total for box in boxes.values()]
            megabytes = middle.resident_mb()

    sys.stdout.write(
        f"{COUNT} boxes with {COUNT} certificates: in after {first_s:.1f} s; after SIGKILL and {DOWN_S:.0f} s, with"
        f" their own jitter, all back {again_s:.1f} s after the start; broker {megabytes:.0f} MB;"
        f" {sum(came) - 2 * COUNT} connections more than two a box\n"
    )
    # A machine with other work may lose a connection by the broker's own patience: that box came once more.
    assert min(came) == 2


async def _all_in(boxes: dict[str, Broker], collector: Broker) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await collector.connected()
        await asyncio.gather(*(box.connected() for box in boxes.values()))
