"""The time in the centre's own word: what a box believes when its clock has leapt. Specification: docs/time.md.

A signed document that says "it is at least this late". Held back or repeated it only says less, so it needs neither a
nonce nor an answer. The key that signs it is at work all day on a server; the fleet's key, which boxes pin at their
enrolment, appoints it for a span of time and can stay offline. A key that is stolen after its span can only say times
within the span, which are past.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from edge_scanner.core import public_keys, signed
from edge_scanner.core.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PERIOD_S = 600
"""Between two messages of the publisher."""
MAX_DOCUMENT_BYTES = 4096
MAX_APPOINTMENT_S = 800 * 86_400
"""As long as a mandate."""

_LABEL = "edge-scanner time v1"
_APPOINTMENT_LABEL = "edge-scanner time key v1"
_FORMAT = "edge-scanner/time/1"
_APPOINTMENT_FORMAT = "edge-scanner/time-key/1"
_WHERE = "signed time"


def topic(device_id: str) -> str:
    """Where the centre tells a box the time; retained, so that a box that connects has the latest."""
    return f"edge-scanner/v1/d/{device_id}/down/time"


def appoint(key: Ed25519PublicKey, *, not_before_s: int, not_after_s: int, fleet_key: Ed25519PrivateKey) -> bytes:
    """The document by which the fleet lets `key` tell times from the one to the other, UTC seconds."""
    body = {
        "format": _APPOINTMENT_FORMAT,
        "key": base64.b64encode(key.public_bytes_raw()).decode(),
        "not_after": not_after_s,
        "not_before": not_before_s,
    }
    _span(body)
    return signed.sign(body, label=_APPOINTMENT_LABEL, keys=[fleet_key])


def sign(at_s: int, *, appointment: bytes, key: Ed25519PrivateKey) -> bytes:
    """The message that it is `at_s`, UTC seconds, by an appointed key; raises MalformedError outside its span."""
    envelope = signed.parse(appointment, limit=MAX_DOCUMENT_BYTES)
    (body,) = signed.fields(envelope, body=dict)
    appointed, not_before_s, not_after_s = _span(body)
    if appointed.public_bytes_raw() != key.public_key().public_bytes_raw():
        raise MalformedError("the appointment is for another key", where=_WHERE)
    _within(at_s, not_before_s, not_after_s)
    return signed.sign({"appointment": envelope, "at": at_s, "format": _FORMAT}, label=_LABEL, keys=[key])


def read(document: bytes, fleet_key: Ed25519PublicKey) -> int:
    """The UTC seconds that a message tells; raises MalformedError, DocumentForgedError."""
    (unproven,) = signed.fields(signed.parse(document, limit=MAX_DOCUMENT_BYTES), body=dict)
    (appointment,) = signed.fields(unproven, appointment=dict)
    key, not_before_s, not_after_s = _span(
        signed.verify(
            signed.canonical(appointment), label=_APPOINTMENT_LABEL, keys=[fleet_key], limit=MAX_DOCUMENT_BYTES
        )
    )
    body = signed.verify(document, label=_LABEL, keys=[key], limit=MAX_DOCUMENT_BYTES)
    kind, at_s = signed.fields(body, format=str, at=int)
    if kind != _FORMAT:
        raise MalformedError("not a signed time of format 1", where=_WHERE)
    _within(at_s, not_before_s, not_after_s)
    return int(at_s)


def _span(body: Mapping[str, Any]) -> tuple[Ed25519PublicKey, int, int]:
    """Key and span of an appointment; raises MalformedError."""
    kind, key, begin_s, end_s = signed.fields(body, format=str, key=str, not_before=int, not_after=int)
    if kind != _APPOINTMENT_FORMAT or not 0 <= begin_s < end_s <= begin_s + MAX_APPOINTMENT_S:
        raise MalformedError("not the appointment of a time key, or for too long", where=_WHERE)
    return public_keys.ed25519(signed.unbase64(key), _WHERE), begin_s, end_s


def _within(at_s: int, begin_s: int, end_s: int) -> None:
    if not begin_s <= at_s <= end_s:
        raise MalformedError("the time is outside of its key's appointment", where=_WHERE)
