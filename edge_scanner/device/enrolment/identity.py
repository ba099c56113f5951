"""Who this box is: its id and the Ed25519 key that vouches for each run's log key.

The key is made on the box and never leaves it. It opens nothing: a stolen card gives away the power to speak in the
box's name, which the fleet revokes, and no record. The id's form: core/enrolment/device_id.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import small_files
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.enrolment.device_id import ENTROPY_BYTES, from_entropy, is_device_id
from edge_scanner.core.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ID_FILE = "device-id"
_DATABASE = "log.db"
_ASSIGNMENT = "assignment.json"
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
    """The box's identity, made at the first call; raises what `open_id` and `open_key` raise."""
    return Identity(device_id=open_id(state_dir, configured_id), key=open_key(state_dir))


def open_id(state_dir: Path, configured_id: str = "") -> str:
    """The box's id: the configured one, or its own, made at the first call.

    Raises ConfigurationError for an id with a wrong check character and for one that is lost (a person has it on the
    label), StorageError where none can be kept.
    """
    if configured_id:
        check_id(configured_id)
        return configured_id
    if lived(state_dir) and not (state_dir / _ID_FILE).exists():
        raise ConfigurationError("the box's id is lost", where="[device] id", hint="write the label's id there")
    try:
        device_id = _read_or_create(state_dir / _ID_FILE, lambda: new_device_id().encode()).decode(errors="replace")
    except OSError as error:
        raise _unkept(state_dir, error) from error
    if not is_device_id(device_id):
        raise ConfigurationError("the box's id is damaged", where="[device] id", hint="write the label's id there")
    return device_id


def check_id(device_id: str) -> None:
    """Raises ConfigurationError for an id with a wrong check character."""
    if not is_device_id(device_id):
        raise ConfigurationError(
            f"device id {device_id} has a wrong check character", where="[device] id", hint="read the label again"
        )


def lived(state_dir: Path) -> bool:
    """Whether this box has recorded or was named before: then a key that is missing is lost, and not yet to be made."""
    return any((state_dir / name).exists() for name in (_DATABASE, _ASSIGNMENT))


def open_key(state_dir: Path) -> Ed25519PrivateKey:
    """The box's log identity key, made at the first call, before the box has a name.

    Raises StorageError for a key that others may read or that is none, IdentityLostError for one that is gone: a second
    key would sign a log that nobody can tell from a forged one.
    """
    path = state_dir / _KEY_FILE
    if lived(state_dir) and not path.exists():
        raise IdentityLostError(where=str(path))
    try:
        pem = _read_or_create(path, _new_key)
    except OSError as error:
        raise _unkept(state_dir, error) from error
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise StorageError("the identity key is damaged", where=str(path), hint="provision the box again") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StorageError("the identity is not ours", where=str(path), hint="provision the box again")
    return key


class IdentityLostError(StorageError):
    """The key that vouched for this box's records is gone; `code` is the light's."""

    code = Code.IDENTITY_LOST.value

    def __init__(self, *, where: str) -> None:
        super().__init__("the box's identity key is lost", where=where, hint="provision the box again, with a new card")


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
        small_files.write(path, content)
        return content
    if mode & 0o077:
        raise StorageError("a key file is readable by others", where=str(path), hint=f"chmod 600 {path}")
    return small_files.content(path)
