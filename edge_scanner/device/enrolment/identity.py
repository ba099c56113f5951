"""Who this box is: its id and the Ed25519 key that vouches for each run's log key.

The key is made on the box and never leaves it. It opens nothing: a stolen card gives away the power to speak in the
box's name, which the fleet revokes, and no record. The id's form: core/enrolment/device_id.py.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.enrolment.device_id import ENTROPY_BYTES, from_entropy, is_device_id
from edge_scanner.core.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ID_FILE = "device-id"
_KEY_FILE = "identity.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A box's id (10 characters) and signing key."""

    device_id: str
    key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes that others pin."""
        return self.key.public_key().public_bytes_raw()


def new_device_id() -> str:
    """A fresh id, e.g. `K7MP2R9CX4`."""
    return from_entropy(secrets.token_bytes(ENTROPY_BYTES))


def open_identity(state_dir: Path, *, configured_id: str = "") -> Identity:
    """The box's identity, made at the first call; raises ConfigurationError for an id with a wrong check."""
    if configured_id and not is_device_id(configured_id):
        raise ConfigurationError(
            f"device id {configured_id} has a wrong check character", where="[device] id", hint="read the label again"
        )
    try:
        device_id = configured_id or _read_or_create(state_dir / _ID_FILE, lambda: new_device_id().encode()).decode()
    except OSError as error:
        raise _unkept(state_dir, error) from error
    if not is_device_id(device_id):
        raise StorageError("the identity is not ours", where=str(state_dir), hint="provision the box again")
    return Identity(device_id=device_id, key=open_key(state_dir))


def open_key(state_dir: Path) -> Ed25519PrivateKey:
    """The box's log identity key, made at the first call, before the box has a name; raises StorageError."""
    try:
        pem = _read_or_create(state_dir / _KEY_FILE, _new_key)
    except OSError as error:
        raise _unkept(state_dir, error) from error
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except ValueError as error:
        raise StorageError("the identity key is damaged", where=_KEY_FILE, hint="provision the box again") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StorageError("the identity is not ours", where=str(state_dir), hint="provision the box again")
    return key


def _unkept(state_dir: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot keep the box's identity: {error.strerror}", where=str(state_dir), hint="check owner and mode"
    )


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """A small private file's content; written whole or not at all, so that a power cut leaves no half key."""
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        content = make()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(path.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return content
    if mode & 0o077:
        raise StorageError("a key file is readable by others", where=str(path), hint=f"chmod 600 {path}")
    return path.read_bytes()
