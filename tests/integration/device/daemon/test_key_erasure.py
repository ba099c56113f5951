"""Retired keys are gone from the memory of a live box, searched from outside.

The searched process draws its secrets from a seed, so that this one can compute every key it ever used.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import second_reader
from tests.support.process_memory import read_memory
from tests.support.second_reader import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES = 1230
"""Twenty and a half hours: 1,230 retired keys of minutes."""


@pytest.fixture(scope="module")
def memory() -> Iterator[tuple[bytes, list[bytes], bytes]]:
    """The memory of a process that sealed MINUTES and still runs, its headers, and its seed."""
    seed = os.urandom(32)
    with _child(seed, MINUTES) as (pid, lines):
        yield read_memory(pid), lines, seed


@contextmanager
def _child(seed: bytes, minutes: int) -> Iterator[tuple[int, list[bytes]]]:
    """A process that did its work and waits, and the headers that it printed."""
    command = [sys.executable, "-m", "tests.support.erasure_child", seed.hex(), str(minutes)]
    root = Path(__file__).parents[4]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        lines = []
        for line in child.stdout:
            if line == "sealed\n":
                break
            lines.append(base64.b64decode(line))
        try:
            yield child.pid, lines
        finally:
            child.communicate()


def seed_of(seed: bytes, segment: int, part: int) -> bytes:
    """Draws: boot key, boot id, then for each segment the seeds of its two parts."""
    return second_reader.frame_key(seed, 2 + 2 * segment + part)


def chain_key(header: bytes, seed: bytes, part: int, minute: int) -> bytes:
    """The chain key of a part that will make the key of this minute."""
    chain = expand(seed, b"edge-scanner chain v2\0" + bytes([part]) + hashlib.sha256(header).digest())
    for number in range(minute):
        chain = expand(chain, b"next" + bytes([number]))
    return chain


def spent(segment: int, headers: list[bytes]) -> range:
    """The minutes of a segment that have passed."""
    return range(60 if segment < len(headers) - 1 else MINUTES % 60)


def test_no_retired_key_of_a_minute_or_frame_is_in_memory(memory: tuple[bytes, list[bytes], bytes]) -> None:
    """Of more than a thousand minutes of a process that still seals, no key is found: of a part, minute or frame."""
    image, headers, seed = memory
    keys = []
    for segment, header in enumerate(headers):
        seeds = {part: seed_of(seed, segment, part) for part in (0, 1)}
        whole = second_reader.combine(header, seeds)
        parts = [second_reader.part_keys(header, part, each) for part, each in seeds.items()]
        for minute in spent(segment, headers):
            keys += [whole[minute], second_reader.frame_key(whole[minute], minute), *(part[minute] for part in parts)]
        keys += [part[None] for part in parts]
        if segment < len(headers) - 1:
            keys.append(whole[None])
    assert len(keys) > 4000
    assert sum(key in image for key in keys) == 0


def test_no_retired_chain_key_and_no_seed_is_in_memory(memory: tuple[bytes, list[bytes], bytes]) -> None:
    """Nothing that would yield a retired key is found either: chain keys, seeds."""
    image, headers, seed = memory
    both = [(segment, part) for segment in range(len(headers)) for part in (0, 1)]
    seeds = [seed_of(seed, segment, part) for segment, part in both]
    chains = [
        chain_key(headers[segment], seed_of(seed, segment, part), part, minute)
        for segment, part in both
        for minute in (0, 1, 15, 29)
    ]
    assert sum(key in image for key in [*seeds, *chains]) == 0


def test_a_derived_key_is_nowhere_but_in_its_buffer() -> None:
    """Once that is overwritten, no object keeps the key, not even a freed one that the next would happen to reuse."""
    seed = os.urandom(32)

    with _child(seed, 0) as (pid, _):
        # The library's last calls are still on the stack here; in a process that goes on, others lie over them.
        image = read_memory(pid, stack=False)

    assert seed in image
    assert second_reader.frame_key(seed, 0) not in image


def test_the_search_finds_what_is_there(memory: tuple[bytes, list[bytes], bytes]) -> None:
    """The control: the live chain keys, which the next minute needs, are found by the same search."""
    image, headers, seed = memory
    segment = len(headers) - 1
    for part in (0, 1):
        assert chain_key(headers[segment], seed_of(seed, segment, part), part, MINUTES % 60) in image
