"""Mandates that are void at once: a list of signing keys, signed by the root that gave the mandates.

A mandate ends with its date, up to 800 days away; this ends it today. The list is whole and only grows: each version
holds every key of the one before, so whoever has the newest needs no other, and nobody can take a name off it again.
Boxes, desk and custodian obey it. It travels as the recipient set does. Specification: docs/pull.md.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_scanner.core import public_keys, signed
from edge_scanner.core.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Sequence

LABEL = "edge-scanner mandate revocations v1"
"""What a signature on the list covers first."""

MAX_DOCUMENT_BYTES = 64 * 1024
"""A thousand keys take 48 kB."""

MAX_KEYS = 1_000
_FORMAT = "edge-scanner/revocations/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocations:
    """Raw Ed25519 keys of people whose mandates count no more; version 0 is nobody's list."""

    version: int = 0
    keys: frozenset[bytes] = frozenset()

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical body, 32 bytes."""
        return hashlib.sha256(signed.canonical(_body(self))).digest()


NONE = Revocations()
"""Before the first list."""


def sign(revocations: Revocations, roots: Sequence[signed.SigningKey]) -> bytes:
    """The list, signed by the authority's root keys; raises MalformedError for one that nobody would take."""
    body = _body(revocations)
    _parse(body)
    return signed.sign(body, label=LABEL, keys=roots)


def verify(document: bytes, roots: Sequence[signed.VerifyKey]) -> Revocations:
    """The list, when every root key signed it; raises MalformedError, DocumentForgedError."""
    return _parse(signed.verify(document, label=LABEL, keys=roots, limit=MAX_DOCUMENT_BYTES))


def supersede(current: Revocations, candidate: Revocations) -> Revocations:
    """The list in force after `candidate` arrived; raises MalformedError for one that takes back or contradicts."""
    if candidate.version < current.version or (candidate.version == current.version and candidate != current):
        raise MalformedError(f"list {candidate.version} cannot replace list {current.version}", where="revocations")
    if not current.keys <= candidate.keys:
        raise MalformedError("a key is missing that was revoked before", where="revocations")
    return candidate


def _body(revocations: Revocations) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": revocations.version,
        "keys": [base64.b64encode(key).decode() for key in sorted(revocations.keys)],
    }


def _parse(body: dict[str, Any]) -> Revocations:
    kind, version, entries = signed.fields(body, format=str, version=int, keys=list)
    if kind != _FORMAT or version < 1 or not 1 <= len(entries) <= MAX_KEYS:
        raise MalformedError("not a list of revocations of format 1", where="revocations")
    if not all(isinstance(entry, str) for entry in entries):
        raise MalformedError("a key is not text", where="revocations")
    keys = [signed.unbase64(entry) for entry in entries]
    for key in keys:
        public_keys.ed25519(key, "revocations")
    if sorted(set(keys)) != keys:
        raise MalformedError("keys must stand in order, each once", where="revocations")
    return Revocations(version=version, keys=frozenset(keys))
