"""Derives and sifts on every core: hashes of one key need one another, so each process takes keys of its own.

The sieve lies in memory that all of them map and no file system has a name for. Where starting processes would take
longer than deriving, one does it.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.reduction import DupFd
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_scanner.authority.match import bulk, join
from edge_scanner.authority.match.sieve import Sieve
from edge_scanner.core.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from edge_scanner.authority.match.bulk import Derived, Key

ALONE = 4_000_000
"""So many identifiers take two seconds; starting two processes takes half a second of each."""

_worker: list[Sieve] = []
"""A process's view of the sieve."""


class Memory:
    """Bytes that processes started from this one can map; closed by `close`."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = os.memfd_create("sieve") if descriptor is None else descriptor

    def make(self, size: int) -> NDArray[np.uint8]:
        """`size` bytes, zero unless somebody has written there."""
        if os.fstat(self._descriptor).st_size < size:
            os.truncate(self._descriptor, size)
        return np.frombuffer(mmap.mmap(self._descriptor, size), dtype=np.uint8)

    def close(self) -> None:
        """What is mapped stays."""
        os.close(self._descriptor)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self._descriptor),)


def _received(descriptor: Any) -> Memory:
    return Memory(descriptor.detach())


def sifted(
    keys: Sequence[Key], sieve: Sieve, count: int, memory: Memory, on_done: Callable[[int, int], None]
) -> Iterator[Derived]:
    """What `sieve`, made for `count` in `memory`, lets through of every identifier; `on_done` is told how many went
    through it so far, and of how many. Raises UnavailableError when a process is killed.
    """
    total = sum(map(bulk.identifiers, keys))
    done = 0
    cores = len(os.sched_getaffinity(0))
    if total < ALONE or cores == 1:
        for block in bulk.blocks(keys):
            yield join.sift(block, sieve)
            done += len(block)
            on_done(done, total)
        return
    # Not forked: the progress bar is a thread.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_begin, initargs=(memory, count)) as pool:
        try:
            for number, found in pool.map(_sift, _portions(keys)):
                yield from found
                done += number
                on_done(done, total)
        except BrokenProcessPool as error:
            raise UnavailableError(
                "a process that derives identifiers was ended", hint="free some memory and match again"
            ) from error


def _portions(keys: Sequence[Key]) -> Iterator[list[Key]]:
    """About a block each."""
    portion: list[Key] = []
    count = 0
    for key in keys:
        portion.append(key)
        count += bulk.identifiers(key)
        if count >= bulk.BLOCK:
            yield portion
            portion, count = [], 0
    if portion:
        yield portion


def _begin(memory: Memory, count: int) -> None:
    """In a process: Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.append(Sieve(count, memory.make))


def _sift(keys: list[Key]) -> tuple[int, list[Derived]]:
    blocks = list(bulk.blocks(keys))
    return sum(map(len, blocks)), [join.sift(block, _worker[0]) for block in blocks]
