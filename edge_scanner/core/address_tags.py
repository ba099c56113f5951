"""Address tags: tell devices apart for a quarter of an hour without keeping their addresses.

A tag is BLAKE2b (RFC 7693), keyed, 8 bytes. The key is replaced at the first tag asked for in another 15-minute window
of the UTC grid, also when the clock went back into one, and nobody can recompute the tags of the window before.
Only the radio calls this: addresses go no further. None is kept here either, not even to save a hash: that would be a
list of who was there in the last quarter of an hour.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TAG_BYTES = 8
WINDOW_S = 900


class Tagger:
    """Makes the tags; `new_key` gives up to 64 unpredictable bytes."""

    def __init__(self, new_key: Callable[[], bytes]) -> None:
        self._new_key = new_key
        self._from_s = self._until_s = 0.0
        self._keyed = blake2b(digest_size=TAG_BYTES)

    def tag(self, address: str, now_s: float) -> bytes:
        """The 8-byte tag of `address` in the window that holds `now_s`, UTC seconds."""
        if not self._from_s <= now_s < self._until_s:
            self._from_s = now_s // WINDOW_S * WINDOW_S
            self._until_s = self._from_s + WINDOW_S
            self._keyed = blake2b(digest_size=TAG_BYTES, key=self._new_key())
        tag = self._keyed.copy()
        tag.update(address.encode())
        return tag.digest()
