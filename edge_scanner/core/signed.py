"""Signed JSON documents: one canonical text, one envelope, named signatures.

Canonical text is RFC 8785 restricted to what two implementations cannot disagree about: objects with ASCII keys,
arrays, strings, integers below 2^53, true, false and null; no fractions. Parsing accepts the canonical bytes only, so
a document has exactly one spelling and its SHA-256 names it. The envelope is
`{"body": {...}, "signatures": [{"algorithm": "ed25519", "key": "<first 16 hex of SHA-256 of the public key>",
"value": "<base64>"}]}`; a signature covers `label ‖ 0x00 ‖ canonical body`, so that one made for one kind of document
is none for another. It beat JWS (algorithm confusion, unreadable body) and COSE (a lawyer cannot read CBOR).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from edge_scanner.core import public_keys
from edge_scanner.core.errors import DocumentForgedError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence

SigningKey = Ed25519PrivateKey | MLDSA65PrivateKey
VerifyKey = Ed25519PublicKey | MLDSA65PublicKey

# Integers every JSON reader keeps exact (RFC 8785 3.2.2.3, I-JSON).
_MAX_INTEGER = 2**53 - 1
# Deep nesting would exhaust the parser's stack; our documents are four deep.
_MAX_DEPTH = 16
_PEM_END = b"-----END PUBLIC KEY-----"
# Eight parties with two algorithms each.
_MAX_SIGNATURES = 16


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value, UTF-8; raises MalformedError for a value outside the restricted set."""
    _check(value, 0)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MalformedError("a string is not valid Unicode", where="JSON document") from error


def parse(document: bytes, *, limit: int) -> Any:
    """The value of a canonical JSON document of at most `limit` bytes; raises MalformedError otherwise."""
    if len(document) > limit:
        raise MalformedError(f"document is longer than {limit} bytes", where="JSON document")
    try:
        value = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise MalformedError("not JSON", where="JSON document") from error
    if canonical(value) != document:
        raise MalformedError("not in canonical form", where="JSON document")
    return value


def sign(body: dict[str, Any], *, label: str, keys: Sequence[SigningKey]) -> bytes:
    """The enveloped document with one signature by each key."""
    message = _message(body, label)
    signatures = [
        {
            "algorithm": _algorithm(key.public_key()),
            "key": key_name(key.public_key()),
            "value": base64.b64encode(key.sign(message)).decode(),
        }
        for key in keys
    ]
    return canonical({"body": body, "signatures": signatures})


def add_signatures(document: bytes, *, label: str, keys: Sequence[SigningKey], limit: int) -> bytes:
    """The document with one more signature by each key; one that is there already changes nothing.

    Raises MalformedError for bytes that are no such document.
    """
    body, given = fields(parse(document, limit=limit), body=dict, signatures=list)
    own = parse(sign(body, label=label, keys=keys), limit=limit)["signatures"]
    added = [entry for entry in own if entry not in given]
    return canonical({"body": body, "signatures": [*given, *added]})


def verify(document: bytes, *, label: str, keys: Sequence[VerifyKey], limit: int) -> dict[str, Any]:
    """The body of a document that every one of `keys` signed, at least one; further signatures are passed over.

    Raises MalformedError for bytes that are no such document, DocumentForgedError where a signature is absent or wrong.
    """
    envelope = parse(document, limit=limit)
    body, signatures = fields(envelope, body=dict, signatures=list)
    if len(signatures) > _MAX_SIGNATURES:
        raise MalformedError(f"more than {_MAX_SIGNATURES} signatures", where="JSON document")
    given: dict[tuple[str, str], bytes] = {}
    for entry in signatures:
        algorithm, name, value = fields(entry, algorithm=str, key=str, value=str)
        if (algorithm, name) in given:
            raise MalformedError("one key's signature is there twice", where="JSON document")
        given[algorithm, name] = unbase64(value)
    if not keys:
        raise DocumentForgedError("there is no key that could have signed it", where=label)
    message = _message(body, label)
    for key in keys:
        try:
            key.verify(given.get((_algorithm(key), key_name(key)), b""), message)
        except InvalidSignature as error:
            raise DocumentForgedError("no valid signature of the expected key", where=label) from error
    return dict(body)


def verify_keys(pem: bytes) -> list[VerifyKey]:
    """The public keys of a PEM file, each Ed25519 or ML-DSA-65, at least one; raises MalformedError."""
    blocks = [block + _PEM_END for block in pem.split(_PEM_END) if block.strip()]
    try:
        keys = [serialization.load_pem_public_key(block) for block in blocks]
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedError("not a public key", where="PEM file") from error
    found = [key for key in keys if isinstance(key, Ed25519PublicKey | MLDSA65PublicKey)]
    if not keys or len(found) != len(keys):
        raise MalformedError("not an Ed25519 or ML-DSA-65 key", where="PEM file")
    for key in found:
        if isinstance(key, Ed25519PublicKey):
            public_keys.ed25519(key.public_bytes_raw(), "PEM file")
    return found


def key_name(key: VerifyKey) -> str:
    """How a signature names its key: the first 8 bytes of SHA-256 of the raw public key, in hex."""
    return raw_key_name(key.public_bytes_raw())


def raw_key_name(raw: bytes) -> str:
    """The same of a raw public key."""
    return hashlib.sha256(raw).hexdigest()[:16]


def fields(document: Any, /, **kinds: type) -> list[Any]:
    """The members of a JSON object in the order asked for; raises MalformedError unless each has exactly its type."""
    if not isinstance(document, dict):
        raise MalformedError("expected an object", where="JSON document")
    for name, kind in kinds.items():
        if type(document.get(name)) is not kind:
            raise MalformedError(f"{name} must be of type {kind.__name__}", where="JSON document")
    return [document[name] for name in kinds]


def unbase64(text: str) -> bytes:
    """The bytes of strict base64 text; raises MalformedError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("not base64", where="JSON document") from error


def _check(value: Any, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise MalformedError(f"nested deeper than {_MAX_DEPTH}", where="JSON document")
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise MalformedError("a key is not ASCII text", where="JSON document")
            _check(member, depth + 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth + 1)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > _MAX_INTEGER):
        raise MalformedError("a number is not an exact integer", where="JSON document")
    elif not (value is None or isinstance(value, str | int)):
        raise MalformedError(f"{type(value).__name__} is not allowed", where="JSON document")


def _message(body: dict[str, Any], label: str) -> bytes:
    return label.encode() + b"\0" + canonical(body)


def _algorithm(key: VerifyKey) -> str:
    return "ed25519" if isinstance(key, Ed25519PublicKey) else "ml-dsa-65"
