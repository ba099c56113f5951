"""Whose word makes a recipient set: at least two parties, each with keys of its own."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import roots

CLASSICAL = [Ed25519PrivateKey.from_private_bytes(hashlib.sha256(bytes([n])).digest()) for n in range(9)]
POST_QUANTUM = [MLDSA65PrivateKey.from_seed_bytes(hashlib.sha256(bytes([n])).digest()) for n in range(2)]


def pem(*keys: Ed25519PrivateKey | MLDSA65PrivateKey) -> bytes:
    """The public parts in one file."""
    return b"".join(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        for key in keys
    )


def test_parties_are_told_apart_by_their_ed25519_keys() -> None:
    """One authority, two custodians, one of them with a post-quantum key: three parties, four keys, in any order."""
    found = roots.read(pem(CLASSICAL[0]), pem(CLASSICAL[1], POST_QUANTUM[0], CLASSICAL[2]))

    assert roots.read(pem(CLASSICAL[0]), pem(CLASSICAL[2], CLASSICAL[1], POST_QUANTUM[0])) == found
    assert sorted(len(party) for party in found.parties) == [1, 1, 2]
    assert list(found.names[1:]) == sorted(found.names[1:])
    assert found.authority == (CLASSICAL[0].public_key(),)
    assert len(found.keys) == 4
    assert found.names[0] == hashlib.sha256(CLASSICAL[0].public_key().public_bytes_raw()).hexdigest()[:16]
    assert len(set(found.names)) == 3


@pytest.mark.parametrize(
    ("authority", "custodian"),
    [
        (pem(CLASSICAL[0]), b""),
        (b"", pem(CLASSICAL[0])),
        (pem(CLASSICAL[0]), pem(CLASSICAL[0])),
        (pem(CLASSICAL[0], POST_QUANTUM[0]), pem(CLASSICAL[1], POST_QUANTUM[0])),
        (pem(CLASSICAL[0], CLASSICAL[1]), pem(CLASSICAL[2])),
        (pem(CLASSICAL[0]), pem(POST_QUANTUM[0])),
        (pem(CLASSICAL[0]), pem(CLASSICAL[1], POST_QUANTUM[0], POST_QUANTUM[1])),
        (pem(CLASSICAL[0]), pem(*CLASSICAL[1:9])),
    ],
)
def test_what_takes_two_is_not_one(authority: bytes, custodian: bytes) -> None:
    """No custodian, one key for both, two authorities, keys without their party, a committee: refused."""
    with pytest.raises(MalformedError):
        roots.read(authority, custodian)


def test_the_most_parties_there_may_be() -> None:
    """Eight."""
    assert len(roots.read(pem(CLASSICAL[0]), pem(*CLASSICAL[1:8])).parties) == roots.MAX_PARTIES
