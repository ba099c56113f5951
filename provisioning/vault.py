"""Private keys at rest on headquarters' and technicians' machines, under a passphrase: Argon2id and ChaCha20-Poly1305.

PKCS #8's own encryption was turned down: its PBKDF2 of 2,048 rounds is guessed millions of times a second. Argon2id
with 64 MB (RFC 9106, second recommended choice) takes a quarter of a second a guess, and the memory with it. What a
file holds is bound to it, so that one key cannot be passed off as another. Keys made together share one salt: opening
them costs one run.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, MalformedError, RefusedError

MAX_BYTES = 64 * 1024
_FORMAT = "edge-scanner/fleet-key/1"
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32
_MEMORY_KIB, _ITERATIONS, _LANES = 64 * 1024, 3, 4
# What a stranger's batch file may make us spend.
_MAX_MEMORY_KIB, _MAX_ITERATIONS, _MAX_LANES = 1 << 20, 16, 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """How a passphrase becomes a key: the salt, and what a guess costs."""

    salt: bytes
    memory_kib: int = _MEMORY_KIB
    iterations: int = _ITERATIONS
    lanes: int = _LANES


def new_lock() -> Lock:
    """A fresh salt."""
    return Lock(salt=os.urandom(_SALT_BYTES))


class Ring:
    """Seals and opens files with one passphrase."""

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase
        self._lock = new_lock()
        self._masters: dict[Lock, bytes] = {}

    def seal(self, secret: bytes, what: str) -> bytes:
        """A file's content; `what` says what it holds, in the clear."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + ChaCha20Poly1305(self._master(self._lock)).encrypt(nonce, secret, _bound(what, self._lock))
        return signed.canonical({**_header(what, self._lock), "sealed": base64.b64encode(sealed).decode()}) + b"\n"

    def open(self, content: bytes, what: str) -> bytes:
        """The secret; raises RefusedError for another passphrase or an edited file, BadDataError for other bytes."""
        lock, sealed = _read(content, what)
        try:
            return ChaCha20Poly1305(self._master(lock)).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(what, lock)
            )
        except InvalidTag as error:
            raise RefusedError(
                "the key cannot be opened",
                code="passphrase",
                where=what,
                hint="is the passphrase of this fleet or batch right?",
            ) from error

    def _master(self, lock: Lock) -> bytes:
        if lock not in self._masters:
            kdf = Argon2id(
                salt=lock.salt,
                length=_KEY_BYTES,
                iterations=lock.iterations,
                lanes=lock.lanes,
                memory_cost=lock.memory_kib,
            )
            self._masters[lock] = kdf.derive(self._passphrase.encode())
        return self._masters[lock]


def _read(content: bytes, what: str) -> tuple[Lock, bytes]:
    try:
        value = signed.parse(content.rstrip(b"\n"), limit=MAX_BYTES)
        kind, name, salt, memory, iterations, lanes, sealed = signed.fields(
            value, format=str, what=str, salt=str, memory_kib=int, iterations=int, lanes=int, sealed=str
        )
        lock = Lock(salt=signed.unbase64(salt), memory_kib=memory, iterations=iterations, lanes=lanes)
        found = signed.unbase64(sealed)
    except MalformedError as error:
        raise BadDataError("not a sealed key", where=what, hint="made by an older version? make it again") from error
    bounded = 0 < memory <= _MAX_MEMORY_KIB and 0 < iterations <= _MAX_ITERATIONS and 0 < lanes <= _MAX_LANES
    if (kind, name) != (_FORMAT, what) or not bounded or len(lock.salt) < _SALT_BYTES or len(found) <= _NONCE_BYTES:
        raise BadDataError("not a sealed key", where=what, hint="made by an older version? make it again")
    return lock, found


def _header(what: str, lock: Lock) -> dict[str, object]:
    return {
        "format": _FORMAT,
        "what": what,
        "salt": base64.b64encode(lock.salt).decode(),
        "memory_kib": lock.memory_kib,
        "iterations": lock.iterations,
        "lanes": lock.lanes,
    }


def _bound(what: str, lock: Lock) -> bytes:
    return signed.canonical(_header(what, lock))
