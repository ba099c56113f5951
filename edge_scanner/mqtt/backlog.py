"""The inbox of a reader who takes batches: what he has not taken yet bounds what is read from the network.

mosquitto 2.0.11 answers *each* acknowledgement with as many messages as the receive maximum allows, so whoever
acknowledges in batches is soon sent everything that is queued for him, more than fits into memory. Only TCP holds such
a broker back. Nothing is dropped here, so nothing stays unacknowledged at the broker until the next connection.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_scanner.mqtt.uplink import Delivery


class Backlog(asyncio.Queue["Delivery"]):
    """At most `most` messages between the network and their reader; `arrived` and `has_room` are the network's."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._count = 0
        self._changed = threading.Condition()

    def arrived(self) -> None:
        """One more has been read and will be put."""
        with self._changed:
            self._count += 1

    def has_room(self, within_s: float) -> bool:
        """Whether another may be read, now or within a time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count < self._most, within_s)

    def _get(self) -> Delivery:
        """Hook of asyncio: every way of taking one comes by here."""
        with self._changed:
            self._count -= 1
            self._changed.notify_all()
        return super()._get()
