"""A segment's keys: they move forward only, and each is overwritten once it is spent.

`secret` (32 random bytes) yields the commitment and the first chain key, then dies. Chain key n yields frame key n and
chain key n+1, then dies. All of them live in bytearrays that are overwritten in place, and HKDF writes straight into
them, so that the memory of a running box holds no retired key. It is best effort (CPython and OpenSSL promise nothing);
tests/integration/test_key_erasure.py searches a live process for them. Specification: docs/log-format.md, "Keys".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Entropy = Callable[[bytearray], object]

KEY_BYTES = 32
"""Secret, shares, chain keys, frame keys."""

_COMMITMENT = b"edge-scanner commitment v1\0"
_CHAIN = b"edge-scanner chain v1\0"
_FRAME = b"frame"
_NEXT = b"next"


def wipe(buffer: bytearray) -> None:
    """Overwrite in place."""
    buffer[:] = bytes(len(buffer))


def commitment(secret: bytearray, digest: bytes) -> bytes:
    """32 bytes that fix `secret` for the header bytes whose SHA-256 is `digest`."""
    out = bytearray(KEY_BYTES)
    _expand(secret, _COMMITMENT + digest, out)
    return bytes(out)


def split(secret: bytearray, members: int, entropy: Entropy) -> list[bytearray]:
    """`members` shares that XOR to `secret`; any fewer say nothing about it."""
    shares = [bytearray(KEY_BYTES) for _ in range(members)]
    for share in shares[1:]:
        entropy(share)
    _xor(shares[0], [secret, *shares[1:]])
    return shares


def combine(shares: Sequence[bytearray]) -> bytearray:
    """The secret of one complete group's shares."""
    secret = bytearray(KEY_BYTES)
    _xor(secret, shares)
    return secret


def _xor(out: bytearray, parts: Sequence[bytearray]) -> None:
    for position in range(KEY_BYTES):
        value = 0
        for part in parts:
            value ^= part[position]
        out[position] = value


def _expand(key: bytearray, info: bytes, out: bytearray) -> None:
    HKDFExpand(SHA256(), KEY_BYTES, info).derive_into(key, out)


class Ratchet:
    """Frame keys of one segment, in order: `advance()` makes the next one in `key`, wiping what it came from."""

    def __init__(self, secret: bytearray, header_digest: bytes) -> None:
        self.key = bytearray(KEY_BYTES)
        self._chain = bytearray(KEY_BYTES)
        self._scratch = bytearray(KEY_BYTES)
        self._number = 0
        _expand(secret, _CHAIN + header_digest, self._chain)

    def advance(self) -> int:
        """Put the next frame's key into `key` and return its number; the caller wipes `key` after use."""
        number = self._number
        place = number.to_bytes(4, "big")
        _expand(self._chain, _FRAME + place, self.key)
        _expand(self._chain, _NEXT + place, self._scratch)
        self._chain[:] = self._scratch
        wipe(self._scratch)
        self._number = number + 1
        return number

    def wipe(self) -> None:
        """Forget everything; the segment can get no further frame."""
        for buffer in (self.key, self._chain, self._scratch):
            wipe(buffer)
