"""Exposure Notification export files: a zip of export.bin and export.sig, or a bare export.bin -> day keys.

Specification: Google/Apple "Exposure Key export file format and verification" (2020). The signature is ECDSA P-256 with
SHA-256 over the whole export.bin, in ASN.1 DER; a raw 64-byte signature, which some servers wrote, is refused with its
name. A set of batches counts only when it is complete: half a publication would silently miss cases.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_scanner.authority.match import protobuf
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import DayKey
from edge_scanner.protocols import gaen

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = b"EK Export v1    "
ZIP_MAGIC = b"PK\x03\x04"
BARE_MAGIC = b"EK Export"

MAX_EXPORT_BYTES = 16 << 20
"""The format's own limit: 16 MB or 750,000 keys."""

_MAX_SIGNATURE_BYTES = 1 << 20
_RAW_SIGNATURE_BYTES = 64
# What zipfile lets out for a damaged archive of the two methods below: bad structure or checksum; bad deflate data; an
# end too early; encrypted, or of a version it does not know; a place before the file's start, or a name not in UTF-8.
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BODY, _SIGNATURE = "export.bin", "export.sig"
_REVOKED = 5
_MAX_START = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One file's keys, and its place in a set of batches. `signed` says that its signature was checked."""

    name: str
    start_s: int
    end_s: int
    region: str
    batch: int
    batches: int
    keys: tuple[DayKey, ...]
    signed: bool


def load_public_key(pem: bytes, name: str) -> ec.EllipticCurvePublicKey:
    """The publisher's P-256 key; raises BadDataError."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadDataError("not a public key in PEM", where=name) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadDataError("not a P-256 public key", where=name)
    return key


def read(data: bytes, name: str, *, public_key: ec.EllipticCurvePublicKey | None, unsigned_ok: bool) -> Export:
    """One export file. With `public_key` a signature that is there must be good; without any valid signature the file
    is refused unless `unsigned_ok`. Raises BadDataError that names the file and the byte.
    """
    body, signature = _unzip(data, name) if data.startswith(ZIP_MAGIC) else (data, None)
    if len(body) > MAX_EXPORT_BYTES:
        raise BadDataError("larger than 16 MB", where=name)
    if not body.startswith(HEADER):
        raise BadDataError("wrong header: not 'EK Export v1'", where=f"{name}, byte 0")
    try:
        export = _parse(body, name)
        if signature is not None and public_key is not None:
            _check_signature(body, signature, public_key, export)
            return replace(export, signed=True)
    except BadDataError as error:
        if error.where.startswith(name):
            raise
        raise BadDataError(error.what, where=f"{name}, {error.where}" if error.where else name) from error
    if not unsigned_ok:
        what = "the export is not signed" if signature is None else "the signature was not checked"
        hint = "give the publisher's key with --public-key, or --unsigned-ok if you trust the file otherwise"
        raise BadDataError(what, where=name, hint=hint)
    return export


def check_batches(exports: Sequence[Export]) -> None:
    """Raise BadDataError unless every set of batches among the files is complete."""
    sets: dict[tuple[int, int, str, int], set[int]] = {}
    for export in exports:
        sets.setdefault((export.start_s, export.end_s, export.region, export.batches), set()).add(export.batch)
    for export in exports:
        key = (export.start_s, export.end_s, export.region, export.batches)
        missing = sorted(set(range(1, export.batches + 1)) - sets[key])
        if missing:
            numbers = ", ".join(map(str, missing[:5]))
            raise BadDataError(
                f"batch {numbers} of {export.batches} is missing", where=export.name, hint="give all files of the set"
            )


def _unzip(data: bytes, name: str) -> tuple[bytes, bytes | None]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if _BODY not in names:
                raise BadDataError(f"the archive contains no {_BODY}", where=name)
            body = _member(archive, _BODY, MAX_EXPORT_BYTES, name)
            signature = _member(archive, _SIGNATURE, _MAX_SIGNATURE_BYTES, name) if _SIGNATURE in names else None
    except _ZIP_ERRORS as error:
        raise BadDataError("not a readable zip archive", where=name) from error
    return body, signature


def _member(archive: zipfile.ZipFile, member: str, limit: int, name: str) -> bytes:
    if archive.getinfo(member).compress_type not in _METHODS:
        raise BadDataError(f"{member} is neither stored nor deflated", where=name, hint="ask its publisher")
    with archive.open(member) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BadDataError(f"{member} is larger than {limit >> 20} MB", where=name)
    return data


def _parse(body: bytes, name: str) -> Export:
    start_s = end_s = 0
    region, batch, batches = "", 1, 1
    keys: list[DayKey] = []
    for field in protobuf.fields(body[len(HEADER) :], len(HEADER)):
        match field.number:
            case 1:
                start_s = field.integer
            case 2:
                end_s = field.integer
            case 3:
                region = field.data.decode("utf-8", "replace")
            case 4:
                batch = field.integer
            case 5:
                batches = field.integer
            case 7 | 8:
                if (key := _parse_key(field)) is not None:
                    keys.append(key)
    if not 1 <= batch <= batches:
        raise BadDataError(f"batch {batch} of {batches} is impossible", where=name)
    return Export(
        name=name,
        start_s=start_s,
        end_s=end_s,
        region=region,
        batch=batch,
        batches=batches,
        keys=tuple(keys),
        signed=False,
    )


def _parse_key(message: protobuf.Field) -> DayKey | None:
    """A key with its validity; None for one that was revoked."""
    key, start, period, report = b"", 0, gaen.MAX_ROLLING_PERIOD, 0
    for field in protobuf.fields(message.data, message.at):
        match field.number:
            case 1:
                key = field.data
            case 3:
                start = field.integer
            case 4:
                period = field.integer
            case 5:
                report = field.integer
    where = f"byte {message.at}"
    if len(key) != gaen.KEY_BYTES:
        raise BadDataError(f"a key has {len(key)} bytes, not {gaen.KEY_BYTES}", where=where)
    if not 1 <= period <= gaen.MAX_ROLLING_PERIOD:
        raise BadDataError(f"rolling period {period} is not 1 to {gaen.MAX_ROLLING_PERIOD}", where=where)
    if not 0 <= start <= _MAX_START - period:
        raise BadDataError(f"rolling start {start} is impossible", where=where)
    if report == _REVOKED:
        return None
    start_s = start * gaen.INTERVAL_S
    return DayKey(key=key, start_s=start_s, end_s=start_s + period * gaen.INTERVAL_S)


def _check_signature(body: bytes, document: bytes, public_key: ec.EllipticCurvePublicKey, export: Export) -> None:
    """Raise BadDataError unless one of the signatures is the key's, for this batch."""
    raw = False
    for entry in protobuf.fields(document):
        if entry.number != 1:
            continue
        batch, batches, signature = 1, 1, b""
        for field in protobuf.fields(entry.data, entry.at):
            match field.number:
                case 2:
                    batch = field.integer
                case 3:
                    batches = field.integer
                case 4:
                    signature = field.data
        raw = raw or len(signature) == _RAW_SIGNATURE_BYTES
        try:
            public_key.verify(signature, body, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        if (batch, batches) != (export.batch, export.batches):
            raise BadDataError("the signature is for another batch", where=_SIGNATURE)
        return
    if raw:
        raise BadDataError("a raw 64-byte signature, not ASN.1 DER", where=_SIGNATURE)
    raise BadDataError("no signature of the given key fits", where=_SIGNATURE)
