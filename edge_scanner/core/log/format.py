"""The bytes of the sealed log: boot record, segment header, link, leaf. Writer and reader share this file.

docs/log-format.md is the specification; the tests hold a second reader that was written from it alone. All integers
are big-endian and unsigned; times are UTC in milliseconds; nothing here needs or holds a secret. Fixed offsets beat
CBOR: a reader in any language is a page long, and no size depends on what was heard.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from edge_scanner.core import public_keys
from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log.errors import UnknownSuiteError
from edge_scanner.core.log.hpke import wrap_suite
from edge_scanner.core.model import ClockQuality

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.core.model import Frame

FORMAT_VERSION = 2
FRAME_SECONDS = 60

PLAINTEXT_BYTES = 4016
"""Of every frame, full or empty."""

CIPHERTEXT_BYTES = PLAINTEXT_BYTES + 16
"""Of every frame: 4,032 bytes and SQLite's row overhead fill exactly one 4,096-byte page."""

HASH_BYTES = 32
SIGNATURE_BYTES = 64
ZERO_HASH = bytes(HASH_BYTES)
"""Stands for the leaf before the first."""

MAX_HEADER_BYTES = 0xFFFF
"""The length field has 16 bits."""

MAX_FRAMES = 60 * 8 + 2 * 60 + 1
"""Frames of one segment a reader accepts: 8 a minute, two events a minute, END. An hour with more has two segments."""

BOOT_LABEL = b"edge-scanner boot record v1\0"
HEADER_LABEL = b"edge-scanner segment header v2\0"
SHARE_LABEL = b"edge-scanner share v2\0"

_DEVICE = re.compile(r"[0-9A-HJKMNP-TV-Z]{10}")
_BOOT = struct.Struct(">4s B B 10s Q 8s Q Q B 32s Q 32s")
_PREFIX = struct.Struct(">4s B B B B H 10s Q 8s Q I Q Q B B H B 32s 32s Q B B")
_SHARE = struct.Struct(">B B B 8s H")
_LEAF = struct.Struct(">B Q B I 32s 32s")
_LINK = struct.Struct(">B 32s I")

PREFIX_BYTES = _PREFIX.size
BOOT_RECORD_BYTES = _BOOT.size + SIGNATURE_BYTES

MIN_PARTS = 2
"""Of a segment's key: what has one part opens with one key."""

MAX_SHARES = 32
"""In one header, which then stays under 64 KiB."""

_BOOT_MAGIC = b"ESB1"
_BOOT_VERSION = 1
_SEGMENT_MAGIC = b"ESL2"
_KDF_SHA256 = 1
_ED25519 = 1
_FLAG_UNCLEAN = 1


class FrameCipher(IntEnum):
    """The AEAD of the frames. ChaCha20: constant time on a Pi without AES instructions."""

    CHACHA20_POLY1305 = 1
    AES_256_GCM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BootStatement:
    """What a boot record says: the process run `number`, its signing key, and where the log stood."""

    device: str
    number: int
    boot_id: bytes
    utc_ms: int
    monotonic_ms: int
    quality: ClockQuality
    public_key: bytes
    tree_size: int
    tree_root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part's seed, wrapped for the holder `index` of this part, and for which key."""

    part: int
    index: int
    suite: int
    key_id: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A segment header's fields. `hour` is hours since 1970: every minute of the segment lies in it."""

    cipher: FrameCipher
    device: str
    boot_number: int
    boot_id: bytes
    seq: int
    hour: int
    utc_ms: int
    monotonic_ms: int
    quality: ClockQuality
    previous_unclean: bool
    previous_leaf: bytes
    recipients_digest: bytes
    recipients_version: int
    shares: tuple[Share, ...] = ()
    commitments: tuple[bytes, ...] = ()
    signature: bytes = b""


def check_device(device: str) -> str:
    """The device id, 10 letters and digits of Crockford's base 32; raises MalformedError."""
    if not _DEVICE.fullmatch(device):
        raise MalformedError("a device id is 10 characters of Crockford's base 32", where="sealed log")
    return device


def pack_boot(boot: BootStatement) -> bytes:
    """The boot record without its signature."""
    return _BOOT.pack(
        _BOOT_MAGIC,
        _BOOT_VERSION,
        _ED25519,
        boot.device.encode(),
        boot.number,
        boot.boot_id,
        boot.utc_ms,
        boot.monotonic_ms,
        boot.quality,
        boot.public_key,
        boot.tree_size,
        boot.tree_root,
    )


def parse_boot(record: bytes) -> BootStatement:
    """What a boot record claims, with nothing verified; raises MalformedError, UnknownSuiteError."""
    if len(record) != BOOT_RECORD_BYTES:
        raise MalformedError(f"{BOOT_RECORD_BYTES} bytes are needed, not {len(record)}", where="boot record")
    magic, version, signature, device, number, boot_id, utc, monotonic, quality, key, size, root = _BOOT.unpack_from(
        record
    )
    if magic != _BOOT_MAGIC or version != _BOOT_VERSION:
        raise MalformedError("not a boot record of version 1", where="boot record")
    _known(signature, _ED25519, "signature")
    public_keys.ed25519(key, "boot record")
    return BootStatement(
        device=_device(device),
        number=number,
        boot_id=boot_id,
        utc_ms=utc,
        monotonic_ms=monotonic,
        quality=clock_quality(quality),
        public_key=key,
        tree_size=size,
        tree_root=root,
    )


def pack_prefix(header: Header, parts: int, shares: int, total_bytes: int) -> bytes:
    """The fixed fields of a header, up to and with the numbers of parts and shares."""
    return _PREFIX.pack(
        _SEGMENT_MAGIC,
        FORMAT_VERSION,
        header.cipher,
        _KDF_SHA256,
        _ED25519,
        total_bytes,
        header.device.encode(),
        header.boot_number,
        header.boot_id,
        header.seq,
        header.hour,
        header.utc_ms,
        header.monotonic_ms,
        header.quality,
        FRAME_SECONDS,
        PLAINTEXT_BYTES,
        _FLAG_UNCLEAN if header.previous_unclean else 0,
        header.previous_leaf,
        header.recipients_digest,
        header.recipients_version,
        parts,
        shares,
    )


def pack_share(share: Share) -> bytes:
    """One share entry of a header."""
    return _SHARE.pack(share.part, share.index, share.suite, share.key_id, len(share.sealed)) + share.sealed


def share_entry_bytes(sealed_bytes: int) -> int:
    """How long a share entry is."""
    return _SHARE.size + sealed_bytes


def share_info(prefix: bytes, part: int, index: int, suite: int, key_id: bytes) -> bytes:
    """What binds a wrapped share to its place: HPKE's `info`."""
    return SHARE_LABEL + hashlib.sha256(prefix).digest() + bytes([part, index, suite]) + key_id


def header_tail_bytes(parts: int) -> int:
    """How long the end of a header is: a commitment for each part, and the signature."""
    return parts * HASH_BYTES + SIGNATURE_BYTES


def parse_header(header: bytes) -> Header:
    """What a header claims, with nothing verified; raises MalformedError, UnknownSuiteError."""
    where = "segment header"
    if len(header) < PREFIX_BYTES + header_tail_bytes(MIN_PARTS):
        raise MalformedError("too short", where=where)
    (
        magic,
        version,
        cipher,
        kdf,
        signature,
        total,
        device,
        boot_number,
        boot_id,
        seq,
        hour,
        utc,
        monotonic,
        quality,
        seconds,
        plaintext,
        flags,
        previous_leaf,
        recipients_digest,
        recipients_version,
        parts,
        count,
    ) = _PREFIX.unpack_from(header)
    if magic != _SEGMENT_MAGIC or version != FORMAT_VERSION:
        raise MalformedError("not a segment of version 2", where=where)
    if cipher not in tuple(FrameCipher):
        raise UnknownSuiteError(f"frame cipher {cipher} is not known", where=where, hint="upgrade edge_scanner")
    _known(kdf, _KDF_SHA256, "key derivation")
    _known(signature, _ED25519, "signature")
    if (total, seconds, plaintext) != (len(header), FRAME_SECONDS, PLAINTEXT_BYTES) or flags > _FLAG_UNCLEAN:
        raise MalformedError("length, frame size or flags are not of this format", where=where)
    end = len(header) - header_tail_bytes(parts)
    shares = _parse_shares(header, count, end)
    _check_places(shares, parts)
    return Header(
        cipher=FrameCipher(cipher),
        device=_device(device),
        boot_number=boot_number,
        boot_id=boot_id,
        seq=seq,
        hour=hour,
        utc_ms=utc,
        monotonic_ms=monotonic,
        quality=clock_quality(quality),
        previous_unclean=bool(flags),
        previous_leaf=previous_leaf,
        recipients_digest=recipients_digest,
        recipients_version=recipients_version,
        shares=shares,
        commitments=tuple(header[end + part * HASH_BYTES :][:HASH_BYTES] for part in range(parts)),
        signature=header[-SIGNATURE_BYTES:],
    )


def _parse_shares(header: bytes, count: int, end: int) -> tuple[Share, ...]:
    """The share entries between the prefix and `end`, exactly `count` of them; raises MalformedError."""
    where = "segment header"
    shares, position = [], PREFIX_BYTES
    for _ in range(count):
        if position + _SHARE.size > end:
            raise MalformedError("the shares overrun the header", where=f"{where}, byte {position}")
        part, index, suite, key_id, length = _SHARE.unpack_from(header, position)
        position += _SHARE.size
        if length != wrap_suite(suite).sealed_bytes or position + length > end:
            raise MalformedError("a share does not have the length of its suite", where=f"{where}, byte {position}")
        sealed = header[position : position + length]
        shares.append(Share(part=part, index=index, suite=suite, key_id=key_id, sealed=sealed))
        position += length
    if position != end:
        raise MalformedError("bytes are left between shares and commitments", where=f"{where}, byte {position}")
    return tuple(shares)


def _check_places(shares: tuple[Share, ...], parts: int) -> None:
    """Raise MalformedError unless every part stands in order with its holders, and no key holds every part."""
    where = "segment header"
    if parts < MIN_PARTS or len(shares) > MAX_SHARES:
        raise MalformedError(f"{parts} parts and {len(shares)} shares are impossible", where=where)
    holders = [sum(share.part == part for share in shares) for part in range(parts)]
    places = [(part, index) for part, held in enumerate(holders) for index in range(held)]
    if 0 in holders or [(share.part, share.index) for share in shares] != places:
        raise MalformedError("the shares do not follow the parts of the key", where=where)
    for key_id in {share.key_id for share in shares}:
        if len({share.part for share in shares if share.key_id == key_id}) == parts:
            raise MalformedError("one key holds every part", where=where)


def frame_cipher(cipher: FrameCipher, key: bytearray) -> ChaCha20Poly1305 | AESGCM:
    """The AEAD of one frame."""
    return ChaCha20Poly1305(key) if cipher is FrameCipher.CHACHA20_POLY1305 else AESGCM(key)


def nonce(number: int) -> bytes:
    """12 bytes for frame `number`; its key serves this one frame only."""
    return number.to_bytes(12, "big")


def frame_aad(header_digest: bytes, number: int) -> bytes:
    """What a frame is bound to besides its key.

    The links are left out: each frame then opens on its own, so one damaged page costs one minute and not the rest of
    the hour, while every place still has a key of its own that nobody else can use.
    """
    return header_digest + number.to_bytes(4, "big")


def next_link(link: bytes, number: int, ciphertext: bytes) -> bytes:
    """The link after frame `number`: SHA-256(0x02 ‖ link ‖ number ‖ ciphertext)."""
    return hashlib.sha256(_LINK.pack(2, link, number) + ciphertext).digest()


def link_of(header_digest: bytes, frames: Iterable[Frame]) -> bytes:
    """The link after the given frames; the first link is the header's digest."""
    link = header_digest
    for frame in frames:
        link = next_link(link, frame.number, frame.ciphertext)
    return link


def links_of(header_digest: bytes, frames: Iterable[Frame]) -> set[bytes]:
    """The header's digest and the link after each of the frames: what a counts message may have said."""
    link = header_digest
    links = {link}
    for frame in frames:
        link = next_link(link, frame.number, frame.ciphertext)
        links.add(link)
    return links


def leaf_digest(*, seq: int, unclean: bool, frames: int, header_digest: bytes, link: bytes) -> bytes:
    """A finished segment's leaf: SHA-256(0x00 ‖ seq ‖ unclean ‖ frames ‖ SHA-256(header) ‖ last link)."""
    return hashlib.sha256(_LEAF.pack(0, seq, unclean, frames, header_digest, link)).digest()


def _device(raw: bytes) -> str:
    return check_device(raw.decode("latin-1"))


def clock_quality(value: int) -> ClockQuality:
    """The clock quality with this number; raises MalformedError."""
    if value not in tuple(ClockQuality):
        raise MalformedError(f"clock quality {value} is not known", where="sealed log")
    return ClockQuality(value)


def _known(number: int, expected: int, what: str) -> None:
    if number != expected:
        raise UnknownSuiteError(f"{what} algorithm {number} is not known", hint="upgrade edge_scanner")
