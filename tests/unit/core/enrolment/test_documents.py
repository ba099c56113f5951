"""The documents of installation day: whole, signed by the right key, for the right box."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import (
    Assignment,
    BoxList,
    CertificateAnswer,
    CertificateRequest,
    Manifest,
    Moment,
    Place,
    Request,
    SoftwareFile,
    StepReport,
    StepResult,
)
from edge_scanner.core.errors import DocumentForgedError, MalformedError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
IDENTITY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
PLACE = Place(site="ben-xe", room="Cửa 3", name_vi="Bến xe", name_en="Bus station")
MANIFEST = Manifest(
    fleet="thu",
    batch="B-014",
    not_before_s=1,
    not_after_s=2,
    ids=("04HMASW9Z6",),
    places=(PLACE,),
    bench_key=IDENTITY,
    batch_ca="pem",
    broker_ca="pem",
    broker_host="mqtt.example",
    broker_port=8883,
    enrol_host="mqtt.example",
    enrol_port=8884,
    authority_root="pem",
    custodian_root="pem",
    recipients="{}",
    software_version="0.1.0",
    software=(SoftwareFile(name="a.deb", sha256="00"),),
)
ASSIGNMENT = Assignment(
    batch="B-014",
    device_id="04HMASW9Z6",
    identity=IDENTITY,
    certificate="pem",
    site="ben-xe",
    room="",
    name_vi="",
    name_en="",
    issued_s=3,
)
REQUEST = Request(serial="1000", device_id="", identity=IDENTITY, csr="pem", proof="", software_version="0.1.0")
REPORT = StepReport(
    serial="1000",
    device_id="04HMASW9Z6",
    identity=IDENTITY,
    steps=(StepResult(name="clock", verdict="PASS", code="", detail="0.2 s"),),
)


@pytest.mark.parametrize(
    "document",
    [
        MANIFEST,
        ASSIGNMENT,
        REQUEST,
        REPORT,
        Moment(nonce="n", utc_ms=5),
        BoxList(fleet="thu", made_s=1, sha256="00" * 32),
    ],
    ids=repr,
)
def test_a_document_comes_back_as_it_was_signed(document: Any) -> None:
    """Every field survives, under the key that signed it and no other."""
    text = documents.sign(document, KEY)

    assert documents.verify(type(document), text, KEY.public_key()) == document
    with pytest.raises(DocumentForgedError):
        documents.verify(type(document), text, OTHER.public_key())


def test_a_document_of_one_kind_is_none_of_another() -> None:
    """A report's signature does not make a request, although both are signed by the box."""
    body = json.loads(documents.sign(REPORT, KEY))
    body["body"] |= dataclasses.asdict(REQUEST)

    with pytest.raises(DocumentForgedError):
        documents.verify_own(Request, signed.canonical(body))


def test_a_box_signs_for_itself() -> None:
    """A request counts only under the key that it names."""
    assert documents.verify_own(Request, documents.sign(REQUEST, KEY)) == REQUEST
    with pytest.raises(DocumentForgedError):
        documents.verify_own(Request, documents.sign(REQUEST, OTHER))
    with pytest.raises(MalformedError, match="32 bytes"):
        documents.verify_own(Request, documents.sign(dataclasses.replace(REQUEST, identity="AAAA"), KEY))


@pytest.mark.parametrize(
    "change",
    [{"ids": [1]}, {"ids": "04HMASW9Z6"}, {"places": [{"site": "x"}]}, {"broker_port": "8883"}, {"batch": None}],
    ids=str,
)
def test_a_field_of_another_type_is_refused(change: dict[str, Any]) -> None:
    """A signed document with a wrong field is malformed, not half read."""
    body = json.loads(documents.sign(MANIFEST, KEY))["body"] | change
    text = signed.sign(body, label="edge-scanner enrolment manifest v1", keys=[KEY])

    with pytest.raises(MalformedError):
        documents.verify(Manifest, text, KEY.public_key())


def test_an_assignment_must_be_ours() -> None:
    """Another box's assignment, another batch's and one for an id outside the batch are refused."""
    documents.answers(ASSIGNMENT, MANIFEST, KEY.public_key())
    documents.answers(dataclasses.replace(ASSIGNMENT, identity=""), MANIFEST, OTHER.public_key())
    with pytest.raises(DocumentForgedError, match="another box"):
        documents.answers(ASSIGNMENT, MANIFEST, OTHER.public_key())
    for foreign in (
        dataclasses.replace(ASSIGNMENT, batch="B-015"),
        dataclasses.replace(ASSIGNMENT, device_id="04HMASW9P0"),
    ):
        with pytest.raises(DocumentForgedError, match="not of this batch"):
            documents.answers(foreign, MANIFEST, KEY.public_key())


def test_an_assignment_is_to_a_key_or_to_any_box() -> None:
    """A list of boxes holds these keys: one that is none would make it unreadable."""
    for good in (ASSIGNMENT, dataclasses.replace(ASSIGNMENT, identity="")):
        assert documents.verify_assignment(documents.sign(good, KEY), KEY.public_key()) == good
    one = base64.b64encode(b"\1" + bytes(31)).decode()
    for bad in ("AAAA", "?", one, IDENTITY[:-2] + chr(ord(IDENTITY[-2]) + 1) + "="):
        document = documents.sign(dataclasses.replace(ASSIGNMENT, identity=bad), KEY)
        with pytest.raises(MalformedError):
            documents.verify_assignment(document, KEY.public_key())


def test_renewal_documents_are_plain_canonical_json() -> None:
    """What is asked and answered over MQTT comes back as it was; anything else is malformed."""
    asked = CertificateRequest(operation="simpleenroll", csr="pem", certificate="pem")
    answered = CertificateAnswer(operation="simpleenroll", certificate="", refused="PRV-03", what="no")

    assert documents.write(asked) == (
        b'{"certificate":"pem","csr":"pem","identity":"","operation":"simpleenroll","proof":""}'
    )
    old = b'{"certificate":"pem","csr":"pem","operation":"simpleenroll"}'
    assert documents.read(CertificateRequest, old) == asked
    assert documents.read(CertificateAnswer, documents.write(answered)) == answered
    with pytest.raises(MalformedError):
        documents.read(CertificateRequest, b"[]")


def test_an_identity_is_proven_for_one_name_and_one_request() -> None:
    """The holder's signature over both; another name, another CSR, another key's or no signature are refused."""
    identity, proof = documents.prove_identity(KEY, "boot-K7MP2R9CX4", "csr")
    good = CertificateRequest(operation="simpleenroll", csr="csr", certificate="pem", identity=identity, proof=proof)
    _, strange = documents.prove_identity(Ed25519PrivateKey.generate(), "boot-K7MP2R9CX4", "csr")

    assert documents.proven_identity(good, "boot-K7MP2R9CX4") == documents.public_text(KEY.public_key())
    assert documents.proven_identity(dataclasses.replace(good, identity=""), "x") == ""
    for request, name in (
        (good, "boot-04HMASW9P0"),
        (dataclasses.replace(good, csr="other"), "boot-K7MP2R9CX4"),
        (dataclasses.replace(good, proof=strange), "boot-K7MP2R9CX4"),
        (dataclasses.replace(good, proof=""), "boot-K7MP2R9CX4"),
    ):
        with pytest.raises(DocumentForgedError, match="did not sign"):
            documents.proven_identity(request, name)


def test_public_keys_are_written_as_base64_of_their_raw_bytes() -> None:
    """The text form is what any other program makes of the 32 bytes."""
    assert documents.public_text(KEY.public_key()) == IDENTITY


def test_a_key_has_one_spelling() -> None:
    """The last letter has bits that nobody reads: a box that used them would be another one by its text alone."""
    other = IDENTITY[:-2] + chr(ord(IDENTITY[-2]) + 1) + "="
    assert base64.b64decode(other) == base64.b64decode(IDENTITY)
    with pytest.raises(MalformedError, match="not base64"):
        documents.public_key(other)


def test_a_box_is_told_where_it_stands() -> None:
    """Everything of its place, its keys, the hash of its PIN, and when."""
    place = dataclasses.replace(PLACE, contact="028", time_zone="Asia/Ho_Chi_Minh", moderate_from=20, busy_from=40)

    told = documents.assign(
        place, batch="B-014", device_id="04HMASW9Z6", identity=IDENTITY, certificate="pem", ops_pin="hash", now_s=3.7
    )

    shared = {field.name for field in dataclasses.fields(Place)} & {field.name for field in dataclasses.fields(told)}
    assert {name: getattr(told, name) for name in shared} == {name: getattr(place, name) for name in shared}
    assert (told.batch, told.device_id, told.identity, told.certificate) == ("B-014", "04HMASW9Z6", IDENTITY, "pem")
    assert (told.ops_pin, told.issued_s) == ("hash", 3)
