"""The tree of leaves and its signed head."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import merkle
from edge_scanner.core.log.errors import CheckpointForgedError, ProofError
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


IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))


def test_checkpoint_names_the_log_by_its_origin_for_any_witness() -> None:
    """The identity key's line, checked as C2SP signed-note has it, with nothing of ours: name, key hash, Ed25519."""
    both = merkle.checkpoint("7K3M9Q2X4T", BOOT, KEY, merkle.tree_of(LEAVES[:3]), IDENTITY)

    text, _, lines = both.decode().partition("\n\n")
    dash, name, encoded = lines.splitlines()[1].split(" ")
    blob, raw = base64.b64decode(encoded), IDENTITY.public_key().public_bytes_raw()
    assert (dash, name) == ("\u2014", text.splitlines()[0])
    assert blob[:4] == hashlib.sha256(name.encode() + b"\n\x01" + raw).digest()[:4]
    IDENTITY.public_key().verify(blob[4:], (text + "\n").encode())
    merkle.check_checkpoint(merkle.parse_checkpoint(both), KEY.public_key())
    merkle.check_origin(both, IDENTITY.public_key())


@pytest.mark.parametrize("change", ["absent", "other key", "signature", "no base64", "no ASCII", "other text"])
def test_checkpoint_without_a_good_line_of_the_identity_is_forged(change: str) -> None:
    """Absent, another key's, broken, unreadable, or over another text."""
    tree = merkle.tree_of(LEAVES[:3])
    both = merkle.checkpoint("7K3M9Q2X4T", BOOT, KEY, tree, IDENTITY)
    head, last = both.rstrip(b"\n").rsplit(b" ", 1)
    broken = bytearray(base64.b64decode(last))
    broken[20] ^= 1
    bad = {
        "absent": merkle.checkpoint("7K3M9Q2X4T", BOOT, KEY, tree),
        "other key": merkle.checkpoint("7K3M9Q2X4T", BOOT, KEY, tree, KEY),
        "signature": head + b" " + base64.b64encode(broken) + b"\n",
        "no base64": head + b" ?\n",
        "no ASCII": head + " é\n".encode(),
        "other text": both.replace(b"\n3\n", b"\n4\n"),
    }[change]

    with pytest.raises(CheckpointForgedError):
        merkle.check_origin(bad, IDENTITY.public_key())


@pytest.mark.parametrize("index", range(7))
def test_tlog_proof_is_checked_by_hand(index: int) -> None:
    """Header, index, hashes, an empty line, the note: the hashes lead from the leaf to the note's root (RFC 9162)."""
    signed_note = note(7)
    head, _, rest = merkle.tlog_proof(LEAVES[:7], index, signed_note).partition(b"\n\n")
    first, number, *hashes = head.decode().split("\n")

    assert (first, number, rest) == ("c2sp.org/tlog-proof@v1", f"index {index}", signed_note)
    root = base64.b64decode(rest.split(b"\n")[2])
    merkle.check_inclusion(LEAVES[index], index, 7, [base64.b64decode(one) for one in hashes], root)


@pytest.mark.parametrize(("size", "index", "leaves"), [(7, 7, 7), (7, -1, 7), (7, 0, 6)])
def test_tlog_proof_of_other_leaves_is_refused(size: int, index: int, leaves: int) -> None:
    """Beyond the checkpoint, or of a log that is shorter."""
    with pytest.raises(ProofError):
        merkle.tlog_proof(LEAVES[:leaves], index, note(size))
    with pytest.raises(ProofError):
        merkle.tlog_proof([bytes(32), *LEAVES[1:7]], 0, note(7))


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


def test_a_writer_proves_extension_from_its_peaks() -> None:
    """The proof from the compact tree and new leaves is the one from all leaves, at every size."""
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(40)]

    for size in range(1, len(leaves) + 1):
        for old in range(1, size + 1):
            proof = merkle.extension_proof(merkle.tree_of(leaves[:old]), leaves[old:size])
            assert proof == merkle.consistency_proof(leaves[:size], old)

    assert merkle.extension_proof(merkle.EMPTY, leaves) == ()
