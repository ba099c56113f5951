"""A lock of a key file that takes a thousandth of the memory; what the real one costs has tests of its own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_scanner.authority.keys import vault
from provisioning import vault as fleets

if TYPE_CHECKING:
    from collections.abc import Iterator


def cheap_lock() -> vault.Lock:
    """In place of `vault.new_lock`."""
    return vault.Lock(salt=os.urandom(16), memory_kib=64, iterations=1, lanes=1)


@contextmanager
def cheap_fleet() -> Iterator[None]:
    """The keys of fleets and batches that are made meanwhile are locked as cheaply; their files say so."""
    honest = fleets.new_lock
    fleets.new_lock = lambda: fleets.Lock(salt=os.urandom(16), memory_kib=64, iterations=1, lanes=1)
    try:
        yield
    finally:
        fleets.new_lock = honest
