"""Chained advertisements: fragments of one advert joined again, with bounds.

A controller reports, and a sniffer hears, up to 1650 bytes of advertising data in pieces. What waits for its next piece
is held in a small table; the oldest chain gives way, and a piece that cannot belong anywhere is dropped and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.advertising import whole

if TYPE_CHECKING:
    from collections.abc import Hashable

    from edge_scanner.device.replay.captures.records import Losses

MAX_DATA = 1650
"""Core 5.4 Vol 6 Part B 2.3.4.9: the longest advertising data of a set."""
MAX_OPEN = 64
"""Chains interleaved at one time; a controller itself keeps fewer."""


class Chains:
    """The open chains of one capture."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._open: dict[Hashable, bytes] = {}

    def join(self, key: Hashable, piece: bytes, *, more: bool, cut: bool = False) -> bytes | None:
        """The whole data once its last piece is here, else None.

        `cut`: the rest was lost, so only the whole structures of what came are worth reading.
        """
        data = self._open.pop(key, b"") + piece
        if len(data) > MAX_DATA:
            self._losses.incomplete += 1
            return None
        if cut:
            self._losses.incomplete += 1
            return whole(data)
        if not more:
            return data
        if len(self._open) == MAX_OPEN:
            del self._open[next(iter(self._open))]
            self._losses.incomplete += 1
        self._open[key] = data
        return None

    def holds(self, key: Hashable) -> bool:
        """Whether a chain under this key waits for its next piece."""
        return key in self._open
