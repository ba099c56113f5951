"""Answers, fetches, pieces and audit entries: what goes to and fro, and what of it is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.errors import DocumentForgedError, MalformedError
from edge_scanner.core.log import bundle
from edge_scanner.core.log.errors import WrongDeviceError
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.model import ClockQuality
from edge_scanner.core.pull import answer as answers
from edge_scanner.core.pull.answer import Answer, AuditRecord, Extent, Fetch, Part, Piece

BOX = "K7MP2R9CX4"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
DIGEST = bytes(range(32))
ANSWER = Answer(
    device=BOX,
    authority="authority-hcm",
    case="HCM-1",
    request=DIGEST,
    at_s=7,
    audit_entries=2,
    audit_head=bytes(32),
    manifest_bytes=3,
    manifest_sha256=DIGEST,
    body_bytes=5,
)
RECORD = AuditRecord(
    action=AuditAction.ANSWER,
    at_s=9,
    device=BOX,
    request=DIGEST,
    people=("approver: B",),
    extent=Extent(
        made_s=1, quality=ClockQuality.NTP, audit_entries=1, audit_head="", tree_size=3, first=1, last=2, last_frames=7
    ),
)


def resigned(body: dict[str, Any]) -> bytes:
    """An answer's body signed as it is."""
    return signed.sign(body, label=answers.ANSWER_LABEL, keys=[KEY])


def test_an_answer_and_a_refusal_survive_the_journey() -> None:
    """Both are read as they were signed."""
    refusal = replace(ANSWER, code="too_wide", manifest_bytes=0, manifest_sha256=b"", body_bytes=0)
    for answer in (ANSWER, refusal):
        document = answers.sign_answer(answer, KEY)
        assert answers.read_answer(document, device=BOX, identity=KEY.public_key()) == answer


def test_an_answer_is_its_box_s() -> None:
    """Another key's signature and another box's name are told apart."""
    document = answers.sign_answer(ANSWER, KEY)

    with pytest.raises(DocumentForgedError):
        answers.read_answer(document, device=BOX, identity=Ed25519PrivateKey.generate().public_key())
    with pytest.raises(WrongDeviceError):
        answers.read_answer(document, device="7K3M9Q2X4T", identity=KEY.public_key())


@pytest.mark.parametrize("values", [{"format": "x"}, {"body": {"bytes": -1}}, {"request": "zz"}, {"at": "now"}])
def test_an_answer_that_breaks_the_format_is_malformed(values: dict[str, Any]) -> None:
    """Also when its box signed it."""
    body = json.loads(answers.sign_answer(ANSWER, KEY))["body"]

    with pytest.raises(MalformedError):
        answers.read_answer(resigned({**body, **values}), device=BOX, identity=KEY.public_key())


def test_a_fetch_survives_the_journey() -> None:
    """Every part, and no numbers at all."""
    for fetch in (
        Fetch(request=DIGEST, part=Part.BODY, numbers=(0, 7)),
        Fetch(request=DIGEST, part=Part.ANSWER, numbers=()),
    ):
        assert answers.parse_fetch(answers.pack_fetch(fetch)) == fetch


@pytest.mark.parametrize("document", [b"", b'{"request":{}}', b'{"fetch"', b'{"fetching":1}'])
def test_other_documents_are_no_fetch(document: bytes) -> None:
    """A request on the same topic is passed on; a torn fetch is malformed."""
    try:
        assert answers.parse_fetch(document) is None
    except MalformedError:
        assert document == b'{"fetch"'


@pytest.mark.parametrize(
    "values",
    [{"part": 3}, {"numbers": list(range(33))}, {"numbers": [-1]}, {"numbers": [True]}, {"request": "AB" * 32}],
)
def test_a_fetch_that_breaks_the_format_is_malformed(values: dict[str, Any]) -> None:
    """Numbers are bounded in count and size."""
    whole = {"fetch": {"request": DIGEST.hex(), "part": 2, "numbers": [1], **values}}

    with pytest.raises(MalformedError):
        answers.parse_fetch(signed.canonical(whole))


def test_a_piece_survives_the_journey_and_fits_a_packet() -> None:
    """48 KiB and its head stay below 64 KiB; pieces are a bundle's chunks."""
    piece = Piece(request=DIGEST, part=Part.BODY, number=9, data=bytes(answers.PIECE_BYTES))
    payload = answers.pack_piece(piece)

    assert answers.parse_piece(payload) == piece
    assert len(payload) < 64 * 1024 - 1024
    assert answers.PIECE_BYTES == bundle.CHUNK_BYTES


@pytest.mark.parametrize(
    "payload",
    [b"", b"ESP1", b"ESP2" + bytes(40), b"ESP1\x00" + bytes(36), b"ESP1\x02" + bytes(36 + answers.PIECE_BYTES + 1)],
)
def test_bytes_that_are_no_piece_are_malformed(payload: bytes) -> None:
    """Too short, too long, another magic, a part that has no pieces."""
    with pytest.raises(MalformedError):
        answers.parse_piece(payload)


def test_an_audit_entry_survives_the_journey() -> None:
    """With and without an extent."""
    for record in (RECORD, replace(RECORD, action=AuditAction.REFUSAL, code="expired", extent=None)):
        assert answers.parse_audit(answers.pack_audit(record)) == record


@pytest.mark.parametrize(
    "values", [{"format": "x"}, {"action": "guess"}, {"extent": {}}, {"extent": {"made": 1}}, {"device": "me"}]
)
def test_an_audit_entry_that_breaks_the_format_is_malformed(values: dict[str, Any]) -> None:
    """A trail that was written by something else is noticed."""
    whole = json.loads(answers.pack_audit(RECORD))

    with pytest.raises(MalformedError):
        answers.parse_audit(signed.canonical({**whole, **values}))


def test_an_export_is_named_by_what_it_holds_and_when() -> None:
    """The name stands in published trails, so it stays; another box, hour or time is another export."""
    name = answers.export_name(BOX, 3600, 7200, 9000)

    assert name == hashlib.sha256(f"export {BOX} 3600 7200 9000".encode()).digest()
    assert len({name, *(answers.export_name(BOX, *times) for times in ((0, 7200, 9000), (3600, 7200, 9001)))}) == 3


def test_an_extent_has_three_numbers() -> None:
    """First, last and frames."""
    whole = json.loads(answers.pack_audit(RECORD))
    whole["extent"]["segments"] = [1, 2]

    with pytest.raises(MalformedError, match="extent"):
        answers.parse_audit(signed.canonical(whole))


def test_topics_follow_the_convention() -> None:
    """A box hears below its own name and answers below its own name in an inbox."""
    assert answers.request_topic(BOX) == f"edge-scanner/v1/d/{BOX}/down/pull/req"
    assert answers.answer_topic("authority-hcm", BOX) == f"edge-scanner/v1/a/authority-hcm/in/{BOX}/answer"
    assert answers.piece_topic("authority-hcm", BOX) == f"edge-scanner/v1/a/authority-hcm/in/{BOX}/piece"
    assert answers.inbox("authority-hcm") == "edge-scanner/v1/a/authority-hcm/in/#"
