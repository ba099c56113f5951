"""The tree of leaves and its signed head."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.log import merkle
from edge_scanner.core.log.errors import CheckpointForgedError, MalformedError, ProofError
from tests.support import second_reader

DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
LEAVES = [hashlib.sha256(b"\0" + bytes.fromhex(data)).digest() for data in DATA]
# The Merkle tree test vectors of the Certificate Transparency reference implementation, for 1 to 8 leaves.
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BOOT = bytes(range(8))


def test_roots_are_those_of_certificate_transparency() -> None:
    """The compact tree gives the published roots for every size."""
    assert merkle.EMPTY.root == hashlib.sha256(b"").digest()
    for size, root in enumerate(ROOTS, 1):
        assert merkle.tree_of(LEAVES[:size]).root.hex() == root


@given(st.integers(1, 70))
def test_root_agrees_with_the_recursive_definition(size: int) -> None:
    """Any size gives the root that RFC 9162 defines, and no more peaks than bits."""
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(size)]
    tree = merkle.tree_of(leaves)
    assert tree.root == second_reader.root(leaves)
    assert len(tree.peaks) == size.bit_count()


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_inclusion_proof_leads_to_the_root(case: tuple[int, int]) -> None:
    """Every leaf of every tree proves its place, and proves no other leaf's."""
    size, index = case
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(size)]
    root = merkle.tree_of(leaves).root
    proof = merkle.inclusion_proof(leaves, index)
    merkle.check_inclusion(leaves[index], index, size, proof, root)
    with pytest.raises(ProofError):
        merkle.check_inclusion(b"\0" * 32, index, size, proof, root)
    with pytest.raises(ProofError):
        merkle.check_inclusion(leaves[index], index, size, (*proof, b"\0" * 32), root)


def test_inclusion_needs_a_leaf_inside_and_a_whole_proof() -> None:
    """A place outside the tree and a short proof are refused."""
    root = merkle.tree_of(LEAVES).root
    with pytest.raises(ProofError, match="outside"):
        merkle.check_inclusion(LEAVES[0], 8, 8, (), root)
    with pytest.raises(ProofError, match="too short"):
        merkle.check_inclusion(LEAVES[0], 0, 8, merkle.inclusion_proof(LEAVES, 0)[:2], root)


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size))))
def test_consistency_proof_shows_growth_only(case: tuple[int, int]) -> None:
    """Every earlier tree is proven a part of the later one; another earlier root is not."""
    size, old_size = case
    leaves = [hashlib.sha256(bytes([n])).digest() for n in range(size)]
    old, new = merkle.tree_of(leaves[:old_size]).root, merkle.tree_of(leaves).root
    proof = merkle.consistency_proof(leaves, old_size)
    merkle.check_consistency(old_size, old, size, new, proof)
    for forged in (
        (old_size, b"\1" * 32, size, new, proof),
        (old_size, old, size, b"\1" * 32, proof),
        (old_size, old, size, new, (*proof, b"\0" * 32)),
        (size + 1, old, size, new, proof),
    ):
        with pytest.raises(ProofError):
            merkle.check_consistency(*forged)
    if proof:
        with pytest.raises(ProofError):
            merkle.check_consistency(old_size, old, size, new, proof[1:])


def note(size: int = 3) -> bytes:
    """A checkpoint over the first leaves."""
    return merkle.checkpoint("7K3M9Q2X4T", BOOT, KEY, merkle.tree_of(LEAVES[:size]))


def test_checkpoint_says_size_and_root_and_who_signed() -> None:
    """A note gives back what went in, its signature holds, and the second reader agrees."""
    head = merkle.parse_checkpoint(note())
    merkle.check_checkpoint(head, KEY.public_key())
    assert (head.device, head.boot_id, head.size, head.root.hex()) == ("7K3M9Q2X4T", BOOT, 3, ROOTS[2])
    read = second_reader.read_checkpoint(note(), KEY.public_key().public_bytes_raw())
    assert read == ("7K3M9Q2X4T", 3, bytes.fromhex(ROOTS[2]))


def test_checkpoint_passes_over_a_witness() -> None:
    """A witness's line before ours does no harm."""
    text, _, ours = note().decode().partition("\n\n")
    blob = base64.b64encode(bytes(76)).decode()
    head = merkle.parse_checkpoint(f"{text}\n\n\u2014 witness.example/w1 {blob}\n{ours}".encode())
    merkle.check_checkpoint(head, KEY.public_key())


def test_checkpoint_by_another_key_is_forged() -> None:
    """Another key, another size and a broken signature are all refused."""
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(CheckpointForgedError):
        merkle.check_checkpoint(merkle.parse_checkpoint(note()), other.public_key())
    edited = merkle.parse_checkpoint(note().replace(b"\n3\n", b"\n4\n"))
    with pytest.raises(CheckpointForgedError):
        merkle.check_checkpoint(edited, KEY.public_key())


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff",
        note() + bytes(5000),
        note().replace(b"\n\n", b"\n"),
        note().replace(b"\n3\n", b"\n03\n"),
        note().replace(b"\n3\n", b"\n-3\n"),
        note().replace(b"\n3\n", b"\nthree\n"),
        note().replace(b"edge-scanner/", b"elsewhere/"),
        note().replace("\u2014".encode(), b"-"),
        note().replace(BOOT.hex().encode(), b"xyz"),
        b"edge-scanner/7K3M9Q2X4T\n3\nAAAA\n\n" + note().partition(b"\n\n")[2],
    ],
)
def test_checkpoint_of_another_shape_is_malformed(bad: bytes) -> None:
    """Bytes that are no checkpoint raise the named error."""
    with pytest.raises(MalformedError):
        merkle.parse_checkpoint(bad)
