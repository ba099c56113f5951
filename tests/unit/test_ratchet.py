"""A segment's keys: forward only, overwritten, and split so that less than all says nothing."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.log.ratchet import Ratchet, combine, commitment, split, wipe
from tests.support.sealed_logs import Seeded
from tests.support.second_reader import expand

SECRET = bytes(range(32))
DIGEST = hashlib.sha256(b"header").digest()


def test_keys_follow_the_specification() -> None:
    """Frame keys, numbers and the commitment are those computed by hand with HKDF-Expand."""
    ratchet = Ratchet(bytearray(SECRET), DIGEST)
    chain = expand(SECRET, b"edge-scanner chain v1\0" + DIGEST)
    for number in range(3):
        place = number.to_bytes(4, "big")
        assert ratchet.advance() == number
        assert ratchet.key == expand(chain, b"frame" + place)
        chain = expand(chain, b"next" + place)
    assert commitment(bytearray(SECRET), DIGEST) == expand(SECRET, b"edge-scanner commitment v1\0" + DIGEST)


def test_keys_depend_on_the_header() -> None:
    """The same secret under another header gives other keys: frames cannot move to a forged header."""
    here, there = Ratchet(bytearray(SECRET), DIGEST), Ratchet(bytearray(SECRET), hashlib.sha256(b"other").digest())
    here.advance()
    there.advance()
    assert here.key != there.key


def test_nothing_older_is_kept() -> None:
    """After an advance the buffers hold the new chain key and frame key alone; after a wipe, zeros."""
    ratchet = Ratchet(bytearray(SECRET), DIGEST)
    first = bytes(ratchet._chain)
    buffers = (ratchet.key, ratchet._chain, ratchet._scratch)
    ratchet.advance()
    assert all(now is before for now, before in zip((ratchet.key, ratchet._chain), buffers, strict=False))
    assert all(first != buffer for buffer in buffers)
    assert not any(ratchet._scratch)
    ratchet.wipe()
    assert not any(b"".join(buffers))


def test_wiping_overwrites_in_place() -> None:
    """The very buffer is zeroed, not a copy."""
    buffer = bytearray(b"secret")
    view = memoryview(buffer)
    wipe(buffer)
    assert bytes(view) == bytes(6)


@given(st.binary(min_size=32, max_size=32), st.integers(1, 8))
def test_all_shares_together_give_the_secret_and_fewer_give_noise(secret: bytes, members: int) -> None:
    """XOR of all is the secret; with one left out it is not, unless that one is zero."""
    shares = split(bytearray(secret), members, Seeded("shares"))
    assert len(shares) == members
    assert combine(shares) == secret
    if members > 1:
        assert combine(shares[1:]) != secret
        assert combine(shares[:-1]) != secret


def test_shares_are_drawn_afresh_for_each_group() -> None:
    """Two groups with a member in common give it different shares."""
    entropy = Seeded("groups")
    first, second = split(bytearray(SECRET), 2, entropy), split(bytearray(SECRET), 2, entropy)
    assert first[1] != second[1]
