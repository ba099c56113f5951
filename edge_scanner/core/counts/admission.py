"""Who may enter a table that is full: in a flood of invented identifiers the phones that stay keep their places.

Anyone can invent thousands of identifiers a second, each heard once. "First come, first served" would fill a table
with them and turn away every phone that comes, or changes its identifier, for as long as the flood lasts. So a full
table asks for a second hearing: who is heard again takes the place of the one that was heard once and longest ago, or,
where the owner of the table allows it, of one that has fallen silent. A flood whose identifiers are each repeated for
as long as a phone's is a crowd of phones to any receiver, and costs its sender as much air.

Turned down: a sketch of hearings (TinyLFU), which costs every advert on a quiet day what this costs in a flood only;
and evicting at random, which needs a table as large as everything heard between two hearings of a phone.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

K = TypeVar("K")
V = TypeVar("V")

WAITING = 16_384
"""Turned away and remembered by hash, twice over: eight seconds of the 2,000 short packets that fit on air in each
second, while a phone in reach is heard again within five (the radio's bursts). About 2 MB, in a flood only."""


class BoundedTable(Generic[K, V]):
    """A bounded table of what is heard; `refused` counts those turned away and those that had to make room."""

    def __init__(self, limit: int) -> None:
        self.refused = 0
        self._limit = limit
        self._once: dict[K, V] = {}
        self._again: dict[K, V] = {}
        self._waiting: set[int] = set()
        self._waited: set[int] = set()

    def __len__(self) -> int:
        return len(self._once) + len(self._again)

    def get(self, key: K) -> V | None:
        """What is known of `key`, which is being heard; None when it has no place."""
        known = self._again.pop(key, None)
        if known is None:
            known = self._once.pop(key, None)
        if known is not None:
            self._again[key] = known
        return known

    def room(self, key: K, value: V) -> bool:
        """Give `key`, which has no place, a free one; False when there is none."""
        if len(self._once) + len(self._again) >= self._limit:
            return False
        self._once[key] = value
        return True

    def enter(
        self, key: K, value: V, turn_out: Callable[[V], bool] = lambda _: False, *, regular: bool = False
    ) -> bool:
        """Give `key`, which has no place and is being heard, one; False when it must be heard once more for it.

        `turn_out` gets somebody heard again and again, but longest ago of all, and says whether it had to go. A
        `regular` is known from before: it need not be heard a second time.
        """
        if self.room(key, value):
            return True
        self.refused += 1
        mark = hash(key)
        if not (regular or mark in self._waiting or mark in self._waited):
            if len(self._waiting) >= WAITING:
                self._waited, self._waiting = self._waiting, set()
            self._waiting.add(mark)
            return False
        longest = next(iter(self._once or self._again))
        if longest in self._once:
            del self._once[longest]
        elif turn_out(self._again[longest]):
            del self._again[longest]
        else:
            if regular:
                # Whoever stands at the head and need not go must not be in every regular's way.
                self._again[longest] = self._again.pop(longest)
            return False
        self._again[key] = value
        return True

    def __iter__(self) -> Iterator[tuple[K, V]]:
        """Key and value, those that were heard more than once first."""
        return chain(self._again.items(), self._once.items())

    def leave(self, key: K) -> None:
        """Give the place of `key` back."""
        if self._once.pop(key, None) is None:
            del self._again[key]

    def clear(self) -> None:
        """Nobody is here; `refused` stays."""
        self._once.clear()
        self._again.clear()
        self._waiting.clear()
        self._waited.clear()
