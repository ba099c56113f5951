"""The witness's cosignatures are C2SP's: held to those that witnesses in use have made."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_scanner.central.witness import cosignature
from edge_scanner.core.log.errors import CheckpointForgedError
from tests.support.c2sp import COSIGNATURE, VerifierKey, opened, vectors, verifier_key

COSIGNED = [
    (one["note"].encode(), name, witness)
    for one in vectors("checkpoints.json")["checkpoints"]
    for name, witness in one["witnesses"].items()
]
SIGSUM = vectors("sigsum-cosignatures.json")


@pytest.mark.parametrize(("note", "name", "witness"), COSIGNED)
def test_witnesses_in_use_are_believed(note: bytes, name: str, witness: dict[str, Any]) -> None:
    """Key hash, time and signature of the Armored Witness network, by our reader and by the specification's."""
    key = verifier_key(witness["key"], kind=COSIGNATURE)
    public = Ed25519PublicKey.from_public_bytes(key.raw)

    assert cosignature.check(note, name=name, key=public) == witness["time_s"] == opened(note, key)
    with pytest.raises(CheckpointForgedError):
        cosignature.check(note.replace(b"\n\n", b"\nmore\n\n", 1), name=name, key=public)


@pytest.mark.parametrize("name", sorted(SIGSUM["witnesses"]))
def test_sigsum_s_witnesses_are_believed(name: str) -> None:
    """The same statement without names: put into a note's line, it holds."""
    raw = bytes.fromhex(SIGSUM["witnesses"][name])
    log = hashlib.sha256(bytes.fromhex(SIGSUM["log_key"])).hexdigest()
    root = base64.b64encode(bytes.fromhex(SIGSUM["root"])).decode()
    text = f"sigsum.org/v1/tree/{log}\n{SIGSUM['size']}\n{root}\n"
    (given,) = [one for one in SIGSUM["cosignatures"] if one["key_hash"] == hashlib.sha256(raw).hexdigest()]
    hint = VerifierKey(name=name, kind=COSIGNATURE, raw=raw).hint
    blob = hint + given["time_s"].to_bytes(8) + bytes.fromhex(given["signature"])
    note = f"{text}\n\u2014 {name} {base64.b64encode(blob).decode()}\n".encode()

    assert cosignature.check(note, name=name, key=Ed25519PublicKey.from_public_bytes(raw)) == given["time_s"]
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(SIGSUM["log_key"])).verify(
        bytes.fromhex(SIGSUM["signature"]), text.encode()
    )


def test_our_cosignature_is_read_by_those_rules() -> None:
    """The published key and the line, by the reader that reads the others'."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    note = cosignature.cosign(b"log\n1\nAA==\n\n", 1_795_903_200, name="witness.example.vn/w1", key=key)
    published = verifier_key(cosignature.verifier_key("witness.example.vn/w1", key.public_key()))

    assert published.kind == COSIGNATURE
    assert opened(note, published) == 1_795_903_200
