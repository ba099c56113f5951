"""Derived identifiers against encounters: which of them were heard, and whether the protocol's rule of time allows it.

Both sides stream: in memory are the keys, a sieve of a bounded size, and up to HELD identifiers. The sieve is made of
the encounters and lets through what was heard and one in 256 of the rest; what it lets through is looked for in all
encounters: first by a sieve made of those few, then by all 16 bytes. polars is slower and needs both sides in memory
(docs/measurements.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_scanner.authority.match import bulk
from edge_scanner.authority.match.sieve import Sieve
from edge_scanner.protocols import bluezone, gaen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from edge_scanner.authority.match.bulk import Block, Derived

TOLERANCE_S = {bluezone.PROTOCOL.tag: 180, gaen.PROTOCOL.tag: 7200}
"""How far outside its own time an identifier still counts under the tolerant rule.

Bluezone: 180 s for batched reports and clocks that are off (the app's own rule has no tolerance). Exposure
Notification: two hours each way, as the reference client matches; its strict rule is the same.
"""

STRICT_S = {bluezone.PROTOCOL.tag: 0, gaen.PROTOCOL.tag: 7200}

HELD = 1 << 21
"""Sifted identifiers that are looked up together: 80 MB, and one pass over the encounters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Pairs of an encounter and a case; `offset_s` is how far outside the identifier's own time it was heard (0 inside,
    negative before); `strict` whether the protocol's own rule allows it.
    """

    encounter: NDArray[np.int64]
    case: NDArray[np.int32]
    offset_s: NDArray[np.int32]
    strict: NDArray[np.bool_]


class Wanted:
    """Sifted identifiers of one protocol, looked for in encounters."""

    def __init__(self, derived: Derived) -> None:
        self.protocol = derived.protocol
        self._derived = derived
        self._order = np.argsort(derived.ids[:, 0])
        self._keys = derived.ids[self._order, 0]
        self._sieve = Sieve(len(derived.ids))
        self._sieve.add(derived.ids)

    def among(self, ids: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs that are equal in all 16 bytes: of an encounter's place in `ids` (n, 2) and an identifier's here."""
        words = ids.view("<u4")
        rows = self._sieve.pass_on(words[:, 0], lambda places: words[places, 1])
        left = np.searchsorted(self._keys, ids[rows, 0], "left")
        counts = np.searchsorted(self._keys, ids[rows, 0], "right") - left
        row = np.repeat(rows, counts)
        # Within a run of equal keys: left, left + 1, ...
        place = np.repeat(left - (np.cumsum(counts) - counts), counts) + np.arange(len(row))
        derived = self._order[place]
        same = ids[row, 1] == self._derived.ids[derived, 1]
        return row[same], derived[same]

    def judge(
        self,
        row: NDArray[np.int64],
        derived: NDArray[np.int64],
        protocol: NDArray[np.uint8],
        first_s: NDArray[np.int64],
        last_s: NDArray[np.int64],
    ) -> Hits:
        """Those pairs of `among` that the tolerant rule allows; the columns say of each pair what was heard."""
        early = np.minimum(last_s - self._derived.start_s[derived], 0)
        late = np.maximum(first_s - self._derived.end_s[derived], 0)
        offset = early + late
        near = (np.abs(offset) <= TOLERANCE_S[self.protocol]) & (protocol == self.protocol)
        return Hits(
            encounter=row[near],
            case=self._derived.case[derived[near]],
            offset_s=offset[near].astype(np.int32),
            strict=np.abs(offset[near]) <= STRICT_S[self.protocol],
        )


def sift(block: Block, sieve: Sieve) -> Derived:
    """The few identifiers of a block that may have been heard."""
    return block.take(sieve.pass_on(block.words(0), lambda places: block.words(1, places)))


def held(sifted: Iterable[Derived]) -> Iterator[list[Wanted]]:
    """Up to about HELD of them at a time, by protocol."""
    kept: dict[int, list[Derived]] = {}
    count = 0
    for one in sifted:
        if len(one.ids):
            kept.setdefault(one.protocol, []).append(one)
            count += len(one.ids)
        if count >= HELD:
            yield [Wanted(bulk.together(same)) for same in kept.values()]
            kept, count = {}, 0
    if kept:
        yield [Wanted(bulk.together(same)) for same in kept.values()]
