"""Derived identifiers in bulk: the same as the protocols' `derive`, a quarter of a million at a time, in numpy.

Almost none of them was ever heard, so a block keeps what the derivation made and the days' beginnings; identifiers and
times are picked out for those that a sieve lets through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_scanner.protocols import bluezone, gaen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from edge_scanner.core.model import DayKey

ID_BYTES = 16
"""What is compared: Exposure Notification's identifier; Bluezone's 12 bytes and zeros."""

BLOCK = 1 << 18
"""Derived identifiers at a time: 8 MB of hashes, or 4 MB of identifiers."""

WORD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A day key to derive from: index of the case, tag of its protocol."""

    case: int
    protocol: int
    key: DayKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """Some identifiers of one protocol: `ids` (n, 2) uint64, UTC seconds, index of the case."""

    protocol: int
    ids: NDArray[np.uint64]
    start_s: NDArray[np.int64]
    end_s: NDArray[np.int64]
    case: NDArray[np.int32]


class Block:
    """About BLOCK identifiers of one protocol: byte i of an identifier is in column `columns[i]` of `made`."""

    def __init__(self, protocol: int, made: NDArray[np.uint8], columns: Sequence[int], days: NDArray[np.int64]) -> None:
        self.protocol = protocol
        self._made = made
        self._columns = columns
        self._days = days
        self._first_of_day = np.cumsum(days[:, 3]) - days[:, 3]

    def __len__(self) -> int:
        return len(self._made)

    def words(self, number: int, places: NDArray[np.int64] | slice = slice(None)) -> NDArray[np.uint32]:
        """Bytes 4 * number and on of the identifiers at `places`, as numbers."""
        made = self._made[places]
        picked = np.empty((len(made), WORD), dtype=np.uint8)
        for byte in range(WORD):
            picked[:, byte] = made[:, self._columns[WORD * number + byte]]
        return picked.view("<u4")[:, 0]

    def take(self, places: NDArray[np.int64]) -> Derived:
        """Identifiers, times and cases at `places`."""
        wide = np.zeros((len(places), ID_BYTES), dtype=np.uint8)
        wide[:, : len(self._columns)] = self._made[places][:, self._columns]
        day = np.searchsorted(self._first_of_day, places, "right") - 1
        case, first_s, step_s, _ = self._days[day].T
        start_s = first_s + (places - self._first_of_day[day]) * step_s
        return Derived(
            protocol=self.protocol,
            ids=wide.view("<u8"),
            start_s=start_s,
            end_s=start_s + step_s,
            case=case.astype(np.int32),
        )

    def all(self) -> Derived:
        """Every one of them."""
        return self.take(np.arange(len(self)))


def blocks(keys: Iterable[Key]) -> Iterator[Block]:
    """Every identifier of every key, in order, about BLOCK at a time."""
    batch = _Batch(0)
    for one in keys:
        if batch.identifiers and (batch.identifiers >= BLOCK or batch.protocol != one.protocol):
            yield batch.block()
            batch = _Batch(0)
        batch.protocol = one.protocol
        batch.add(one)
    if batch.identifiers:
        yield batch.block()


def identifiers(key: Key) -> int:
    """How many identifiers a key gives."""
    return sum(count for _, _, count in _days(key))


def together(parts: Sequence[Derived]) -> Derived:
    """Identifiers of one protocol, one after the other."""
    return Derived(
        protocol=parts[0].protocol,
        ids=np.concatenate([part.ids for part in parts]),
        start_s=np.concatenate([part.start_s for part in parts]),
        end_s=np.concatenate([part.end_s for part in parts]),
        case=np.concatenate([part.case for part in parts]),
    )


def _days(one: Key) -> Iterator[tuple[int, int, int]]:
    """Beginning, seconds an identifier and number of identifiers of each of a key's days."""
    key = one.key
    if one.protocol == gaen.PROTOCOL.tag:
        yield key.start_s, gaen.INTERVAL_S, -((key.start_s - key.end_s) // gaen.INTERVAL_S)
        return
    step_s = bluezone.DAY_S // key.rotations
    for day_s in range(key.start_s + key.chain_lag * bluezone.DAY_S, key.end_s + 1, bluezone.DAY_S):
        yield day_s, step_s, min(key.rotations, (key.end_s - day_s) // step_s + 1)


class _Batch:
    """What is derived of whole days until a block is full."""

    def __init__(self, protocol: int) -> None:
        self.protocol = protocol
        self.identifiers = 0
        self._made: list[bytes] = []
        self._days: list[tuple[int, int, int, int]] = []

    def add(self, one: Key) -> None:
        secret = one.key.key
        for day_s, step_s, count in _days(one):
            if self.protocol == gaen.PROTOCOL.tag:
                self._made.append(gaen.rolling_identifiers(secret, day_s // gaen.INTERVAL_S, count))
            else:
                hashes = bluezone.day_sub_keys(secret, one.key.rotations)
                self._made.append(hashes[: count * bluezone.KEY_BYTES])
                secret = bluezone.next_day_key(secret)
            self._days.append((one.case, day_s, step_s, count))
            self.identifiers += count

    def block(self) -> Block:
        made = np.frombuffer(b"".join(self._made), dtype=np.uint8).reshape(self.identifiers, -1)
        hashed = self.protocol == bluezone.PROTOCOL.tag
        columns = bluezone.OFFSETS if hashed else range(ID_BYTES)
        return Block(self.protocol, made, columns, np.array(self._days, dtype=np.int64))
