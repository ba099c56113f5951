"""A health authority's pull request, and the mandates of the two people who sign it. Specification: docs/pull.md.

A request is one canonical JSON document that travels by e-mail, stick or MQTT and that people can read. Two people sign
its body: a health officer and an independent approver, each under a *mandate*, a small document in which the
authority's root (pinned on the box, not the fleet's CA) says whose key may sign in which role until when. The mandates
travel with the request, so a box needs nothing but the root. X.509 was turned down for them: a lawyer cannot read it,
and a chain of one step needs no path building.

Whether a box obeys is policy.py; what it says is answers.py.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_scanner.core import public_keys, signed, text
from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log.format import check_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HEALTH_OFFICER = "health-officer"
APPROVER = "approver"
ROLES = (HEALTH_OFFICER, APPROVER)

MANDATE_LABEL = "edge-scanner mandate v1"
REQUEST_LABEL = "edge-scanner pull request v1"
"""What a signature covers first, so that one made for one kind of document is none for the other."""

MAX_DOCUMENT_BYTES = 48 * 1024
"""Fits one MQTT message everywhere; a request to 1,000 boxes with two post-quantum mandates has 30 kB."""

MAX_DEVICES = 1_000
NONCE_BYTES = 16
MAX_NAME = 128
"""Characters of a person's or a party's name."""

MAX_TEXT = 1_000
"""Characters of a purpose or a legal basis: a paragraph."""

# Two are needed; each costs a box the check of a root's signature.
_MAX_MANDATES = 4
_MANDATE_FORMAT = "edge-scanner/mandate/1"
_REQUEST_FORMAT = "edge-scanner/request/1"
_AUTHORITY = re.compile(r"authority-[a-z0-9-]{1,32}")
_CASE = re.compile(r"[0-9A-Za-z][0-9A-Za-z./_-]{0,63}")
_NONCE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """Who may sign: `name` holds the Ed25519 key `key` in `role` for `authority`, UTC seconds from and to."""

    authority: str
    role: str
    name: str
    key: bytes
    not_before_s: int
    not_after_s: int

    @property
    def public_key(self) -> Ed25519PublicKey:
        """The key as an object."""
        return public_keys.ed25519(self.key, "mandate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: the minutes in [from_s, to_s) of the boxes `devices`, UTC seconds.

    It may be handed in from `not_before_s` until `expires_s`. `sealed_until_s` is when the venue may learn of it, 0 at
    once. `nonce` is 16 random bytes that make it one of a kind.
    """

    case: str
    legal_basis: str
    authority: str
    devices: tuple[str, ...]
    from_s: int
    to_s: int
    purpose: str
    not_before_s: int
    expires_s: int
    nonce: bytes
    sealed_until_s: int = 0

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical body, 32 bytes: the request's name in answers, bundles and audit trails."""
        return hashlib.sha256(signed.canonical(_body(self))).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was read but not believed: `envelope` is the signed body, `mandates` are signed documents."""

    request: Request
    envelope: bytes
    mandates: tuple[bytes, ...]


def sign_mandate(mandate: Mandate, roots: Sequence[signed.SigningKey]) -> bytes:
    """The mandate, signed by the authority's root keys; raises MalformedError for one that no box would accept."""
    body = {
        "format": _MANDATE_FORMAT,
        "authority": mandate.authority,
        "role": mandate.role,
        "name": mandate.name,
        "key": base64.b64encode(mandate.key).decode(),
        "not_before": mandate.not_before_s,
        "not_after": mandate.not_after_s,
    }
    _parse_mandate(body)
    return signed.sign(body, label=MANDATE_LABEL, keys=roots)


def read_mandate(document: bytes, roots: Sequence[signed.VerifyKey]) -> Mandate:
    """The mandate, when every root key signed it; raises MalformedError, DocumentForgedError."""
    return _parse_mandate(signed.verify(document, label=MANDATE_LABEL, keys=roots, limit=MAX_DOCUMENT_BYTES))


def peek_mandate(document: bytes) -> Mandate:
    """What a mandate claims, unverified: for showing it and for signing under it; raises MalformedError."""
    body, _ = signed.fields(signed.parse(document, limit=MAX_DOCUMENT_BYTES), body=dict, signatures=list)
    return _parse_mandate(body)


def draft(request: Request) -> bytes:
    """The document before anybody signed it; raises MalformedError for a request that no box would read."""
    body = _body(request)
    _parse_request(body)
    return signed.canonical({"request": {"body": body, "signatures": []}, "mandates": []})


def approve(document: bytes, key: Ed25519PrivateKey, mandate: bytes) -> bytes:
    """The document with one more signature and its mandate; signing twice with one key changes nothing.

    Raises MalformedError, also when the mandate is for another key.
    """
    asked = read(document)
    _require(peek_mandate(mandate).key == key.public_key().public_bytes_raw(), "the mandate is for another key")
    envelope = signed.parse(asked.envelope, limit=MAX_DOCUMENT_BYTES)
    own = signed.parse(signed.sign(_body(asked.request), label=REQUEST_LABEL, keys=[key]), limit=MAX_DOCUMENT_BYTES)
    added = [entry for entry in own["signatures"] if entry not in envelope["signatures"]]
    mandates = [signed.parse(one, limit=MAX_DOCUMENT_BYTES) for one in dict.fromkeys((*asked.mandates, mandate))]
    merged = {"body": envelope["body"], "signatures": [*envelope["signatures"], *added]}
    return signed.canonical({"request": merged, "mandates": mandates})


def read(document: bytes) -> Asked:
    """A request's document taken apart, nothing believed yet; raises MalformedError."""
    envelope, mandates = signed.fields(signed.parse(document, limit=MAX_DOCUMENT_BYTES), request=dict, mandates=list)
    body, _ = signed.fields(envelope, body=dict, signatures=list)
    _require(len(mandates) <= _MAX_MANDATES, f"at most {_MAX_MANDATES} mandates")
    return Asked(
        request=_parse_request(body),
        envelope=signed.canonical(envelope),
        mandates=tuple(map(signed.canonical, mandates)),
    )


def _body(request: Request) -> dict[str, Any]:
    return {
        "format": _REQUEST_FORMAT,
        "case": request.case,
        "legal_basis": request.legal_basis,
        "authority": request.authority,
        "devices": list(request.devices),
        "from": request.from_s,
        "to": request.to_s,
        "purpose": request.purpose,
        "not_before": request.not_before_s,
        "expires": request.expires_s,
        "nonce": request.nonce.hex(),
        "sealed_until": request.sealed_until_s,
    }


def _parse_request(body: dict[str, Any]) -> Request:
    kind, case, legal_basis, authority, devices, purpose, nonce = signed.fields(
        body, format=str, case=str, legal_basis=str, authority=str, devices=list, purpose=str, nonce=str
    )
    from_s, to_s, not_before, expires, sealed_until = signed.fields(
        body, **{"from": int, "to": int, "not_before": int, "expires": int, "sealed_until": int}
    )
    _require(kind == _REQUEST_FORMAT, "not a request of format 1")
    _require(bool(_CASE.fullmatch(case)), "a case number is 1 to 64 letters, digits and ./_-")
    _require(bool(_AUTHORITY.fullmatch(authority)), "an authority is called authority-<a-z, 0-9, ->")
    text.parse(legal_basis, limit=MAX_TEXT, name="the legal basis", where="request")
    text.parse(purpose, limit=MAX_TEXT, name="the purpose", where="request")
    _require(1 <= len(devices) <= MAX_DEVICES, f"1 to {MAX_DEVICES} boxes must be named")
    _require(all(isinstance(device, str) for device in devices), "boxes are named by their ids")
    _require(len(set(devices)) == len(devices), "a box is named twice")
    _require(0 <= from_s < to_s, "from must precede to")
    _require(0 <= not_before < expires and sealed_until >= 0, "not_before must precede expires")
    _require(bool(_NONCE.fullmatch(nonce)), "the nonce is 32 hex digits")
    return Request(
        case=case,
        legal_basis=legal_basis,
        authority=authority,
        devices=tuple(map(check_device, devices)),
        from_s=from_s,
        to_s=to_s,
        purpose=purpose,
        not_before_s=not_before,
        expires_s=expires,
        nonce=bytes.fromhex(nonce),
        sealed_until_s=sealed_until,
    )


def _parse_mandate(body: dict[str, Any]) -> Mandate:
    kind, authority, role, name, key, not_before, not_after = signed.fields(
        body, format=str, authority=str, role=str, name=str, key=str, not_before=int, not_after=int
    )
    raw = signed.unbase64(key)
    _require(kind == _MANDATE_FORMAT, "not a mandate of format 1")
    _require(bool(_AUTHORITY.fullmatch(authority)), "an authority is called authority-<a-z, 0-9, ->")
    _require(role in ROLES, f"a mandate's role is {' or '.join(ROLES)}")
    text.parse(name, limit=MAX_NAME, name="the name", where="mandate")
    public_keys.ed25519(raw, "mandate")
    _require(0 <= not_before < not_after, "not_before must precede not_after")
    return Mandate(authority=authority, role=role, name=name, key=raw, not_before_s=not_before, not_after_s=not_after)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise MalformedError(sentence, where="request")
