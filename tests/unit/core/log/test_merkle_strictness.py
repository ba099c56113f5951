"""One statement, one spelling: a checkpoint or a release that was written otherwise is not taken for ours."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.counts import release
from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import merkle
from edge_scanner.core.log.errors import CheckpointForgedError
from edge_scanner.core.model import Report

DEVICE = "K7MP2R9CX4"
BOOT_ID = bytes(range(8))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def note(tree: merkle.Tree) -> bytes:
    """A signed tree head."""
    return merkle.checkpoint(DEVICE, BOOT_ID, KEY, tree)


ONE = note(merkle.tree_of([bytes(32)]))


def test_a_note_may_be_as_long_as_the_limit() -> None:
    """Witnesses' lines fill it up to the last byte; one more is refused."""
    room = merkle.MAX_NOTE_BYTES - len(ONE)
    full = ONE + b"w" * (room - 1) + b"\n"

    assert merkle.parse_checkpoint(full).size == 1
    with pytest.raises(MalformedError):
        merkle.parse_checkpoint(full + b"\n")


def test_the_empty_tree_has_a_checkpoint() -> None:
    """A box that finished no segment may say so."""
    head = merkle.parse_checkpoint(note(merkle.EMPTY))

    merkle.check_checkpoint(head, KEY.public_key())
    assert head.size == 0


def test_what_is_signed_ends_at_the_first_empty_line() -> None:
    """Empty lines among the witnesses' lines move nothing into the signed text."""
    head = merkle.parse_checkpoint(ONE + b"\nnobody\n\nnobody else\n")

    merkle.check_checkpoint(head, KEY.public_key())
    with pytest.raises(CheckpointForgedError):
        merkle.check_checkpoint(merkle.parse_checkpoint(ONE.replace(b"\n\n", b"\nmore\n\n", 1)), KEY.public_key())


@pytest.mark.parametrize("separator", [b"\t", b"  ", b"\x0b"])
def test_no_other_white_space_separates(separator: bytes) -> None:
    """Neither between lines nor between a key's name and its signature."""
    head, _, line = ONE.partition(b"\n\n")
    with pytest.raises(MalformedError):
        merkle.parse_checkpoint(head.replace(b"\n", separator) + b"\n\n" + line)
    begin, _, blob = line.rpartition(b" ")
    with pytest.raises(MalformedError):
        merkle.parse_checkpoint(head + b"\n\n" + begin + separator + blob)


@pytest.mark.parametrize("place", ["root", "signature"])
def test_base64_has_no_foreign_characters(place: str) -> None:
    """A lenient decoder would read the same bytes out of many spellings."""
    head, _, line = ONE.partition(b"\n\n")
    if place == "root":
        head = head[:-2] + b"*" + head[-2:]
        assert base64.b64decode(head.rpartition(b"\n")[2]) == merkle.tree_of([bytes(32)]).root
    else:
        line = line[:-3] + b"*" + line[-3:]
    with pytest.raises(MalformedError):
        merkle.parse_checkpoint(head + b"\n\n" + line)


def test_a_release_has_one_spelling() -> None:
    """Sorted keys and no spaces: a bin that is stored again is the same row, byte for byte."""
    report = Report(
        ledger="broker",
        bin_start_s=1_764_028_800,
        bin_s=3600,
        minutes_covered=60,
        epsilon=0.25,
        scale=264.0,
        figures={"gaen": 2, "bluezone": 1},
    )
    body = release.to_release(report).body

    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    assert release.from_release(release.to_release(report)) == report
