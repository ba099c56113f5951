"""Retired keys are gone from the memory of a live box, searched from outside.

The searched process draws its secrets from a seed, so that this one can compute every key it ever used.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.second_reader import expand, frame_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES = 1230
"""Twenty and a half hours: 1,250 frames, 1,249 retired keys."""


@pytest.fixture(scope="module")
def memory() -> Iterator[tuple[bytes, list[bytes], bytes]]:
    """The memory of a process that sealed MINUTES and still runs, its headers, and its seed."""
    seed = os.urandom(32)
    command = [sys.executable, "-m", "tests.support.erasure_child", seed.hex(), str(MINUTES)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        lines = []
        for line in child.stdout:
            if line == "sealed\n":
                break
            lines.append(base64.b64decode(line))
        try:
            yield read_memory(child.pid), lines, seed
        finally:
            child.communicate()


def read_memory(pid: int) -> bytes:
    """Every writable page of a process."""
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line):
                start, end = (int(edge, 16) for edge in match.groups())
                memory.seek(start)
                with suppress(OSError):  # [vvar] and the like cannot be read
                    while start < end and (block := memory.read(min(end - start, 1 << 20))):
                        found += block
                        start += len(block)
    return bytes(found)


def secret_of(seed: bytes, segment: int) -> bytes:
    """Draws: boot key, boot id, then for each segment its secret and one share of two."""
    return expand(seed, (2 + 2 * segment).to_bytes(4, "big"))


def chain_key(header: bytes, secret: bytes, frames: int) -> bytes:
    """The chain key that will make frame number `frames`."""
    chain = expand(secret, b"edge-scanner chain v1\0" + hashlib.sha256(header).digest())
    for number in range(frames):
        chain = expand(chain, b"next" + number.to_bytes(4, "big"))
    return chain


def test_no_retired_frame_key_is_in_memory(memory: tuple[bytes, list[bytes], bytes]) -> None:
    """Of more than a thousand frame keys of a process that still seals, none is found."""
    image, headers, seed = memory
    keys = [
        key
        for segment, header in enumerate(headers)
        for key in frame_keys(header, secret_of(seed, segment), 61 if segment < len(headers) - 1 else MINUTES % 60)
    ]
    assert len(keys) > 1000
    assert sum(key in image for key in keys) == 0


def test_no_retired_chain_key_and_no_segment_secret_is_in_memory(memory: tuple[bytes, list[bytes], bytes]) -> None:
    """Nothing that would yield a retired frame key is found either: chain keys, secrets, shares."""
    image, headers, seed = memory
    secrets = [secret_of(seed, segment) for segment in range(len(headers))]
    shares = [expand(seed, (3 + 2 * segment).to_bytes(4, "big")) for segment in range(len(headers))]
    chains = [
        chain_key(header, secret, frames)
        for header, secret in zip(headers, secrets, strict=True)
        for frames in (0, 1, 15, 29)
    ]
    assert sum(key in image for key in [*secrets, *shares, *chains]) == 0


def test_the_search_finds_what_is_there(memory: tuple[bytes, list[bytes], bytes]) -> None:
    """The control: the live chain key, which the next frame needs, is found by the same search."""
    image, headers, seed = memory
    segment = len(headers) - 1
    assert chain_key(headers[segment], secret_of(seed, segment), MINUTES % 60) in image
