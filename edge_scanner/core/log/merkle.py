"""The tamper-evident order of segments: a Merkle tree over leaves and its signed head.

Tree and proofs: RFC 9162 section 2.1 (leaf i is segment i; a leaf digest is SHA-256(0x00 ‖ leaf record), a node is
SHA-256(0x01 ‖ left ‖ right)). The writer needs only the compact `Tree`: the roots of its perfect subtrees, at most 64
hashes. Checkpoint: C2SP tlog-checkpoint in a C2SP signed note, made by the boot key, whose name ends in the boot id so
that a verifier finds the boot record that vouches for it. Published over MQTT it is what makes a cut tail visible:
nothing on the box itself can. A tree beat a plain hash chain because an authority may see only the hours asked for.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature

from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log.errors import CheckpointForgedError, ProofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HASH_BYTES = 32

MAX_NOTE_BYTES = 4096
"""Ours have about 370 bytes; witnesses may add signatures."""

# RFC 9162 sizes are 64-bit.
_MAX_SIZE = 1 << 63
# C2SP signed-note: the type byte of an Ed25519 key.
_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4
_DASH = "\u2014"


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree's size and the roots of its perfect subtrees, widest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Tree:
        """The tree with one more 32-byte leaf digest."""
        peaks, digest, size = list(self.peaks), leaf, self.size
        while size & 1:
            digest = node(peaks.pop(), digest)
            size >>= 1
        return Tree(self.size + 1, (*peaks, digest))

    @property
    def root(self) -> bytes:
        """The tree head, 32 bytes; SHA-256 of nothing for the empty tree."""
        if not self.peaks:
            return hashlib.sha256(b"").digest()
        digest = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            digest = node(peak, digest)
        return digest


EMPTY = Tree()


def tree_of(leaves: Sequence[bytes]) -> Tree:
    """The tree over leaf digests in order."""
    tree = Tree()
    for leaf in leaves:
        tree = tree.append(leaf)
    return tree


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes that lead from leaf `index` to the root of `leaves` (RFC 9162 2.1.3.1)."""
    if len(leaves) == 1:
        return ()
    middle = _split(len(leaves))
    if index < middle:
        return (*inclusion_proof(leaves[:middle], index), tree_of(leaves[middle:]).root)
    return (*inclusion_proof(leaves[middle:], index - middle), tree_of(leaves[:middle]).root)


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless `leaf` is number `index` of the tree of `size` leaves with this `root`."""
    where = f"leaf {index} in tree of {size}"
    if not 0 <= index < size < _MAX_SIZE:
        raise ProofError("the leaf lies outside the tree", where=where)
    steps = list(proof)
    digest = _climb(leaf, index, size, steps)
    if steps or digest != root:
        raise ProofError("the inclusion proof does not lead to the root", where=where)


def _climb(leaf: bytes, index: int, size: int, steps: list[bytes]) -> bytes:
    """The root of `size` leaves; takes the proof's steps from the outermost inwards."""
    if size == 1:
        return leaf
    middle, step = _split(size), _outermost(steps)
    if index < middle:
        return node(_climb(leaf, index, middle, steps), step)
    return node(step, _climb(leaf, index - middle, size - middle, steps))


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> tuple[bytes, ...]:
    """The hashes that show the first `old_size` (1..n) of `leaves` to be unchanged (RFC 9162 2.1.4.1)."""
    return _subproof(leaves, old_size, whole=True)


def extension_proof(old: Tree, added: Sequence[bytes]) -> tuple[bytes, ...]:
    """`consistency_proof` from a tree's peaks and the leaves that came after it: what a writer has.

    Every hash of the proof is a peak of the old tree or the root of new leaves alone (RFC 9162 2.1.4: what is left of a
    split is a whole subtree). Empty for an old tree without leaves, which everything extends.
    """
    if not old.size or not added:
        return ()
    peaks, start = {}, 0
    for peak, width in zip(old.peaks, _widths(old.size), strict=True):
        peaks[start, start + width] = peak
        start += width

    def root(low: int, high: int) -> bytes:
        return peaks[low, high] if high <= old.size else tree_of(added[low - old.size : high - old.size]).root

    proof: list[bytes] = []
    low, high, whole = 0, old.size + len(added), True
    while old.size != high:
        middle = low + _split(high - low)
        if old.size <= middle:
            proof.append(root(middle, high))
            high = middle
        else:
            proof.append(root(low, middle))
            low, whole = middle, False
    return (*(() if whole else (root(low, high),)), *reversed(proof))


def _widths(size: int) -> list[int]:
    """The perfect subtrees of a tree, widest first."""
    return [1 << bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]


def _subproof(leaves: Sequence[bytes], old_size: int, *, whole: bool) -> tuple[bytes, ...]:
    if old_size == len(leaves):
        return () if whole else (tree_of(leaves).root,)
    middle = _split(len(leaves))
    if old_size <= middle:
        return (*_subproof(leaves[:middle], old_size, whole=whole), tree_of(leaves[middle:]).root)
    return (*_subproof(leaves[middle:], old_size - middle, whole=False), tree_of(leaves[:middle]).root)


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raise ProofError unless the tree (`new_size`, `new_root`) extends the tree (`old_size`, `old_root`)."""
    where = f"tree of {old_size} in tree of {new_size}"
    if not 0 < old_size <= new_size < _MAX_SIZE:
        raise ProofError("the sizes are out of order", where=where)
    steps = list(proof)
    roots = _climb_both(old_size, new_size, steps, old_root)
    if steps or roots != (old_root, new_root):
        raise ProofError("the consistency proof does not lead to both roots", where=where)


def _climb_both(old_size: int, size: int, steps: list[bytes], known: bytes | None) -> tuple[bytes, bytes]:
    """Both roots; `known` is the old root as long as the old tree is a whole left part of the new one."""
    if old_size == size:
        root = known or _outermost(steps)
        return root, root
    middle, step = _split(size), _outermost(steps)
    if old_size <= middle:
        old, new = _climb_both(old_size, middle, steps, known)
        return old, node(new, step)
    old, new = _climb_both(old_size - middle, size - middle, steps, None)
    return node(step, old), node(step, new)


def _outermost(steps: list[bytes]) -> bytes:
    if not steps:
        raise ProofError("the proof is too short", where="tree")
    return steps.pop()


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree head as a note states it; `boot_id` (8 bytes) names the key that must have signed it."""

    device: str
    boot_id: bytes
    size: int
    root: bytes
    text: bytes
    signature: bytes


def checkpoint(
    device: str, boot_id: bytes, key: Ed25519PrivateKey, tree: Tree, identity: Ed25519PrivateKey | None = None
) -> bytes:
    """The signed note of a tree head: origin, size, root, an empty line, signature lines.

    The boot key's line comes first. The identity key's has the origin as its key name, as C2SP's witnesses expect of a
    log (tlog-witness), and needs no boot record.
    """
    text = f"{_origin(device)}\n{tree.size}\n{base64.b64encode(tree.root).decode()}\n"
    lines = [_signature_line(_key_name(device, boot_id), key, text)]
    if identity is not None:
        lines.append(_signature_line(_origin(device), identity, text))
    return f"{text}\n{''.join(lines)}".encode()


def check_origin(note: bytes, identity: Ed25519PublicKey) -> None:
    """Raise CheckpointForgedError unless the note carries the identity key's line under the origin's name."""
    head = parse_checkpoint(note)
    name = _origin(head.device)
    expected = _key_hash(name, identity)
    for line in note.decode().partition("\n\n")[2].splitlines():
        if line.startswith(f"{_DASH} {name} "):
            try:
                blob = base64.b64decode(line.rpartition(" ")[2], validate=True)
                if blob[:_KEY_HASH_BYTES] == expected:
                    identity.verify(blob[_KEY_HASH_BYTES:], head.text)
                    return
            except (InvalidSignature, ValueError):  # also what is no base64, or no ASCII
                break
    raise CheckpointForgedError("no valid signature of the identity key", where=f"checkpoint of size {head.size}")


def tlog_proof(leaves: Sequence[bytes], index: int, note: bytes) -> bytes:
    """A C2SP tlog-proof: leaf `index` is in the tree of the checkpoint `note`, for anybody's tools.

    Raises ProofError when the note is not of these leaves.
    """
    head = parse_checkpoint(note)
    where = f"leaf {index} in tree of {head.size}"
    if not 0 <= index < head.size <= len(leaves) or tree_of(leaves[: head.size]).root != head.root:
        raise ProofError("the checkpoint is not of these leaves", where=where)
    hashes = inclusion_proof(leaves[: head.size], index)
    # RFC 9162 lists the hashes from the leaf upwards, as here.
    lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in hashes)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{lines}\n".encode() + note


def parse_checkpoint(note: bytes) -> Checkpoint:
    """What a note claims, with nothing verified; lines by unknown keys (witnesses) are passed over.

    Raises MalformedError.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise MalformedError(f"longer than {MAX_NOTE_BYTES} bytes", where="checkpoint")
    try:
        text, _, signatures = note.decode().partition("\n\n")
        origin, size, root, *_ = text.split("\n")
        project, device = origin.split("/")
        prefix = f"{_DASH} {project}/{device}/"
        line = next(line for line in signatures.splitlines() if line.startswith(prefix))
        boot, blob = line.removeprefix(prefix).split(" ")
        head = Checkpoint(
            device=device,
            boot_id=bytes.fromhex(boot),
            size=int(size),
            root=base64.b64decode(root, validate=True),
            text=text.encode() + b"\n",
            signature=base64.b64decode(blob, validate=True),
        )
    except (ValueError, StopIteration) as error:
        raise MalformedError("not a signed checkpoint", where="checkpoint") from error
    if origin != _origin(device) or str(head.size) != size or len(head.root) != HASH_BYTES or head.size < 0:
        raise MalformedError("not a checkpoint of this format", where="checkpoint")
    return head


def check_checkpoint(head: Checkpoint, key: Ed25519PublicKey) -> None:
    """Raise CheckpointForgedError unless the boot key `key` signed the note."""
    expected = _key_hash(_key_name(head.device, head.boot_id), key)
    try:
        if head.signature[:_KEY_HASH_BYTES] == expected:
            key.verify(head.signature[_KEY_HASH_BYTES:], head.text)
            return
    except InvalidSignature:
        pass
    raise CheckpointForgedError("no valid signature of the boot key", where=f"checkpoint of size {head.size}")


def _signature_line(name: str, key: Ed25519PrivateKey, text: str) -> str:
    blob = _key_hash(name, key.public_key()) + key.sign(text.encode())
    return f"{_DASH} {name} {base64.b64encode(blob).decode()}\n"


def _origin(device: str) -> str:
    return f"edge-scanner/{device}"


def _key_name(device: str, boot_id: bytes) -> str:
    return f"{_origin(device)}/{boot_id.hex()}"


def _key_hash(name: str, key: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.public_bytes_raw()).digest()[:_KEY_HASH_BYTES]
