"""Millions of derived identifiers against millions of encounters, in numpy: which phone was near which box when.

The encounters are the smaller, fixed side and stay in memory; derived identifiers stream through in blocks, so that
more keys cost time and no memory. A sieve made of the encounters lets through what was heard and one in 256 of the
rest; a sieve made of those few picks the encounters that can be theirs; both small sides are then compared in all 16
bytes and the time. Sorting the encounters instead cost more than all look-ups; a set of Python bytes takes ten
times as long; duckdb and polars are as fast and need both sides in memory (docs/measurements.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_scanner.protocols import bluezone, gaen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from edge_scanner.authority.match.cases import Case

ID_BYTES = 16
"""What is compared: Exposure Notification's identifier; Bluezone's 12 bytes and zeros."""

TOLERANCE_S = {bluezone.PROTOCOL.tag: 180, gaen.PROTOCOL.tag: 7200}
"""How far outside its own time an identifier still counts under the tolerant rule.

Bluezone: 180 s for batched reports and clocks that are off (the app's own rule has no tolerance). Exposure
Notification: two hours each way, as the reference client matches; its strict rule is the same.
"""

STRICT_S = {bluezone.PROTOCOL.tag: 0, gaen.PROTOCOL.tag: 7200}

BLOCK = 1 << 19
"""Derived identifiers at a time: 25 MB with all their columns."""

HELD = 1 << 21
"""Sifted identifiers that are looked up together: 80 MB, and one pass over the encounters."""

# 128 MB for each of two tables at most: beyond 8 million encounters they let a little more through.
_MIN_SIEVE_BITS, _MAX_SIEVE_BITS = 16, 27
_SIEVE_FACTOR_BITS = 4
"""16 places an identifier: each table lets one in sixteen through that is not there, both together one in 256."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Derived identifiers of one protocol: `ids` (n, 2) uint64, UTC seconds, index of the case."""

    protocol: int
    ids: NDArray[np.uint64]
    start_s: NDArray[np.int64]
    end_s: NDArray[np.int64]
    case: NDArray[np.int32]

    def take(self, places: NDArray[np.int64]) -> Block:
        """Some of its identifiers."""
        return Block(
            protocol=self.protocol,
            ids=self.ids[places],
            start_s=self.start_s[places],
            end_s=self.end_s[places],
            case=self.case[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Pairs of an encounter and a case; `offset_s` is how far outside the identifier's own time it was heard (0 inside,
    negative before); `strict` whether the protocol's own rule allows it.
    """

    encounter: NDArray[np.int64]
    case: NDArray[np.int32]
    offset_s: NDArray[np.int32]
    strict: NDArray[np.bool_]


class Encounters:
    """The heard side. Columns of equal length: `payload` (n, 20) bytes, `protocol`, `first_s`, `last_s`."""

    def __init__(
        self,
        payload: NDArray[np.uint8],
        protocol: NDArray[np.uint8],
        first_s: NDArray[np.int64],
        last_s: NDArray[np.int64],
    ) -> None:
        self._ids = np.ascontiguousarray(payload[:, :ID_BYTES]).view("<u8")
        self._protocol = protocol
        self._first_s = first_s
        self._last_s = last_s
        self._sieve = _Sieve(self._ids)

    def sift(self, block: Block) -> Block:
        """The few identifiers of a block that may have been heard."""
        return block.take(self._sieve.pass_on(block.ids))

    def find(self, block: Block) -> Hits:
        """The encounters of a sifted block's identifiers within the tolerant rule."""
        rows = _Sieve(block.ids).pass_on(self._ids)
        rows = rows[np.argsort(self._ids[rows, 0])]
        keys = self._ids[rows, 0]
        left = np.searchsorted(keys, block.ids[:, 0], "left")
        counts = np.searchsorted(keys, block.ids[:, 0], "right") - left
        derived = np.repeat(np.arange(len(counts)), counts)
        # Within a run of equal keys: left, left + 1, ...
        row = rows[np.repeat(left - (np.cumsum(counts) - counts), counts) + np.arange(len(derived))]
        same = (self._ids[row, 1] == block.ids[derived, 1]) & (self._protocol[row] == block.protocol)
        derived, row = derived[same], row[same]
        early = np.minimum(self._last_s[row] - block.start_s[derived], 0)
        late = np.maximum(self._first_s[row] - block.end_s[derived], 0)
        offset = early + late
        near = np.abs(offset) <= TOLERANCE_S[block.protocol]
        derived, row, offset = derived[near], row[near], offset[near]
        return Hits(
            encounter=row,
            case=block.case[derived],
            offset_s=offset.astype(np.int32),
            strict=np.abs(offset) <= STRICT_S[block.protocol],
        )


class _Sieve:
    """Lets through what may be among given identifiers: a table of bytes over bits of each half."""

    def __init__(self, ids: NDArray[np.uint64]) -> None:
        bits = min(_MAX_SIEVE_BITS, max(_MIN_SIEVE_BITS, len(ids).bit_length() + _SIEVE_FACTOR_BITS))
        self._shift, self._mask = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
        self._first = np.zeros(1 << bits, dtype=np.bool_)
        self._first[ids[:, 0] >> self._shift] = True
        self._second = np.zeros(1 << bits, dtype=np.bool_)
        self._second[ids[:, 1] & self._mask] = True

    def pass_on(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The places of those let through, in order."""
        places = np.flatnonzero(self._first[ids[:, 0] >> self._shift])
        kept: NDArray[np.int64] = places[self._second[ids[places, 1] & self._mask]]
        return kept


def join(
    encounters: Encounters, stream: Iterable[Block], on_block: Callable[[int], None] = lambda _identifiers: None
) -> Iterator[Hits]:
    """Every hit of every block; `on_block` is told how many identifiers went through the sieve so far."""
    held: dict[int, list[Block]] = {}
    count = identifiers = 0
    for block in stream:
        sifted = encounters.sift(block)
        held.setdefault(block.protocol, []).append(sifted)
        count, identifiers = count + len(sifted.ids), identifiers + len(block.ids)
        on_block(identifiers)
        if count >= HELD:
            yield from (encounters.find(_together(same)) for same in held.values())
            held, count = {}, 0
    yield from (encounters.find(_together(same)) for same in held.values())


def _together(blocks: Sequence[Block]) -> Block:
    """Blocks of one protocol as one."""
    return Block(
        protocol=blocks[0].protocol,
        ids=np.concatenate([block.ids for block in blocks]),
        start_s=np.concatenate([block.start_s for block in blocks]),
        end_s=np.concatenate([block.end_s for block in blocks]),
        case=np.concatenate([block.case for block in blocks]),
    )


def blocks(cases: Sequence[Case]) -> Iterator[Block]:
    """Every identifier of every case, about BLOCK at a time; the same as the protocols' `derive`, in bulk."""
    batch = _Batch()
    for index, case in enumerate(cases):
        if batch.identifiers and (batch.identifiers >= BLOCK or batch.protocol != case.protocol.tag):
            yield batch.block()
            batch = _Batch()
        batch.protocol = case.protocol.tag
        key = case.key
        if case.protocol is gaen.PROTOCOL:
            count = -((key.start_s - key.end_s) // gaen.INTERVAL_S)
            ids = gaen.rolling_identifiers(key.key, key.start_s // gaen.INTERVAL_S, count)
            batch.add(ids, index, key.start_s, gaen.INTERVAL_S, count)
            continue
        day_key, step_s = key.key, bluezone.DAY_S // key.rotations
        for day_s in range(key.start_s + key.chain_lag * bluezone.DAY_S, key.end_s + 1, bluezone.DAY_S):
            count = min(key.rotations, (key.end_s - day_s) // step_s + 1)
            hashes = bluezone.day_sub_keys(day_key, key.rotations)[: count * bluezone.KEY_BYTES]
            batch.add(hashes, index, day_s, step_s, count)
            day_key = bluezone.next_day_key(day_key)
    if batch.identifiers:
        yield batch.block()


class _Batch:
    """Identifiers of whole days until a block is full."""

    def __init__(self) -> None:
        self.protocol = 0
        self.identifiers = 0
        self._ids: list[bytes] = []
        self._days: list[tuple[int, int, int, int]] = []

    def add(self, ids: bytes, case: int, start_s: int, step_s: int, count: int) -> None:
        self._ids.append(ids)
        self._days.append((case, start_s, step_s, count))
        self.identifiers += count

    def block(self) -> Block:
        wide = np.frombuffer(b"".join(self._ids), dtype=np.uint8).reshape(self.identifiers, -1)
        if self.protocol == bluezone.PROTOCOL.tag:
            # Bluezone's batches hold hashes: the 12 bytes of all days are picked at once.
            hashes = wide
            wide = np.zeros((self.identifiers, ID_BYTES), dtype=np.uint8)
            wide[:, : bluezone.IDENTIFIER_BYTES] = hashes[:, bluezone.OFFSETS]
        days = np.array(self._days, dtype=np.int64)
        counts = days[:, 3]
        slot = np.arange(self.identifiers) - np.repeat(np.cumsum(counts) - counts, counts)
        step = np.repeat(days[:, 2], counts)
        start = np.repeat(days[:, 1], counts) + slot * step
        return Block(
            protocol=self.protocol,
            ids=wide.view("<u8"),
            start_s=start,
            end_s=start + step,
            case=np.repeat(days[:, 0], counts).astype(np.int32),
        )
