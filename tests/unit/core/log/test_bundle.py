"""The bundle: what an export writes and a pull delivers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core import signed
from edge_scanner.core.errors import DocumentForgedError, LogError, MalformedError
from edge_scanner.core.log import bundle, errors
from edge_scanner.core.model import ClockQuality
from tests.support import second_reader
from tests.support.sealed_logs import DEVICE, HOUR_S, Box, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.log.verifier import VerifiedSegment

BOX = Box().minutes(130).restart().minutes(3)
CONTEXT = bundle.Context(
    device=DEVICE,
    from_s=HOUR_S,
    to_s=HOUR_S + 7200,
    made_s=HOUR_S + 9000,
    quality=ClockQuality.NTP,
    request="ab" * 32,
    audit_entries=7,
    audit_head="cd" * 32,
)
IDENTITY = BOX.identity.public_key()


def made(first: int = 1, last: int = 3, box: Box = BOX) -> tuple[bytes, bytes]:
    """Manifest and body of some segments of the box."""
    writer = bundle.BundleWriter(CONTEXT, box.stored.digests())
    body = b"".join(writer.boot(boot) for boot in box.stored.boots)
    for row in box.stored.headers[first : last + 1]:
        body += writer.segment(row)
        body += b"".join(writer.frame(frame) for frame in box.stored.frames[row.seq])
    return writer.manifest(box.identity), body


MANIFEST, BODY = made()


def pieces(body: bytes, size: int = 1000) -> Iterator[bytes]:
    """The body in pieces."""
    return (body[start : start + size] for start in range(0, len(body), size))


def verified(manifest: bytes, body: bytes, **published: Any) -> list[VerifiedSegment]:
    """All segments of a bundle."""
    claim = bundle.read_manifest(manifest, device=DEVICE, identity=IDENTITY)
    return list(bundle.verify_bundle(claim, pieces(body), identity=IDENTITY, **published))


@pytest.mark.parametrize("published", ["links", "recipients"])
def test_a_bundle_that_contradicts_what_was_published_is_refused(published: str) -> None:
    """A link to another frame, or a recipient set that the segments do not name."""
    link = BOX.log.link()
    assert link is not None
    other: dict[str, Any] = {
        "links": [replace(link, digest=bytes(32))],
        "recipients": [replace(BOX.recipients, version=BOX.recipients.version + 1)],
    }
    with pytest.raises(LogError):
        verified(MANIFEST, BODY, **{published: other[published]})


def test_a_bundle_verifies_against_all_that_was_published() -> None:
    """Closed, unclean and open segments pass, with checkpoints, boot records, links and the recipient set."""
    link = BOX.log.link()
    found = verified(
        MANIFEST,
        BODY,
        checkpoints=BOX.checkpoints,
        boots=[boot.record for boot in BOX.stored.boots],
        links=[link],
        recipients=[BOX.recipients],
    )
    assert [(each.row.seq, each.unclean, len(each.frames)) for each in found] == [
        (1, False, 61),
        (2, True, 10),
        (3, None, 3),
    ]
    assert [each.row for each in found] == BOX.stored.headers[1:]


def test_the_second_reader_opens_the_same_bundle() -> None:
    """Everything an outsider needs is in it."""
    opened = second_reader.read_bundle(MANIFEST, BODY, IDENTITY.public_bytes_raw(), keys_of("authority", "custodian"))
    assert {seq: len(contents) for seq, contents in opened.items()} == {1: 61, 2: 10, 3: 3}
    assert opened[1][-1]["frames"] == 60
    assert [len(content["records"]) for content in opened[3]] == [3, 3, 3]


def test_the_same_rows_give_the_same_bytes() -> None:
    """A box answers chunk n of a pull again without remembering anything."""
    assert made() == (MANIFEST, BODY)


def test_the_manifest_keeps_its_context() -> None:
    """For whom, when, and where the audit trail stood."""
    claim = bundle.read_manifest(MANIFEST, device=DEVICE, identity=IDENTITY)
    assert claim.context == CONTEXT
    assert claim.segments == ((1, 61), (2, 10), (3, 3))
    assert claim.body_bytes == len(BODY)


def test_chunks_are_checked_one_by_one() -> None:
    """Every piece of 48 KiB has its hash; a swapped piece and a number outside do not pass."""
    claim = bundle.read_manifest(MANIFEST, device=DEVICE, identity=IDENTITY)
    chunks = list(pieces(BODY, bundle.CHUNK_BYTES))
    assert len(chunks) == len(claim.chunks) > 2
    for index, chunk in enumerate(chunks):
        bundle.check_chunk(claim, index, chunk)
    for index, chunk in ((0, chunks[1]), (-1, chunks[-1]), (len(chunks), b"")):
        with pytest.raises(errors.BodyAlteredError):
            bundle.check_chunk(claim, index, chunk)


def test_an_empty_range_is_a_bundle_too() -> None:
    """No segment in the range: the tree's head still is signed."""
    writer = bundle.BundleWriter(CONTEXT, BOX.stored.digests())
    manifest = writer.manifest(BOX.identity)
    assert verified(manifest, b"") == []
    claim = bundle.read_manifest(manifest, device=DEVICE, identity=IDENTITY)
    assert (claim.before.size, claim.leaves, claim.chunks) == (3, (), ())


def test_another_boxs_bundle_is_told_apart() -> None:
    """By its signature, and by its device where the same key should have signed."""
    other = Box(device="0000000001").minutes(1)
    manifest, _ = made(0, 0, other)
    with pytest.raises(DocumentForgedError):
        bundle.read_manifest(manifest, device=DEVICE, identity=IDENTITY)
    with pytest.raises(errors.WrongDeviceError):
        bundle.read_manifest(manifest, device="0000000001", identity=other.identity.public_key())


@pytest.mark.parametrize(
    "body",
    [
        BODY[:-1],
        BODY + b"\0",
        BODY[:-4041] + BODY[-4040:] + b"\0",
        b"X" + BODY[1:],
        BODY[:1] + b"\xff" + BODY[2:],
        BODY[190:],
        b"",
        BODY[:-1] + bytes([BODY[-1] ^ 1]),
    ],
)
def test_a_body_that_is_not_the_manifests_is_refused(body: bytes) -> None:
    """Cut, lengthened, shifted, of unknown rows, without its boot records, with a bit flipped."""
    with pytest.raises(LogError):
        verified(MANIFEST, body)


def edited(**change: Any) -> bytes:
    """The manifest changed and signed again by the box."""
    body = json.loads(MANIFEST)["body"]
    for name, value in change.items():
        body[name] = {**body[name], **value} if isinstance(value, dict) else value
    return signed.sign(body, label=bundle.LABEL, keys=[BOX.identity])


@pytest.mark.parametrize(
    "change",
    [
        {"format": "x"},
        {"device": "x"},
        {"clock_quality": 9},
        {"audit": {"entries": "x"}},
        {"segments": [[1]]},
        {"segments": [1]},
        {"segments": [[1, -1]]},
        {"segments": [[1, True]]},
        {"segments": [[1, 602]]},
        {"request": "\x1b[31m"},
        {"audit": {"head": "ab"}},
        {"tree": {"first": -1}},
        {"tree": {"peaks": []}},
        {"tree": {"leaves": ["zz"]}},
        {"tree": {"leaves": [7]}},
        {"tree": {"leaves": ["00"]}},
        {"body": {"bytes": -1}},
        {"body": {"bytes": bundle.MAX_BODY_BYTES + 1}},
        {"body": {"chunks": []}},
    ],
)
def test_a_manifest_that_makes_no_sense_is_malformed_even_when_signed(change: dict[str, Any]) -> None:
    """The authority does not trust the box to be careful."""
    with pytest.raises(MalformedError):
        bundle.read_manifest(edited(**change), device=DEVICE, identity=IDENTITY)


@pytest.mark.parametrize(
    "segments",
    [[[1, 61], [2, 10]], [[1, 61], [2, 10], [3, 3], [4, 0]], [[1, 62], [2, 10], [3, 3]], [[1, 60], [2, 10], [3, 3]]],
)
def test_a_body_that_does_not_follow_the_manifests_segments_is_refused(segments: list[list[int]]) -> None:
    """Rows left over, a segment or a frame too few, a frame too many."""
    with pytest.raises((errors.BodyAlteredError, errors.SegmentAlteredError)):
        verified(edited(segments=segments), BODY)


def test_a_box_that_signs_a_broken_row_at_the_end_is_caught() -> None:
    """Length and hash agree, and yet the body does not end with a row."""
    body = BODY + b"F\0\0"
    chunks = [hashlib.sha256(piece).hexdigest() for piece in pieces(body, bundle.CHUNK_BYTES)]
    claim = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "chunks": chunks}
    with pytest.raises(errors.BodyAlteredError):
        verified(edited(body=claim), body)


@given(st.binary(max_size=400), st.integers(1, 64))
def test_arbitrary_bodies_raise_only_named_errors(body: bytes, size: int) -> None:
    """Whatever a stick holds."""
    claim = bundle.read_manifest(MANIFEST, device=DEVICE, identity=IDENTITY)
    with pytest.raises(LogError):
        list(bundle.verify_bundle(claim, pieces(body, size), identity=IDENTITY))


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_body_is_found(position: int, change: int) -> None:
    """One byte anywhere, and the bundle does not pass."""
    body = BODY[:position] + bytes([BODY[position] ^ change]) + BODY[position + 1 :]
    with pytest.raises(LogError):
        verified(MANIFEST, body)


def test_boot_records_are_read_without_the_rest() -> None:
    """The runs whose statements can be checked, from the body's beginning; a body of nothing else, too."""
    claim = bundle.read_manifest(MANIFEST, device=DEVICE, identity=IDENTITY)
    records = [boot.record for boot in BOX.stored.boots]
    writer = bundle.BundleWriter(CONTEXT, ())
    alone = b"".join(writer.boot(boot) for boot in BOX.stored.boots)
    only = bundle.read_manifest(writer.manifest(BOX.identity), device=DEVICE, identity=IDENTITY)

    assert bundle.boot_records(claim, pieces(BODY)) == records
    assert bundle.boot_records(only, pieces(alone)) == records
