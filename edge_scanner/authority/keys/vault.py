"""Private keys at rest: one JSON file a key, sealed under a passphrase with Argon2id and ChaCha20-Poly1305.

What a file is for (role, name, week, public key) stands in the clear beside the sealed part and is bound to it, so that
a folder of keys can be listed and a file cannot be passed off as another. The keys made together share one salt, so one
passphrase costs one Argon2 run. PKCS #8 encryption was turned down: its PBKDF2 is cheap to guess, and it has no place
for a post-quantum key.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from edge_scanner.authority import files
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, MalformedError, RefusedError

if TYPE_CHECKING:
    from pathlib import Path

MASTER_BYTES = 32

_SALT_BYTES = 16
_NONCE_BYTES = 12
# RFC 9106's second recommended choice; stored in each file, so that it may grow.
_MEMORY_KIB, _ITERATIONS, _LANES = 64 * 1024, 3, 4
# What a stranger's file may make us spend.
_MAX_MEMORY_KIB, _MAX_ITERATIONS, _MAX_LANES = 1 << 20, 16, 16
_FORMAT = "edge-scanner/key/1"
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a key is, in the clear. `suite` is the wrap suite of an opening key, 0 for a signing key; `week` is the ISO
    week (2026-W48) whose segments an opening key opens, else empty.
    """

    role: str
    name: str
    suite: int = 0
    week: str = ""
    public: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """How a passphrase becomes the master key that seals a file."""

    salt: bytes
    memory_kib: int = _MEMORY_KIB
    iterations: int = _ITERATIONS
    lanes: int = _LANES

    def master(self, passphrase: str) -> bytes:
        """32 bytes; takes about a quarter of a second and 64 MB."""
        kdf = Argon2id(
            salt=self.salt,
            length=MASTER_BYTES,
            iterations=self.iterations,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
        )
        return kdf.derive(passphrase.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A key file that was read but not opened."""

    label: Label
    lock: Lock
    sealed: bytes

    def open(self, master: bytes) -> bytes:
        """The raw private key; raises RefusedError for another passphrase, or a file that was edited."""
        cipher = ChaCha20Poly1305(master)
        try:
            return cipher.decrypt(self.sealed[:_NONCE_BYTES], self.sealed[_NONCE_BYTES:], _bound(self.label, self.lock))
        except InvalidTag as error:
            raise RefusedError(
                "the key does not open",
                code="passphrase",
                where=f"{self.label.role} {self.label.week}".strip(),
                hint="another passphrase, or the file was edited",
            ) from error


def new_lock() -> Lock:
    """A fresh salt."""
    return Lock(salt=os.urandom(_SALT_BYTES))


def seal(private: bytes, label: Label, lock: Lock, master: bytes) -> bytes:
    """A key file's content."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + ChaCha20Poly1305(master).encrypt(nonce, private, _bound(label, lock))
    return signed.canonical({**_header(label, lock), "sealed": base64.b64encode(sealed).decode()}) + b"\n"


def read(path: Path) -> SealedKey:
    """A key file; raises BadDataError for anything else, StorageError."""
    try:
        value = signed.parse(files.read(path).rstrip(b"\n"), limit=files.MAX_BYTES)
        kind, role, name, suite, week, public, kdf, sealed = signed.fields(
            value, format=str, role=str, name=str, suite=int, week=str, public=str, kdf=dict, sealed=str
        )
        algorithm, salt, memory, iterations, lanes = signed.fields(
            kdf, algorithm=str, salt=str, memory_kib=int, iterations=int, lanes=int
        )
        lock = Lock(salt=signed.unbase64(salt), memory_kib=memory, iterations=iterations, lanes=lanes)
        label = Label(role=role, name=name, suite=suite, week=week, public=signed.unbase64(public))
        content = signed.unbase64(sealed)
    except MalformedError as error:
        raise BadDataError("not a key file", where=str(path)) from error
    bounded = (0 < memory <= _MAX_MEMORY_KIB and 0 < iterations <= _MAX_ITERATIONS and 0 < lanes <= _MAX_LANES) and len(
        lock.salt
    ) >= _SALT_BYTES
    if kind != _FORMAT or algorithm != "argon2id" or not bounded or len(content) <= _NONCE_BYTES:
        raise BadDataError("not a key file of format 1", where=str(path))
    return SealedKey(label=label, lock=lock, sealed=content)


class KeyRing:
    """Opens key files with one passphrase; each salt costs one Argon2 run."""

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase
        self._masters: dict[Lock, bytes] = {}

    def master(self, lock: Lock) -> bytes:
        """The master key of a lock."""
        if lock not in self._masters:
            self._masters[lock] = lock.master(self._passphrase)
        return self._masters[lock]

    def open(self, key: SealedKey) -> bytes:
        """The raw private key; raises RefusedError."""
        return key.open(self.master(key.lock))


def signing_keys(private: bytes) -> list[signed.SigningKey]:
    """The keys of a signing key file: an Ed25519 seed, and behind it an ML-DSA-65 seed where there is one."""
    keys: list[signed.SigningKey] = [Ed25519PrivateKey.from_private_bytes(private[:_SEED_BYTES])]
    if len(private) > _SEED_BYTES:
        keys.append(MLDSA65PrivateKey.from_seed_bytes(private[_SEED_BYTES:]))
    return keys


def reseal(key: SealedKey, master: bytes, lock: Lock, new_master: bytes) -> bytes:
    """The same key under another lock."""
    return seal(key.open(master), replace(key.label), lock, new_master)


def _header(label: Label, lock: Lock) -> dict[str, object]:
    return {
        "format": _FORMAT,
        "role": label.role,
        "name": label.name,
        "suite": label.suite,
        "week": label.week,
        "public": base64.b64encode(label.public).decode(),
        "kdf": {
            "algorithm": "argon2id",
            "salt": base64.b64encode(lock.salt).decode(),
            "memory_kib": lock.memory_kib,
            "iterations": lock.iterations,
            "lanes": lock.lanes,
        },
    }


def _bound(label: Label, lock: Lock) -> bytes:
    """What the sealed part is bound to: everything else in the file."""
    return signed.canonical(_header(label, lock))
