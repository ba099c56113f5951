"""C2SP tlog-cosignature: the witness's timestamped signature of a checkpoint, one more line of its note.

Signed are `cosignature/v1`, the time and the note's text; the line's blob is key hash ‖ time (8 bytes) ‖ signature.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import small_files
from edge_scanner.central.settings import WITNESS_NAME
from edge_scanner.core.errors import BadDataError, ConfigurationError, StorageError
from edge_scanner.core.log.errors import CheckpointForgedError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# C2SP signed-note: the type byte of a timestamped Ed25519 cosignature.
_TYPE = b"\x04"
_HASH_BYTES = 4
_TIME_BYTES = 8
_DASH = "\u2014"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigner:
    """A witness that signs: its name and its key."""

    name: str
    key: Ed25519PrivateKey

    def cosign(self, note: bytes, time_s: int) -> bytes:
        """The note with our line."""
        return cosign(note, time_s, name=self.name, key=self.key)

    def has_signed(self, note: bytes) -> bool:
        """Whether the note has our line."""
        try:
            check(note, name=self.name, key=self.key.public_key())
        except CheckpointForgedError:
            return False
        return True


def load(path: Path) -> Ed25519PrivateKey:
    """The witness's key from its PEM file; raises ConfigurationError for another file, or one that others may read."""
    try:
        mode, pem = path.stat().st_mode, small_files.content(path)
        key = serialization.load_pem_private_key(pem, password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(
            "the witness's key cannot be read", where=str(path), hint="make one with: edge-central key FILE --name NAME"
        ) from error
    if mode & 0o007:
        raise ConfigurationError("others may read the witness's key", where=str(path), hint=f"chmod 600 {path}")
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("the witness's key is not an Ed25519 key", where=str(path))
    return key


def make(path: Path, name: str) -> str:
    """A new key at `path`, which must not be there; its `verifier_key`. Raises ConfigurationError, StorageError."""
    if not re.fullmatch(WITNESS_NAME, name):
        raise ConfigurationError(
            "a witness's name is 1 to 100 letters, digits, . / -",
            where=name,
            hint="for example witness.moh.example/edge",
        )
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        small_files.sync_folder(path.parent)
    except OSError as error:
        raise StorageError("cannot be written", where=str(path), hint=error.strerror or "") from error
    return verifier_key(name, key.public_key())


def cosign(note: bytes, time_s: int, *, name: str, key: Ed25519PrivateKey) -> bytes:
    """The note with the witness's line."""
    signature = key.sign(_message(note, time_s))
    blob = _key_hash(name, key.public_key()) + time_s.to_bytes(_TIME_BYTES) + signature
    return note + f"{_DASH} {name} {base64.b64encode(blob).decode()}\n".encode()


def check(note: bytes, *, name: str, key: Ed25519PublicKey) -> int:
    """When the witness signed the note; raises CheckpointForgedError without its valid line."""
    for line in note.decode(errors="replace").partition("\n\n")[2].splitlines():
        if not line.startswith(f"{_DASH} {name} "):
            continue
        try:
            blob = base64.b64decode(line.rpartition(" ")[2], validate=True)
            time_s = int.from_bytes(blob[_HASH_BYTES : _HASH_BYTES + _TIME_BYTES])
            if blob[:_HASH_BYTES] == _key_hash(name, key):
                key.verify(blob[_HASH_BYTES + _TIME_BYTES :], _message(note, time_s))
                return time_s
        except (InvalidSignature, ValueError):
            break
    raise CheckpointForgedError("no valid cosignature of the witness", where=name)


def verifier_key(name: str, key: Ed25519PublicKey) -> str:
    """The witness's key as C2SP tools take it: name, key hash, type and key."""
    text = base64.b64encode(_TYPE + key.public_bytes_raw()).decode()
    return f"{name}+{_key_hash(name, key).hex()}+{text}"


def _message(note: bytes, time_s: int) -> bytes:
    text, separator, _ = note.partition(b"\n\n")
    if not separator:
        raise BadDataError("not a signed note", where="checkpoint")
    return f"cosignature/v1\ntime {time_s}\n".encode() + text + b"\n"


def _key_hash(name: str, key: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _TYPE + key.public_bytes_raw()).digest()[:_HASH_BYTES]
