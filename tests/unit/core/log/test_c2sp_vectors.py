"""Our notes, checkpoints and proofs are C2SP's: held to vectors of other implementations, byte for byte."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_scanner.core.log import merkle
from edge_scanner.core.log.errors import ProofError
from tests.support.c2sp import VerifierKey, opened, proof_text, vectors, verifier_key

NOTES = vectors("signed-note.json")
CHECKPOINTS = vectors("checkpoints.json")["checkpoints"]
POSTS = vectors("consistency.json")
DEVICE, BOOT = "K7MP2R9CX4", bytes(range(8))
LEAVES = [bytes([number]) * 32 for number in range(7)]


@pytest.mark.parametrize("file", ["signed-note.json", "checkpoints.json", "consistency.json", "tlog-proof.json"])
def test_every_file_names_its_source(file: str) -> None:
    """Repository, commit and file."""
    assert any(len(word.strip(",:")) == 40 for word in vectors(file)["source"].split())


@pytest.mark.parametrize("given", NOTES["notes"])
def test_signature_lines_are_those_of_the_go_project(given: dict[str, Any]) -> None:
    """The same key, name and text give the same line, and the same key hash."""
    note = given["note"]
    text = note.rpartition("\n\n")[0] + "\n"
    for number, key in enumerate(map(verifier_key, given["keys"])):
        blob = base64.b64decode(NOTES["signers"][key.name])
        private = Ed25519PrivateKey.from_private_bytes(blob[1:])
        assert opened(note.encode(), key) == 0
        assert merkle._key_hash(key.name, Ed25519PublicKey.from_public_bytes(key.raw)) == key.hint
        assert merkle._signature_line(key.name, private, text) == note.splitlines(keepends=True)[3 + number]
    assert opened(note.replace("problem", "Problem").encode(), verifier_key(given["keys"][0])) is None


@pytest.mark.parametrize("given", [one for one in CHECKPOINTS if one["log"]])
def test_logs_in_use_are_read_by_the_same_rules(given: dict[str, Any]) -> None:
    """The key hash and the signed text of heads that the Go and Armored Witness logs published."""
    key = verifier_key(given["log"])

    assert merkle._key_hash(key.name, Ed25519PublicKey.from_public_bytes(key.raw)) == key.hint
    assert opened(given["note"].encode(), key) == 0
    assert opened(given["note"].replace("\n5", "\n6").replace("\n3", "\n4").encode(), key) is None


def test_our_checkpoint_is_read_by_those_rules() -> None:
    """Origin, size, root, an empty line, the boot key's line and the identity key's under the origin's name."""
    boot, identity = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
    tree = merkle.tree_of(LEAVES)
    note = merkle.checkpoint(DEVICE, BOOT, boot, tree, identity)
    origin = f"edge-scanner/{DEVICE}"

    for name, key in ((origin, identity), (f"{origin}/{BOOT.hex()}", boot)):
        raw = key.public_key().public_bytes_raw()
        assert opened(note, VerifierKey(name=name, kind=1, raw=raw)) == 0
        assert opened(note, VerifierKey(name=f"{name}x", kind=1, raw=raw)) is None
    assert note.decode().splitlines()[:4] == [origin, "7", base64.b64encode(tree.root).decode(), ""]


def head(note: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint."""
    _, size, root, *_ = note.splitlines()
    return int(size), base64.b64decode(root)


def test_consistency_proofs_of_a_witness_s_tests() -> None:
    """What that witness takes we take; a proof that it answers with 422, we refuse."""
    log = bytes.fromhex(POSTS["log_key"])
    heads: dict[int, bytes] = {}
    refused = 0
    for post in POSTS["posts"]:
        size, root = head(post["note"])
        proof = [base64.b64decode(one) for one in post["proof"]]
        key = VerifierKey(name=post["note"].partition("\n")[0], kind=1, raw=log)
        if post["http"] == 200:
            assert opened(post["note"].encode(), key) == 0
            if post["old"]:
                merkle.check_consistency(post["old"], heads[post["old"]], size, root, proof)
            heads[size] = root
        elif post["http"] == 422:
            with pytest.raises(ProofError):
                merkle.check_consistency(post["old"], heads[post["old"]], size, root, proof)
            refused += 1

    assert sorted(heads) == [1, 3, 5]
    assert refused == 2
    assert f"sigsum.org/v1/tree/{hashlib.sha256(log).hexdigest()}" == POSTS["posts"][0]["note"].partition("\n")[0]


@pytest.mark.parametrize("given", vectors("tlog-proof.json")["proofs"])
def test_a_tlog_proof_is_written_as_others_write_it(given: dict[str, Any]) -> None:
    """Header, index, hashes from the leaf upwards, an empty line, the checkpoint as it is."""
    assert proof_text(given["index"], given["hashes"], given["checkpoint"]) == given["text"]


@pytest.mark.parametrize("index", range(len(LEAVES)))
def test_our_tlog_proof_is_that_text(index: int) -> None:
    """With the hashes of an inclusion proof of each leaf."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    note = merkle.checkpoint(DEVICE, BOOT, key, merkle.tree_of(LEAVES), key)
    hashes = [base64.b64encode(one).decode() for one in merkle.inclusion_proof(LEAVES, index)]

    assert merkle.tlog_proof(LEAVES, index, note).decode() == proof_text(index, hashes, note.decode())
