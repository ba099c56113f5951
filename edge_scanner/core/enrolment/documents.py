"""What a box says to the technician's laptop on installation day, and later to the enrolment desk.

* `Manifest`: the fleet's word about a batch, signed by the fleet's key, which a box pins (from its image or, without
  one, at the first contact on the bench's own cable). It brings every trust anchor that the box will ever have.
* `Request`: a box asks to be named; signed by the log identity key that it made itself. The certificate request inside
  proves that it holds the MQTT key, too; `proof` shows that its card is of this batch (proofs.py), or is empty.
* `Assignment`: the bench's answer, signed by the bench key that the manifest names: id, site, bootstrap certificate.
* `Moment`: the time, signed over a nonce of the box, so that an old answer cannot set a clock back.

After that, over MQTT, a `CertificateRequest` is answered by a `CertificateAnswer`.

Nothing here is secret: private keys never leave the machine that made them. Signed documents beat TLS on the bench,
where a new box can check no certificate before it has a clock; and the same bytes work from a memory stick.
Encoding: core/signed.py. Guide: docs/fleet.md.
"""

from __future__ import annotations

import base64
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from cryptography.exceptions import InvalidSignature

from edge_scanner.core import public_keys, signed
from edge_scanner.core.counts.occupancy import ThresholdUnit
from edge_scanner.core.errors import DocumentForgedError, MalformedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from edge_scanner.core.signed import VerifyKey

T = TypeVar("T")

MAX_DOCUMENT_BYTES = 1 << 20
"""A manifest of 500 boxes with a recipient set of twelve weeks takes 300 kB."""

WORDS: tuple[str, ...] = ("", *get_args(ThresholdUnit))
"""What a screen's thresholds count; empty: the settings' default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one box will hang, and what its venue wants: a line of `sites.csv`.

    Empty texts and zeros mean the settings' defaults. `word` is one of `WORDS`. `hall_rule` says whether the site's
    boxes hear the same people; `province`, `district` and `kind` (`school`, `hotel`, ...) are where the centre counts
    it.
    """

    site: str
    room: str
    name_vi: str
    name_en: str
    contact: str = ""
    notice_url: str = ""
    time_zone: str = ""
    moderate_from: int = 0
    busy_from: int = 0
    word: str = ""
    hall_rule: str = ""
    province: str = ""
    district: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareFile:
    """One file of the batch's software set, by its SHA-256 in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A batch: whom to trust, where to connect, who may be named. Certificates and keys are PEM text.

    The n-th of `ids` is meant for the n-th of `places`; ids beyond the places are spare.
    """

    fleet: str
    batch: str
    not_before_s: int
    not_after_s: int
    ids: tuple[str, ...]
    places: tuple[Place, ...]
    bench_key: str
    batch_ca: str
    broker_ca: str
    broker_host: str
    broker_port: int
    enrol_host: str
    enrol_port: int
    authority_root: str
    custodian_root: str
    recipients: str
    software_version: str
    software: tuple[SoftwareFile, ...]
    hotline: str = ""
    label_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A box that wants a name; `serial` is the board's, kept in the inventory only. `device_id` is empty at first."""

    serial: str
    device_id: str
    identity: str
    csr: str
    proof: str
    software_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What the bench gave to the box whose identity key is `identity` (base64 of the 32 raw bytes).

    It is empty on a card that was written for a box without a bench: whoever starts with that card is the box.
    `ops_pin` is the hash of the operator's PIN (core/operator_pin.py). Headquarters signs one with the fleet's key to
    move a box; then the latest of the two counts. Its `certificate` is empty where headquarters has issued none yet.
    """

    batch: str
    device_id: str
    identity: str
    certificate: str
    site: str
    room: str
    name_vi: str
    name_en: str
    issued_s: int
    contact: str = ""
    notice_url: str = ""
    time_zone: str = ""
    moderate_from: int = 0
    busy_from: int = 0
    word: str = ""
    ops_pin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """UTC milliseconds at the bench when it answered `nonce`."""

    nonce: str
    utc_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How one step went: `verdict` PASS, WARN or FAIL; `code` as on the technician's sheet."""

    name: str
    verdict: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """All steps of one box, for the bench's table; signed by its identity key."""

    serial: str
    device_id: str
    identity: str
    steps: tuple[StepResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """Over MQTT to the enrolment desk: `operation` is EST's simpleenroll or simplereenroll (RFC 7030).

    `certificate` is the one that the box has, and the CSR is signed with its key. `identity` is the box's log identity
    (base64) and `proof` its signature over name and CSR (`prove_identity`); both are empty where that key is lost.
    """

    operation: str
    csr: str
    certificate: str
    identity: str = ""
    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAnswer:
    """The desk's answer: certificate with its issuer in PEM, or a code in `refused` and a sentence in `what`.

    Not signed either: a certificate proves itself to whoever pins the CA, and a refusal changes nothing.
    """

    operation: str
    certificate: str
    refused: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxList:
    """The fleet's word about `boxes.csv`, which lies beside it: SHA-256 in hex, and when it was written (UTC seconds).

    A health authority believes the boxes' identity keys because the fleet's key signed this.
    """

    fleet: str
    made_s: int
    sha256: str


Document = Manifest | Request | Assignment | Moment | StepReport | BoxList


def sign(document: Document, key: Ed25519PrivateKey) -> bytes:
    """The document under one signature."""
    return signed.sign(_body(document), label=_label(type(document)), keys=[key])


def verify(kind: type[T], document: bytes, key: VerifyKey) -> T:
    """The document that `key` signed; raises MalformedError or DocumentForgedError."""
    body = signed.verify(document, label=_label(kind), keys=[key], limit=MAX_DOCUMENT_BYTES)
    parsed: T = _parse(kind, body)
    return parsed


def verify_assignment(document: bytes, key: VerifyKey) -> Assignment:
    """The assignment that `key` signed, to a box with a proper identity key or to any; raises as `verify`."""
    found = verify(Assignment, document, key)
    if found.identity:
        public_key(found.identity)
    return found


def verify_own(kind: type[T], document: bytes) -> T:
    """A `Request` or `StepReport` signed by the identity key that it names; raises as `verify`."""
    envelope = signed.parse(document, limit=MAX_DOCUMENT_BYTES)
    (body,) = signed.fields(envelope, body=dict)
    (identity,) = signed.fields(body, identity=str)
    return verify(kind, document, public_key(identity))


def write(document: CertificateRequest | CertificateAnswer) -> bytes:
    """The document as canonical JSON, without a signature."""
    return signed.canonical(_body(document))


def read(kind: type[T], document: bytes) -> T:
    """The other way round; raises MalformedError."""
    parsed: T = _parse(kind, signed.parse(document, limit=MAX_DOCUMENT_BYTES))
    return parsed


def public_key(text: str) -> Ed25519PublicKey:
    """The Ed25519 key in base64 of its 32 raw bytes, in the one spelling that it has; raises MalformedError."""
    found = public_keys.ed25519(signed.unbase64(text), "enrolment document")
    if public_text(found) != text:
        raise MalformedError("not base64", where="enrolment document")
    return found


def public_text(key: Ed25519PublicKey) -> str:
    """The other way round."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def prove_identity(key: Ed25519PrivateKey, name: str, csr: str) -> tuple[str, str]:
    """The public identity, and its proof for a request under the certificate name `name`, both base64."""
    proof = base64.b64encode(key.sign(_identity_message(name, csr))).decode()
    return public_text(key.public_key()), proof


def proven_identity(request: CertificateRequest, name: str) -> str:
    """The identity whose holder asks under `name`, empty where none is given.

    Raises MalformedError, DocumentForgedError.
    """
    if not request.identity:
        return ""
    try:
        public_key(request.identity).verify(signed.unbase64(request.proof), _identity_message(name, request.csr))
    except InvalidSignature as error:
        raise DocumentForgedError("the identity key did not sign this request", where=name) from error
    return request.identity


def _identity_message(name: str, csr: str) -> bytes:
    return b"\0".join((b"edge-scanner enrolment identity v1", name.encode(), csr.encode()))


def assign(
    place: Place, *, batch: str, device_id: str, identity: str, certificate: str, ops_pin: str, now_s: float
) -> Assignment:
    """What a box at this place is told."""
    return Assignment(
        batch=batch,
        device_id=device_id,
        identity=identity,
        certificate=certificate,
        site=place.site,
        room=place.room,
        name_vi=place.name_vi,
        name_en=place.name_en,
        issued_s=int(now_s),
        contact=place.contact,
        notice_url=place.notice_url,
        time_zone=place.time_zone,
        moderate_from=place.moderate_from,
        busy_from=place.busy_from,
        word=place.word,
        ops_pin=ops_pin,
    )


def answers(assignment: Assignment, manifest: Manifest, identity: Ed25519PublicKey) -> None:
    """Raises DocumentForgedError unless the assignment is of this batch and for the box with this key, or for any."""
    if assignment.identity not in {"", public_text(identity)}:
        raise DocumentForgedError("the assignment is for another box", where=assignment.device_id)
    if assignment.batch != manifest.batch or assignment.device_id not in manifest.ids:
        raise DocumentForgedError("the assignment is not of this batch", where=assignment.device_id)


def _label(kind: type) -> str:
    return f"edge-scanner enrolment {kind.__name__.lower()} v1"


def _body(document: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(document, field.name)) for field in fields(document)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [item if isinstance(item, str) else _body(item) for item in value]
    return value


_SCALARS = {"str": str, "int": int}
_LISTS = {
    "tuple[str, ...]": str,
    "tuple[Place, ...]": Place,
    "tuple[SoftwareFile, ...]": SoftwareFile,
    "tuple[StepResult, ...]": StepResult,
}


def _parse(kind: Any, body: Any) -> Any:
    """The dataclass described by `body`; raises MalformedError for a missing field or one of another type."""
    if not isinstance(body, dict):
        raise MalformedError("expected an object", where="enrolment document")
    missing = {one.name for one in fields(kind) if one.default is not MISSING and one.name not in body}
    types = {one.name: _SCALARS.get(str(one.type), list) for one in fields(kind) if one.name not in missing}
    values = dict(zip(types, signed.fields(body, **types), strict=True))
    for field in (one for one in fields(kind) if one.name not in missing):
        item = _LISTS.get(str(field.type))
        if item is str:
            if not all(isinstance(entry, str) for entry in values[field.name]):
                raise MalformedError(f"{field.name} must hold texts", where="enrolment document")
            values[field.name] = tuple(values[field.name])
        elif item is not None:
            values[field.name] = tuple(_parse(item, entry) for entry in values[field.name])
    return kind(**values)
