"""COMMAND edge-central time: tells every box in service what time it is, signed, every ten minutes (docs/time.md).

The key is the one that the fleet appointed (`edge-provision fleet time-key`); this machine's own clock is what it
tells, so it takes its time from where the fleet trusts it. A box that is away finds the newest word when it returns.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import small_files
from edge_scanner.central import tasks
from edge_scanner.core import signed_time
from edge_scanner.core.enrolment.box_list import IN_SERVICE
from edge_scanner.core.errors import ConfigurationError, MalformedError, StorageError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.wording import counted
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.uplink import REFUSED_FROM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_scanner.central.store.store import Store
    from edge_scanner.mqtt.broker import Broker, BrokerSettings

KEY_NAME, APPOINTMENT_NAME = "time.key", "time-key.json"
TOGETHER = 20
"""Messages that wait for the broker's answer at once."""


class Teller:
    """Signs with an appointed key. Raises ConfigurationError for files that are none, or are not for each other."""

    def __init__(self, folder: Path) -> None:
        try:
            key = serialization.load_pem_private_key(small_files.content(folder / KEY_NAME), password=None)
            self._appointment = small_files.content(folder / APPOINTMENT_NAME).rstrip(b"\n")
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                "the time key cannot be read", where=str(folder), hint="make one: edge-provision fleet time-key DIR"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigurationError("the time key is not an Ed25519 key", where=str(folder))
        self._key = key
        self._folder = folder

    def word(self, now_s: float) -> bytes:
        """The signed time; raises ConfigurationError outside of the key's span."""
        try:
            return signed_time.sign(int(now_s), appointment=self._appointment, key=self._key)
        except MalformedError as error:
            raise ConfigurationError(
                f"the time cannot be told: {error.what}",
                where=str(self._folder),
                hint="edge-provision fleet time-key DIR",
            ) from error


async def tell(
    store: Store, teller: Teller, settings: BrokerSettings, name: str, *, now: Callable[[], float] = time.time
) -> None:
    """Tell until cancelled; what one round could not deliver, the next one does."""
    teller.word(now())
    async with open_broker(settings, client_id=name, session_s=0) as broker:
        while True:
            await broker.connected()
            try:
                boxes = await asyncio.to_thread(store.read.boxes)
                here = [box.device for box in boxes if box.state == IN_SERVICE]
                refused = await round_of(broker, here, teller.word(now()), now())
                if refused:
                    tasks.say(f"edge-central: the broker refused the time for {refused} of {counted(len(here), 'box')}")
            except (UnavailableError, StorageError) as error:
                tasks.say(f"edge-central: {error}; the time is told again in {signed_time.PERIOD_S} s")
            await asyncio.sleep(signed_time.PERIOD_S)


async def round_of(broker: Broker, devices: Sequence[str], word: bytes, now_s: float) -> int:
    """The same word to every box; how many the broker refused. Raises UnavailableError."""
    refused = 0
    for start in range(0, len(devices), TOGETHER):
        codes = await asyncio.gather(
            *(broker.publish(_message(device, word, now_s)) for device in devices[start : start + TOGETHER])
        )
        refused += sum(code >= REFUSED_FROM for code in codes)
    return refused


def _message(device: str, word: bytes, now_s: float) -> Message:
    topic = signed_time.topic(device)
    return Message(
        kind=MessageKind.STATUS, topic=topic, payload=word, key=topic, qos=1, retain=True, created_s=now_s,
        expires_s=None,
    )  # fmt: skip
