"""Wrapping a share for one recipient."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from edge_scanner.core.errors import MalformedError, UnavailableError
from edge_scanner.core.log import hpke
from edge_scanner.core.log.errors import ShareRefusedError, UnknownSuiteError
from tests.support import second_reader
from tests.support.sealed_logs import Seeded, private_key

if TYPE_CHECKING:
    from edge_scanner.core.log.hpke import PrivateKey

SUITES = list(hpke.SUITES.values())


def entropy(buffer: bytearray) -> None:
    """The system's randomness."""
    buffer[:] = os.urandom(len(buffer))


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_share_opens_with_its_key_and_place_only(suite: hpke.WrapSuite) -> None:
    """The right key and info open it; another key, another place and a flipped bit do not."""
    key, other = private_key("authority", suite), private_key("custodian", suite)
    share = bytearray(range(32))
    sealed = hpke.seal_share(suite, share, hpke.public_key_of(suite, key), b"here")
    assert len(sealed) == suite.sealed_bytes
    assert hpke.open_share(suite, sealed, key, b"here") == share
    flipped = bytes([sealed[0] ^ 1]) + sealed[1:]
    for attempt in ((sealed, other, b"here"), (sealed, key, b"there"), (flipped, key, b"here"), (b"", key, b"here")):
        with pytest.raises(ShareRefusedError):
            hpke.open_share(suite, *attempt)


def test_the_hybrid_is_the_published_construction() -> None:
    """HPKE done by hand from RFC 9180 and the X-Wing draft opens what the library sealed."""
    suite, key = hpke.MLKEM768_X25519, private_key("authority")
    sealed = hpke.seal_share(suite, bytearray(range(32)), hpke.public_key_of(suite, key), b"info")
    assert second_reader.hpke_open(sealed, key, b"info") == bytes(range(32))


def test_suites_have_the_sizes_of_the_specification() -> None:
    """1,168 and 1,713 bytes a share."""
    assert {n: (s.public_bytes, s.private_bytes, s.sealed_bytes) for n, s in hpke.SUITES.items()} == {
        1: (1216, 96, 1168),
        2: (1665, 112, 1713),
    }


def test_unknown_suite_is_refused() -> None:
    """A number outside the table is a named refusal."""
    with pytest.raises(UnknownSuiteError, match="wrap suite 0"):
        hpke.wrap_suite(0)
    assert hpke.wrap_suite(2) is hpke.MLKEM1024_P384


def test_the_same_key_has_another_name_in_another_suite() -> None:
    """The key id covers the suite, so a downgrade names a key nobody has."""
    assert hpke.key_id(hpke.MLKEM768_X25519, b"k") != hpke.key_id(hpke.MLKEM1024_P384, b"k")


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_keys_of_a_wrong_shape_are_malformed(suite: hpke.WrapSuite) -> None:
    """Short keys and, where the curve allows it, impossible ones are refused by name."""
    with pytest.raises(MalformedError, match="private key has"):
        hpke.open_share(suite, b"", b"short", b"")
    with pytest.raises(MalformedError, match="public key has"):
        hpke.load_public(suite, b"short")
    with pytest.raises(MalformedError, match="not a public key"):
        hpke.load_public(suite, b"\xff" * suite.public_bytes)


def test_an_impossible_scalar_is_no_private_key() -> None:
    """Zero is not a P-384 private key."""
    with pytest.raises(MalformedError, match="not a private key"):
        hpke.public_key_of(hpke.MLKEM1024_P384, bytes(112))


def test_new_keys_draw_again_until_the_scalar_fits() -> None:
    """The first draw here is above the group's order, the second is not."""
    draws = [b"\xff" * 112, bytes(range(112))]
    key = hpke.new_private_key(hpke.MLKEM1024_P384, lambda buffer: buffer.__setitem__(slice(None), draws.pop(0)))
    assert key == bytes(range(112))
    assert not draws


def test_the_probe_passes_with_the_wheel() -> None:
    """The library in use seals and opens with every suite."""
    hpke.probe_suites(Seeded("probe"))


def lacks(_: bytes) -> PrivateKey:
    """A library built without ML-KEM."""
    raise UnsupportedAlgorithm("ML-KEM")


@pytest.mark.parametrize(
    "broken",
    [
        replace(hpke.MLKEM768_X25519, load_private=lacks),
        replace(hpke.MLKEM768_X25519, sealed_bytes=1),
    ],
)
def test_the_probe_refuses_a_library_that_cannot(broken: hpke.WrapSuite) -> None:
    """A missing or odd suite stops the start with a hint."""
    with pytest.raises(UnavailableError, match="the crypto library"):
        hpke.probe_suites(entropy, [broken])
