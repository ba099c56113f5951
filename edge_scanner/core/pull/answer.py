"""What box and authority say to each other after a request: answers, fetches, pieces, and the audit trail's entries.

Specification: docs/pull.md. An answer is small and signed by the box; the manifest and the body behind it are fetched
by number, so that back-pressure and resume are the asker's business and the box keeps nothing but its audit trail: an
entry of kind `answer` holds an `Extent`, from which the same bytes are made again after a restart.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from edge_scanner.core import signed
from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log.errors import WrongDeviceError
from edge_scanner.core.log.format import check_device, clock_quality
from edge_scanner.core.messages import AuditAction

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from edge_scanner.core.model import ClockQuality

ANSWER_LABEL = "edge-scanner pull answer v1"

MAX_FETCH = 32
"""Pieces in one fetch: 1.5 MB, more than a window and less than a broker's queue."""

PIECE_BYTES = 48 * 1024
"""As a bundle's chunks (bundle.CHUNK_BYTES); the last one is shorter."""

MAX_ANSWER_BYTES = 4 * 1024

_FORMAT = "edge-scanner/answer/1"
_AUDIT_FORMAT = "edge-scanner/audit/1"
_MAGIC = b"ESP1"
_PIECE = struct.Struct(">4s B 32s I")
_CODE = re.compile(r"[a-z_]{0,32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_NUMBER = 2**32 - 1
_MAX_ENTRY_BYTES = 8 * 1024


class Part(IntEnum):
    """What a piece is of."""

    ANSWER = 0
    """Fetched whole: the signed answer once more, for an asker that missed it."""
    MANIFEST = 1
    BODY = 2


def request_topic(device: str) -> str:
    """Where a box hears requests and fetches."""
    return f"edge-scanner/v1/d/{device}/down/pull/req"


def answer_topic(authority: str, device: str) -> str:
    """Where a box puts its signed answers."""
    return f"edge-scanner/v1/a/{authority}/in/{device}/answer"


def piece_topic(authority: str, device: str) -> str:
    """Where a box puts pieces."""
    return f"edge-scanner/v1/a/{authority}/in/{device}/piece"


def inbox(authority: str) -> str:
    """What an authority subscribes to."""
    return f"edge-scanner/v1/a/{authority}/in/#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A box's word on a request. `code` is empty when it answers; sizes and hash are then those of the bundle.

    `request` is the digest; `audit_entries` and `audit_head` say where the box's audit trail stood with this answer.
    """

    device: str
    authority: str
    case: str
    request: bytes
    code: str = ""
    at_s: int
    audit_entries: int
    audit_head: bytes
    manifest_bytes: int = 0
    manifest_sha256: bytes = b""
    body_bytes: int = 0


def sign_answer(answer: Answer, identity: Ed25519PrivateKey) -> bytes:
    """The document that travels."""
    body = {
        "format": _FORMAT,
        "device": answer.device,
        "authority": answer.authority,
        "case": answer.case,
        "request": answer.request.hex(),
        "code": answer.code,
        "at": answer.at_s,
        "audit": {"entries": answer.audit_entries, "head": answer.audit_head.hex()},
        "manifest": {"bytes": answer.manifest_bytes, "sha256": answer.manifest_sha256.hex()},
        "body": {"bytes": answer.body_bytes},
    }
    return signed.sign(body, label=ANSWER_LABEL, keys=[identity])


def read_answer(document: bytes, *, device: str, identity: Ed25519PublicKey) -> Answer:
    """An answer that `identity` signed for `device`; raises MalformedError, DocumentForgedError, WrongDeviceError."""
    body = signed.verify(document, label=ANSWER_LABEL, keys=[identity], limit=MAX_ANSWER_BYTES)
    kind, name, authority, case, request, code, at_s, audit, manifest, content = signed.fields(
        body,
        format=str,
        device=str,
        authority=str,
        case=str,
        request=str,
        code=str,
        at=int,
        audit=dict,
        manifest=dict,
        body=dict,
    )
    entries, head = signed.fields(audit, entries=int, head=str)
    manifest_bytes, sha256 = signed.fields(manifest, bytes=int, sha256=str)
    (body_bytes,) = signed.fields(content, bytes=int)
    _require(kind == _FORMAT, "not an answer of format 1")
    _require(bool(_CODE.fullmatch(code)), "a code is at most 32 of a-z and _")
    _require(min(manifest_bytes, body_bytes, entries) >= 0, "a size is negative")
    if name != device:
        raise WrongDeviceError(f"made by box {name}, not {device}", where="answer")
    return Answer(
        device=device,
        authority=authority,
        case=case,
        request=_hash(request),
        code=code,
        at_s=at_s,
        audit_entries=entries,
        audit_head=_hash(head),
        manifest_bytes=manifest_bytes,
        manifest_sha256=b"" if code else _hash(sha256),
        body_bytes=body_bytes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Pieces of an answered request, by number. It carries no secret and no reply address: whoever sends it, pieces go
    to the authority that the approved request names.
    """

    request: bytes
    part: Part
    numbers: tuple[int, ...]


def pack_fetch(fetch: Fetch) -> bytes:
    """The message."""
    return signed.canonical(
        {"fetch": {"request": fetch.request.hex(), "part": int(fetch.part), "numbers": list(fetch.numbers)}}
    )


def parse_fetch(document: bytes) -> Fetch | None:
    """A fetch; None for a document of another kind. Raises MalformedError."""
    value = signed.parse(document, limit=MAX_ANSWER_BYTES) if document.startswith(b'{"fetch"') else {}
    if "fetch" not in value:
        return None
    request, part, numbers = signed.fields(value["fetch"], request=str, part=int, numbers=list)
    _require(part in tuple(Part), "a part is 0, 1 or 2")
    _require(len(numbers) <= MAX_FETCH, f"at most {MAX_FETCH} pieces at a time")
    _require(all(type(number) is int and 0 <= number <= _MAX_NUMBER for number in numbers), "pieces have numbers")
    return Fetch(request=_hash(request), part=Part(part), numbers=tuple(numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Piece `number` of a part, at most PIECE_BYTES."""

    request: bytes
    part: Part
    number: int
    data: bytes


def pack_piece(piece: Piece) -> bytes:
    """41 bytes of head, then the data; binary, as base64 would not fit a broker's packet limit."""
    return _PIECE.pack(_MAGIC, piece.part, piece.request, piece.number) + piece.data


def parse_piece(payload: bytes) -> Piece:
    """Raises MalformedError; what the data is worth, the signed manifest says."""
    _require(_PIECE.size <= len(payload) <= _PIECE.size + PIECE_BYTES, "not a piece")
    magic, part, request, number = _PIECE.unpack_from(payload)
    _require(magic == _MAGIC and part in (Part.MANIFEST, Part.BODY), "not a piece")
    return Piece(request=request, part=Part(part), number=number, data=payload[_PIECE.size :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a bundle was made of: with the stored rows it gives the same bytes again.

    Segments `first` to `last` with `last_frames` frames in the last one; -1 for no segment. `tree_size` leaves.
    """

    made_s: int
    quality: ClockQuality
    audit_entries: int
    audit_head: str
    tree_size: int
    first: int
    last: int
    last_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One entry of the audit trail: everything but its place in the chain, which the store adds.

    `request` is the digest of the request, or of the document where it could not be read; `people` signed it.
    """

    action: AuditAction
    at_s: int
    device: str
    authority: str = ""
    case: str = ""
    request: bytes
    code: str = ""
    from_s: int = 0
    to_s: int = 0
    expires_s: int = 0
    sealed_until_s: int = 0
    people: tuple[str, ...] = ()
    extent: Extent | None = None


def export_name(device: str, from_s: int, to_s: int, made_s: int) -> bytes:
    """32 bytes in the place of a request's digest: an export answers none; what it holds and when names its entry."""
    return hashlib.sha256(f"export {device} {from_s} {to_s} {made_s}".encode()).digest()


def pack_audit(record: AuditRecord) -> bytes:
    """Canonical JSON."""
    body: dict[str, Any] = {
        "format": _AUDIT_FORMAT,
        "action": record.action.value,
        "at": record.at_s,
        "device": record.device,
        "authority": record.authority,
        "case": record.case,
        "request": record.request.hex(),
        "code": record.code,
        "from": record.from_s,
        "to": record.to_s,
        "expires": record.expires_s,
        "sealed_until": record.sealed_until_s,
        "people": list(record.people),
    }
    if record.extent is not None:
        extent = record.extent
        body["extent"] = {
            "made": extent.made_s,
            "quality": int(extent.quality),
            "audit": {"entries": extent.audit_entries, "head": extent.audit_head},
            "tree": extent.tree_size,
            "segments": [extent.first, extent.last, extent.last_frames],
        }
    return signed.canonical(body)


def parse_audit(entry: bytes) -> AuditRecord:
    """An entry of our own trail; raises MalformedError."""
    value = signed.parse(entry, limit=_MAX_ENTRY_BYTES)
    kind, action, device, authority, case, request, code, people = signed.fields(
        value, format=str, action=str, device=str, authority=str, case=str, request=str, code=str, people=list
    )
    at_s, from_s, to_s, expires_s, sealed_until_s = signed.fields(
        value, **{"at": int, "from": int, "to": int, "expires": int, "sealed_until": int}
    )
    _require(kind == _AUDIT_FORMAT and action in tuple(AuditAction), "not an audit entry of format 1")
    return AuditRecord(
        action=AuditAction(action),
        at_s=at_s,
        device=check_device(device),
        authority=authority,
        case=case,
        request=_hash(request),
        code=code,
        from_s=from_s,
        to_s=to_s,
        expires_s=expires_s,
        sealed_until_s=sealed_until_s,
        people=tuple(map(str, people)),
        extent=_parse_extent(value["extent"]) if "extent" in value else None,
    )


def _parse_extent(value: Any) -> Extent:
    made_s, quality, audit, tree, segments = signed.fields(
        value, made=int, quality=int, audit=dict, tree=int, segments=list
    )
    entries, head = signed.fields(audit, entries=int, head=str)
    _require(len(segments) == 3 and all(type(n) is int for n in segments), "not an extent")  # noqa: PLR2004 (three)
    return Extent(
        made_s=made_s,
        quality=clock_quality(quality),
        audit_entries=entries,
        audit_head=head,
        tree_size=tree,
        first=segments[0],
        last=segments[1],
        last_frames=segments[2],
    )


def _hash(text: str) -> bytes:
    _require(bool(_DIGEST.fullmatch(text)), "not a SHA-256 in hex")
    return bytes.fromhex(text)


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise MalformedError(sentence, where="pull")
