"""Lets through what may be among given identifiers: two tables of bits, each over bits of four bytes of them.

Each table lets one in sixteen through that is not there, both together one in 256. Sorting the identifiers instead cost
more than all look-ups; a set of Python bytes takes ten times as long. The tables may lie in memory that several
processes share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_MIN_BITS, _MAX_BITS = 16, 31
"""256 MB for each table at most: beyond 128 million encounters they let a little more through."""
_FACTOR_BITS = 4
"""16 places an identifier."""


class Sieve:
    """For about `count` identifiers; `memory` makes so many zero bytes."""

    def __init__(self, count: int, memory: Callable[[int], NDArray[np.uint8]] | None = None) -> None:
        self.bits = min(_MAX_BITS, max(_MIN_BITS, count.bit_length() + _FACTOR_BITS))
        size = 1 << self.bits - 3
        tables = memory(2 * size) if memory else np.zeros(2 * size, dtype=np.uint8)
        self._mask = np.uint32((1 << self.bits) - 1)
        self._first, self._second = tables[:size], tables[size:]

    def add(self, ids: NDArray[np.uint64]) -> None:
        """Let these through: (n, 2) uint64."""
        words = np.ascontiguousarray(ids).view("<u4")
        for table, word in ((self._first, words[:, 0]), (self._second, words[:, 1])):
            byte, bit = self._places(word)
            # Of two identifiers with one byte only one is written; the other comes with the next turn.
            while len(byte):
                table[byte] |= bit
                missing = np.flatnonzero((table.take(byte) & bit) == 0)
                byte, bit = byte[missing], bit[missing]

    def pass_on(
        self, first: NDArray[np.uint32], second: Callable[[NDArray[np.int64]], NDArray[np.uint32]]
    ) -> NDArray[np.int64]:
        """The places of those let through, in order; `second` gives the other four bytes of some places."""
        places = np.flatnonzero(self._among(self._first, first))
        kept: NDArray[np.int64] = places[np.flatnonzero(self._among(self._second, second(places)))]
        return kept

    def _among(self, table: NDArray[np.uint8], words: NDArray[np.uint32]) -> NDArray[np.uint8]:
        byte, bit = self._places(words)
        bit &= table.take(byte)
        return bit

    def _places(self, words: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Which bytes of a table, and the bit in each."""
        place = words & self._mask
        bit = np.left_shift(np.uint8(1), (place & np.uint32(7)).astype(np.uint8))
        place >>= np.uint32(3)
        return place.astype(np.int64), bit
