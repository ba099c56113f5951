"""Signed notes as C2SP's specifications have them, read without any code of ours: proven by outside vectors."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FOLDER = Path(__file__).parents[1] / "vectors" / "c2sp"
ED25519, COSIGNATURE = 1, 4
_TIME_BYTES = 8


def vectors(name: str) -> Any:
    """A file of outside vectors."""
    return json.loads((FOLDER / name).read_text())


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """`name+hash+base64(type and key)`."""

    name: str
    kind: int
    raw: bytes

    @property
    def hint(self) -> bytes:
        """The first four bytes of every signature by it."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.raw).digest()[:4]


def verifier_key(text: str, kind: int | None = None) -> VerifierKey:
    """A key as text, its hash checked; `kind` takes it for another type of signature, as witnesses' are published."""
    name, hint, blob = text.split("+", 2)
    data = base64.b64decode(blob, validate=True)
    key = VerifierKey(name=name, kind=data[0], raw=data[1:])
    assert key.hint.hex() == hint
    return VerifierKey(name=name, kind=kind or data[0], raw=data[1:])


def opened(note: bytes, key: VerifierKey) -> int | None:
    """Whether the key signed the note: the time of a cosignature, 0 of a plain signature, None when it did not."""
    text, signatures = note.decode().rsplit("\n\n", 1)
    for line in signatures.splitlines():
        dash, name, blob = line.split(" ")
        data = base64.b64decode(blob, validate=True)
        if (dash, name, data[:4]) != ("\u2014", key.name, key.hint):
            continue
        time_s, signed, signature = 0, text.encode() + b"\n", data[4:]
        if key.kind == COSIGNATURE:
            time_s, signature = int.from_bytes(signature[:_TIME_BYTES]), signature[_TIME_BYTES:]
            signed = f"cosignature/v1\ntime {time_s}\n".encode() + signed
        try:
            Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, signed)
        except InvalidSignature:
            return None
        return time_s
    return None


def proof_text(index: int, hashes: list[str], checkpoint: str) -> str:
    """A tlog-proof without extra data."""
    return "\n".join(["c2sp.org/tlog-proof@v1", f"index {index}", *hashes, "", checkpoint])
