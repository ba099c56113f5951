"""Address tags: tell devices apart for a quarter of an hour without keeping their addresses.

A tag is BLAKE2b (RFC 7693), keyed, 8 bytes. The key is replaced at the first tag asked for in another 15-minute window
of the UTC grid, also when the clock went back into one, and nobody can recompute the tags of the window before.
Only the radio calls this: addresses go no further.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TAG_BYTES = 8
WINDOW_S = 900

# Two hundred phones that change address every 5 s show 2,400 a minute; past the limit an address is only hashed anew.
MAX_CACHED = 4096


class Tagger:
    """Makes the tags; `new_key` gives up to 64 unpredictable bytes."""

    def __init__(self, new_key: Callable[[], bytes]) -> None:
        self._new_key = new_key
        self._window = -1
        self._key = b""
        self._cache: dict[str, bytes] = {}

    def tag(self, address: str, now_s: float) -> bytes:
        """The 8-byte tag of `address` in the window that holds `now_s`, UTC seconds."""
        window = int(now_s // WINDOW_S)
        if window != self._window:
            self._window = window
            self._key = self._new_key()
            self._cache.clear()
        tag = self._cache.get(address)
        if tag is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            tag = self._cache[address] = blake2b(address.encode(), digest_size=TAG_BYTES, key=self._key).digest()
        return tag
