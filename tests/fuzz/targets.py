"""What the fuzzers feed: every reader of bytes from outside, on arbitrary bytes and on damaged genuine ones.

`one_input` takes the fuzzer's bytes: the first chooses a reader, the second whether the rest is the input itself or a
list of patches (two bytes of place, one of value) to a genuine input. It returns normally or raises a LogError inside;
anything else escapes and is a finding.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge_scanner.core import signed
from edge_scanner.core.errors import LogError
from edge_scanner.core.log import bundle, frames, merkle, opener, recipients
from edge_scanner.core.log import format as layout
from edge_scanner.core.log.roots import Roots
from edge_scanner.core.model import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

_PINNED = json.loads((Path(__file__).parents[1] / "vectors" / "segment.json").read_text())
_DEVICE = _PINNED["device"]
_IDENTITY = Ed25519PublicKey.from_public_bytes(base64.b64decode(_PINNED["identity_key"]))
_ROOTS = Roots(
    parties=tuple((Ed25519PublicKey.from_public_bytes(base64.b64decode(key)),) for key in _PINNED["root_keys"])
)
_KEYS = {bytes.fromhex(key_id): base64.b64decode(key) for key_id, key in _PINNED["private_keys"].items()}
_BODY = base64.b64decode(_PINNED["body"])
_MANIFEST = _PINNED["manifest"].encode()
_CLAIM = bundle.read_manifest(_MANIFEST, device=_DEVICE, identity=_IDENTITY)
[_SEGMENT] = bundle.verify_bundle(_CLAIM, [_BODY], identity=_IDENTITY)
_HEADER = _SEGMENT.row.header
_PARTS = opener.part_keys(_HEADER, _KEYS)
# A fuzzer cannot forge a signature, so bodies of documents are signed again with a key of ours before they are read.
_OURS = Ed25519PrivateKey.from_private_bytes(bytes(32))


def _open(data: bytes) -> None:
    opener.part_keys(data, _KEYS)


def _frames(data: bytes) -> None:
    rows = [
        Frame(seq=0, number=n, ciphertext=data[start : start + layout.CIPHERTEXT_BYTES])
        for n, start in enumerate(range(0, len(data), layout.CIPHERTEXT_BYTES))
    ]
    list(opener.open_frames(_HEADER, _PARTS, rows))


def _body(data: bytes) -> None:
    list(bundle.verify_bundle(_CLAIM, [data], identity=_IDENTITY))


def _resigned(document: bytes, label: str) -> bytes:
    body = signed.parse(document, limit=1 << 20)
    return signed.sign(body, label=label, keys=[_OURS])


def _manifest(data: bytes) -> None:
    document = _resigned(data, bundle.LABEL)
    claim = bundle.read_manifest(document, device=_DEVICE, identity=_OURS.public_key())
    list(bundle.verify_bundle(claim, [_BODY], identity=_IDENTITY))


def _recipients(data: bytes) -> None:
    recipients.proposed(_resigned(data, recipients.LABEL), [_OURS.public_key()])


def _document(data: bytes) -> None:
    recipients.verify(data, _ROOTS)


def _plaintext(data: bytes) -> None:
    frames.parse_plaintext(data, 1)


def _proof(data: bytes) -> None:
    steps = [data[start : start + 32] for start in range(2, len(data), 32)]
    numbers = (data + b"\0\0")[:2]
    merkle.check_inclusion(bytes(32), numbers[0], numbers[1], steps, bytes(32))


def _body_of(document: bytes) -> bytes:
    return signed.canonical(json.loads(document)["body"])


_TARGETS: list[tuple[Callable[[bytes], object], bytes]] = [
    (layout.parse_boot, _BODY[5 : 5 + layout.BOOT_RECORD_BYTES]),
    (layout.parse_header, _HEADER),
    (_open, _HEADER),
    (_frames, b"".join(frame.ciphertext for frame in _SEGMENT.frames)),
    (_plaintext, hashlib.shake_128(b"plaintext").digest(24).ljust(layout.PLAINTEXT_BYTES, b"\0")),
    (merkle.parse_checkpoint, _PINNED["checkpoint"].encode()),
    (_document, _PINNED["recipient_set"].encode()),
    (_recipients, _body_of(_PINNED["recipient_set"].encode())),
    (_manifest, _body_of(_MANIFEST)),
    (_body, _BODY),
    (_proof, bytes(2 + 32 * 4)),
]
READERS = len(_TARGETS)


def one_input(data: bytes) -> None:
    """Feed one input to the reader it chooses."""
    target, genuine = _TARGETS[data[0] % READERS if data else 0]
    content = data[2:]
    if data[1:2] > b"\x7f":
        damaged = bytearray(genuine)
        for start in range(0, len(content) - 2, 3):
            damaged[int.from_bytes(content[start : start + 2], "big") % len(damaged)] = content[start + 2]
        content = bytes(damaged)
    with contextlib.suppress(LogError):
        target(content)
