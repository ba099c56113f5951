"""A segment's keys: one ratchet for each part of the key, turned minute by minute and forward only.

The key of a segment has parts, and no party holds all of them. Each part has a seed (32 random bytes) that yields a
commitment, the part's key for events and its first chain key, then dies. A chain key yields the part's key of one
minute and the next chain key, then dies. The keys of a minute from all parts XOR to the minute's key, which yields the
keys of its frames. So whoever holds a seed can hand over its part of chosen minutes, and these say nothing about any
other minute: an order for ten minutes opens ten minutes.

On the box everything lives in bytearrays that are overwritten in place, and keys are derived straight into them: the
memory of a running box holds no retired key. It is best effort (CPython and OpenSSL promise nothing);
tests/integration/device/daemon/test_key_erasure.py searches a live process for them. Specification: docs/log-format.md,
"Keys".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    Entropy = Callable[[bytearray], object]

KEY_BYTES = 32
"""Seeds, chain keys, keys of minutes, events and frames."""

MINUTES = range(60)
"""Minutes of an hour: how often a ratchet can turn."""

_COMMITMENT = b"edge-scanner commitment v2\0"
_CHAIN = b"edge-scanner chain v2\0"
_EVENTS = b"edge-scanner events v2\0"
_MINUTE = b"minute"
_NEXT = b"next"
_FRAME = b"frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartKeys:
    """What one part of a segment's key gives for some of its minutes: the events' key, and a key for each minute."""

    events: bytes
    minutes: Mapping[int, bytes]


def wipe(buffer: bytearray) -> None:
    """Overwrite in place."""
    buffer[:] = bytes(len(buffer))


def commitment(seed: bytes | bytearray, part: int, digest: bytes) -> bytes:
    """32 bytes that fix the seed of a part for the header bytes whose SHA-256 is `digest`."""
    out = bytearray(KEY_BYTES)
    _expand(seed, _COMMITMENT + bytes([part]) + digest, out)
    return bytes(out)


def part_keys(seed: bytes, part: int, header_digest: bytes, minutes: Collection[int]) -> PartKeys:
    """A part's keys for these minutes of the hour, 0 to 59, and for the segment's events."""
    events, chain, key = (bytearray(KEY_BYTES) for _ in range(3))
    _expand(seed, _EVENTS + bytes([part]) + header_digest, events)
    _expand(seed, _CHAIN + bytes([part]) + header_digest, chain)
    found = {}
    for minute in MINUTES:
        if minute in minutes:
            _expand(chain, _MINUTE + bytes([minute]), key)
            found[minute] = bytes(key)
        _expand(bytes(chain), _NEXT + bytes([minute]), chain)
    return PartKeys(events=bytes(events), minutes=found)


def combine(parts: Sequence[bytes]) -> bytes:
    """The key of a minute, or of the events, from all its parts."""
    out = bytearray(KEY_BYTES)
    for part in parts:
        _xor(out, part)
    return bytes(out)


def frame_key(key: bytes | bytearray, number: int, out: bytearray) -> None:
    """Write the key of frame `number` into `out`, from the key of its minute or of the events."""
    _expand(key, _FRAME + number.to_bytes(4, "big"), out)


class Ratchet:
    """The box's side: all parts of one segment. `minute` and `events` are keys to hand to `frame_key`.

    `turn` puts the key of a minute into `minute`, which the caller wipes after use, and leaves that minute behind for
    good; `passed` is the first minute whose key can still be made. `events` stays until the segment ends: events tell
    of the box's clock alone.
    """

    def __init__(self, seeds: Sequence[bytearray], header_digest: bytes) -> None:
        self.minute = bytearray(KEY_BYTES)
        self.events = bytearray(KEY_BYTES)
        self.passed = 0
        self._chains = [bytearray(KEY_BYTES) for _ in seeds]
        self._scratch = bytearray(KEY_BYTES)
        for part, (seed, chain) in enumerate(zip(seeds, self._chains, strict=True)):
            _expand(seed, _EVENTS + bytes([part]) + header_digest, self._scratch)
            _xor(self.events, self._scratch)
            _expand(seed, _CHAIN + bytes([part]) + header_digest, chain)
        wipe(self._scratch)

    def turn(self, minute: int) -> None:
        """Make the key of `minute` of the hour, not before `passed`."""
        wipe(self.minute)
        for number in range(self.passed, minute + 1):
            for chain in self._chains:
                if number == minute:
                    _expand(chain, _MINUTE + bytes([number]), self._scratch)
                    _xor(self.minute, self._scratch)
                _expand(chain, _NEXT + bytes([number]), self._scratch)
                chain[:] = self._scratch
        wipe(self._scratch)
        self.passed = minute + 1

    def wipe(self) -> None:
        """Forget everything; the segment can get no further frame."""
        for buffer in (self.minute, self.events, self._scratch, *self._chains):
            wipe(buffer)


def _xor(into: bytearray, part: bytes | bytearray) -> None:
    for position in range(KEY_BYTES):
        into[position] ^= part[position]


def _expand(key: bytes | bytearray, info: bytes, out: bytearray) -> None:
    # HKDF-Expand of one block is SP 800-108's HMAC with the counter as its last byte. The library's HKDFExpand passes
    # its output through a bytes object, which is freed and not overwritten; this one writes where it is told.
    KBKDFHMAC(
        algorithm=SHA256(), mode=Mode.CounterMode, length=KEY_BYTES, rlen=1, llen=None,
        location=CounterLocation.AfterFixed, label=None, context=None, fixed=info,
    ).derive_into(key, out)  # fmt: skip
