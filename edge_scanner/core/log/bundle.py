"""One format for `log export`, the pull and the USB stick: a signed manifest and a body of sealed rows.

The body is a plain sequence of rows (kind, length, bytes) in a fixed order, so the same rows give the same bytes: a box
answers chunk n of a pull without remembering the asker. The manifest carries the body's hashes and the tree from the
first exported segment on (the roots in front of it, then every leaf), which places each segment and answers to every
checkpoint at once; separate inclusion proofs say less and take more room. It is signed by the identity key, since
`log export` is another process than the one that holds the boot key. Format: docs/log-format.md, "Bundle".
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_scanner.core import signed
from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import merkle
from edge_scanner.core.log.errors import BodyAlteredError, WrongDeviceError
from edge_scanner.core.log.verifier import VerifiedSegment, Verifier
from edge_scanner.core.model import ClockQuality, Frame, SegmentHeader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.model import BootRecord, Link

LABEL = "edge-scanner bundle v1"
"""What the manifest's signature covers first."""

CHUNK_BYTES = 48 * 1024
"""A pull's piece of the body: small enough for every broker's packet limit."""

MAX_MANIFEST_BYTES = 4 << 20
"""A fortnight with a restart every ten minutes stays below a quarter of it."""

MAX_BODY_BYTES = 1 << 30
"""Twenty-one days of frames at the highest rate are 0.98 GB."""

MANIFEST_NAME = "manifest.json"
BODY_NAME = "body.bin"

_FORMAT = "edge-scanner/bundle/1"
_HEX = re.compile(r"([0-9a-f]{64})?")
_ROW = struct.Struct(">c I")
_NUMBER = struct.Struct(">I")
_BOOT, _HEADER, _FRAME = b"B", b"H", b"F"
_LIMITS = {
    _BOOT: layout.BOOT_RECORD_BYTES,
    _HEADER: layout.MAX_HEADER_BYTES,
    _FRAME: _NUMBER.size + layout.CIPHERTEXT_BYTES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a bundle says besides the rows: for whom and when it was made.

    `request` is the SHA-256 of the answered request in hex, "" for an export; `audit_entries` and `audit_head` (hex)
    say where the audit trail stood; `quality` is what the box's clock rested on.
    """

    device: str
    from_s: int
    to_s: int
    made_s: int
    quality: ClockQuality
    request: str = ""
    audit_entries: int = 0
    audit_head: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A verified manifest. `segments` are (number, frames); `before` is the tree in front of `leaves`."""

    context: Context
    segments: tuple[tuple[int, int], ...]
    before: merkle.Tree
    leaves: tuple[bytes, ...]
    body_bytes: int
    body_sha256: bytes
    chunks: tuple[bytes, ...]


class BundleWriter:
    """Makes the body row by row and the manifest at the end. `leaves` are all leaf digests of the log, from 0.

    Order: the boot records its segments need, then each segment's header and its frames, segments without a gap.
    """

    def __init__(self, context: Context, leaves: Sequence[bytes]) -> None:
        self._context = context
        self._leaves = leaves
        self._segments: list[list[int]] = []
        self._body = hashlib.sha256()
        self._bytes = 0
        self._chunk = bytearray()
        self._chunks: list[str] = []

    def boot(self, boot: BootRecord) -> bytes:
        """The body's bytes for a boot record."""
        return self._row(_BOOT, boot.record)

    def segment(self, header: SegmentHeader) -> bytes:
        """The body's bytes for a segment's header."""
        self._segments.append([header.seq, 0])
        return self._row(_HEADER, header.header)

    def frame(self, frame: Frame) -> bytes:
        """The body's bytes for a frame of the last segment."""
        self._segments[-1][1] += 1
        return self._row(_FRAME, _NUMBER.pack(frame.number) + frame.ciphertext)

    def manifest(self, identity: Ed25519PrivateKey) -> bytes:
        """The signed manifest of everything written."""
        context = self._context
        first = self._segments[0][0] if self._segments else len(self._leaves)
        before = merkle.tree_of(self._leaves[:first])
        chunks = [*self._chunks, hashlib.sha256(self._chunk).hexdigest()] if self._chunk else self._chunks
        body = {
            "format": _FORMAT,
            "device": context.device,
            "from": context.from_s,
            "to": context.to_s,
            "made": context.made_s,
            "clock_quality": int(context.quality),
            "request": context.request,
            "audit": {"entries": context.audit_entries, "head": context.audit_head},
            "segments": self._segments,
            "tree": {
                "first": first,
                "peaks": [peak.hex() for peak in before.peaks],
                "leaves": [leaf.hex() for leaf in self._leaves[first:]],
            },
            "body": {"bytes": self._bytes, "sha256": self._body.hexdigest(), "chunks": chunks},
        }
        return signed.sign(body, label=LABEL, keys=[identity])

    def _row(self, kind: bytes, data: bytes) -> bytes:
        row = _ROW.pack(kind, len(data)) + data
        self._body.update(row)
        self._bytes += len(row)
        self._chunk += row
        while len(self._chunk) >= CHUNK_BYTES:
            self._chunks.append(hashlib.sha256(self._chunk[:CHUNK_BYTES]).hexdigest())
            del self._chunk[:CHUNK_BYTES]
        return row


def read_manifest(document: bytes, *, device: str, identity: Ed25519PublicKey) -> Manifest:
    """A manifest that `identity` signed for `device`; raises a LogError."""
    body = signed.verify(document, label=LABEL, keys=[identity], limit=MAX_MANIFEST_BYTES)
    manifest = _parse(body)
    if manifest.context.device != device:
        raise WrongDeviceError(f"made by box {manifest.context.device}, not {device}", where="manifest")
    return manifest


def check_chunk(manifest: Manifest, index: int, chunk: bytes) -> None:
    """Raise BodyAlteredError unless `chunk` is piece `index` of the body."""
    if not 0 <= index < len(manifest.chunks) or hashlib.sha256(chunk).digest() != manifest.chunks[index]:
        raise BodyAlteredError("not the piece the manifest names", where=f"chunk {index}")


def verify_bundle(
    manifest: Manifest,
    body: Iterable[bytes],
    *,
    identity: Ed25519PublicKey,
    checkpoints: Iterable[bytes] = (),
    boots: Iterable[bytes] = (),
    recipients: Iterable[RecipientSet] = (),
    links: Iterable[Link] = (),
) -> Iterator[VerifiedSegment]:
    """Each segment of the body, checked against the manifest's tree and against all that was published.

    `body` is the body in pieces of any size; `boots`, `checkpoints` and `links` are what the broker passed on before
    the bundle was made (a later one would rightly say that segments are missing). At most one segment is held in
    memory. Raises a LogError; the body's end is checked after the last segment.
    """
    verifier = Verifier(
        device=manifest.context.device,
        identity=identity,
        before=manifest.before,
        leaves=manifest.leaves,
        recipients=recipients,
        links=links,
    )
    for record in boots:
        verifier.boot(record)
    rows = _rows(manifest, body)
    kind, data = next(rows, (b"", b""))
    while kind == _BOOT:
        verifier.boot(data)
        kind, data = next(rows, (b"", b""))
    for note in checkpoints:
        verifier.checkpoint(note)
    for seq, count in manifest.segments:
        if kind != _HEADER:
            raise BodyAlteredError("a header is not where the manifest says", where=f"segment {seq}")
        header = SegmentHeader(seq=seq, opened_s=layout.parse_header(data).hour * 3600.0, header=data)
        frames: list[Frame] = []
        kind, data = next(rows, (b"", b""))
        while kind == _FRAME and len(frames) < count:
            (number,) = _NUMBER.unpack_from(data)
            frames.append(Frame(seq=seq, number=number, ciphertext=data[_NUMBER.size :]))
            kind, data = next(rows, (b"", b""))
        if len(frames) != count:
            raise BodyAlteredError(f"{count} frames are needed, {len(frames)} are there", where=f"segment {seq}")
        yield verifier.segment(header, frames)
    if kind:
        raise BodyAlteredError("rows follow the last segment", where="body")


def boot_records(manifest: Manifest, body: Iterable[bytes]) -> list[bytes]:
    """The boot records at the body's beginning, unverified: whose statements can be checked. Raises a LogError."""
    found = []
    for kind, data in _rows(manifest, body):
        if kind != _BOOT:
            break
        found.append(data)
    return found


def _rows(manifest: Manifest, body: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The body's rows; raises BodyAlteredError at its end unless length and hash are the manifest's."""
    digest, total, buffer = hashlib.sha256(), 0, bytearray()
    for piece in body:
        digest.update(piece)
        total += len(piece)
        if total > manifest.body_bytes:
            break
        buffer += piece
        position = 0
        while len(buffer) - position >= _ROW.size:
            kind, length = _ROW.unpack_from(buffer, position)
            if not _NUMBER.size <= length <= _LIMITS.get(kind, 0):
                raise BodyAlteredError("not a row", where=f"body, byte {total - len(buffer) + position}")
            start, end = position + _ROW.size, position + _ROW.size + length
            if end > len(buffer):
                break
            yield kind, bytes(buffer[start:end])
            position = end
        del buffer[:position]
    if buffer or total != manifest.body_bytes or digest.digest() != manifest.body_sha256:
        raise BodyAlteredError("length or hash differ from the manifest", where="body")


def _parse(body: dict[str, Any]) -> Manifest:
    kind, device, from_s, to_s, made_s, quality, request = signed.fields(
        body,
        **{"format": str, "device": str, "from": int, "to": int, "made": int, "clock_quality": int, "request": str},
    )
    audit, segments, tree, content = signed.fields(body, audit=dict, segments=list, tree=dict, body=dict)
    if kind != _FORMAT:
        raise MalformedError("not a bundle of format 1", where="manifest")
    entries, head = signed.fields(audit, entries=int, head=str)
    first, peaks, leaves = signed.fields(tree, first=int, peaks=list, leaves=list)
    size, sha256, chunks = signed.fields(content, bytes=int, sha256=str, chunks=list)
    if first < 0 or len(peaks) != first.bit_count() or not 0 <= size <= MAX_BODY_BYTES:
        raise MalformedError("tree or body size is impossible", where="manifest")
    if len(chunks) != -(-size // CHUNK_BYTES):
        raise MalformedError("chunks do not add up to the body", where="manifest")
    if not all(_is_pair(pair) and pair[1] <= layout.MAX_FRAMES for pair in segments):
        raise MalformedError("segments are pairs of number and frames", where="manifest")
    if not all(_HEX.fullmatch(text) for text in (request, head)):
        raise MalformedError("request and audit head are hashes in hex or empty", where="manifest")
    return Manifest(
        context=Context(
            device=layout.check_device(device),
            from_s=from_s,
            to_s=to_s,
            made_s=made_s,
            quality=layout.clock_quality(quality),
            request=request,
            audit_entries=entries,
            audit_head=head,
        ),
        segments=tuple((seq, frames) for seq, frames in segments),
        before=merkle.Tree(first, tuple(map(_hash, peaks))),
        leaves=tuple(map(_hash, leaves)),
        body_bytes=size,
        body_sha256=_hash(sha256),
        chunks=tuple(map(_hash, chunks)),
    )


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair)  # noqa: PLR2004 (a pair)


def _hash(text: Any) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except (TypeError, ValueError) as error:
        raise MalformedError("not a hash in hex", where="manifest") from error
    if len(digest) != merkle.HASH_BYTES:
        raise MalformedError("not a hash in hex", where="manifest")
    return digest
