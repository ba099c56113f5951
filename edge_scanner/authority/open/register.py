"""The custodian's register: what was released, for whom, from where. Append-only, signed, one line a release.

Each line is a signed document (core/signed.py) whose body names the SHA-256 of the line before, so that none can be
changed, moved or taken out of the middle. How many there were is kept elsewhere on the machine (newest.py): that shows
a cut end, or a register that is gone. It stands for the nonces that a box keeps: a second release of one order says so.
The key lies beside it, sealed with the passphrase of the custodian's opening keys, and signs nothing else.

A last line without its end (a full disk, a power cut) was never released, as the release is written after it: it is
passed over, and the next line takes its place.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import small_files
from edge_scanner.authority import files, newest
from edge_scanner.authority.keys import vault
from edge_scanner.core import public_keys, signed
from edge_scanner.core.errors import BadDataError, LogError, MalformedError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LABEL = "edge-scanner custodian register v1"
REGISTER_NAME, KEY_NAME, PUBLIC_NAME = "register.jsonl", "register.key", "register.pub"
_FORMAT = "edge-scanner/register/1"
_MAX_LINE_BYTES = 64 * 1024
_MAX_BYTES = 64 << 20
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One release: the order's digest (hex), what it asked for, where each box's bundle came from, the release's hash.

    `reason` is why a bundle that no box had answered with was opened, else empty. Times are UTC seconds.
    """

    at_s: int
    request: str
    case: str
    from_s: int
    to_s: int
    sources: dict[str, str]
    reason: str
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The register of a folder as far as it was read and found whole, `size` bytes; `head`: the last line's SHA-256."""

    folder: Path
    entries: tuple[Entry, ...]
    head: bytes
    size: int

    def earlier(self, request: str) -> tuple[Entry, ...]:
        """Releases of the same order."""
        return tuple(entry for entry in self.entries if entry.request == request)


def read(folder: Path) -> Register:
    """The register, every line checked; empty where none was begun.

    Raises BadDataError that names the line, RefusedError for one that has fewer than it had here.
    """
    path = folder / REGISTER_NAME
    if not path.exists():
        _keep(path, 0)
        return Register(folder=folder, entries=(), head=bytes(32), size=0)
    key = _public(folder / PUBLIC_NAME)
    entries: list[Entry] = []
    head = bytes(32)
    *lines, unfinished = (data := files.read(path, limit=_MAX_BYTES)).split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            entries.append(_parse(line, key, number, head))
        except LogError as error:
            raise BadDataError(
                f"the register is damaged: {error.what}",
                where=f"{path}, line {number}",
                hint="release nothing; compare with a copy",
            ) from error
        head = hashlib.sha256(line).digest()
    _keep(path, len(entries))
    return Register(folder=folder, entries=tuple(entries), head=head, size=len(data) - len(unfinished))


def add(register: Register, entry: Entry, passphrase: str) -> Register:
    """The register with one line more, on disk before this returns; its key is made with the first line.

    Raises RefusedError for a wrong passphrase, BadDataError where another key has signed so far, StorageError.
    """
    key = _key(register, passphrase)
    body = {
        "format": _FORMAT,
        "number": len(register.entries) + 1,
        "previous": register.head.hex(),
        "at": entry.at_s,
        "request": entry.request,
        "case": entry.case,
        "from": entry.from_s,
        "to": entry.to_s,
        "sources": entry.sources,
        "reason": entry.reason,
        "release": entry.release,
    }
    line = signed.sign(body, label=LABEL, keys=[key]) + b"\n"
    path = register.folder / REGISTER_NAME
    try:
        _append(path, register.size, line)
    except OSError as error:
        raise StorageError("the register cannot be written", where=str(path), hint=error.strerror or "") from error
    done = Register(
        folder=register.folder,
        entries=(*register.entries, entry),
        head=hashlib.sha256(line[:-1]).digest(),
        size=register.size + len(line),
    )
    _keep(path, len(done.entries))
    return done


def _append(path: Path, size: int, line: bytes) -> None:
    """Put a line behind the `size` bytes that were read; raises OSError, StorageError where more stands there."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(size)
        if os.fstat(file.fileno()).st_size < size or b"\n" in file.read(_MAX_BYTES):
            raise StorageError("the register was changed meanwhile", where=str(path), hint="run the same command again")
        file.truncate(size)
        file.seek(size)
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file.fileno())
    small_files.sync_folder(path.parent)


def _keep(path: Path, entries: int) -> None:
    """Remember how long the register at this place is; raises RefusedError where it was longer."""
    newest.check("register", str(path.resolve()), entries, where=str(path))


def _parse(line: bytes, key: Ed25519PublicKey, number: int, previous: bytes) -> Entry:
    """The entry of one line; raises a LogError."""
    body = signed.verify(line, label=LABEL, keys=[key], limit=_MAX_LINE_BYTES)
    kind, place, before, request, case, sources, reason, release = signed.fields(
        body, format=str, number=int, previous=str, request=str, case=str, sources=dict, reason=str, release=str
    )
    at_s, from_s, to_s = signed.fields(body, **{"at": int, "from": int, "to": int})
    if (kind, place, before) != (_FORMAT, number, previous.hex()):
        raise MalformedError("a line was removed, moved or inserted", where="register")
    return Entry(
        at_s=at_s, request=request, case=case, from_s=from_s, to_s=to_s, sources=sources, reason=reason, release=release
    )


def _key(register: Register, passphrase: str) -> Ed25519PrivateKey:
    """The register's key, made where there is none; its public half is there before it is."""
    path = register.folder / KEY_NAME
    if path.exists():
        sealed = vault.read(path)
        private = Ed25519PrivateKey.from_private_bytes(sealed.open(sealed.lock.master(passphrase)))
        if register.entries and private.public_key() != _public(register.folder / PUBLIC_NAME):
            raise BadDataError(
                "the register is signed by another key than this one",
                where=str(path),
                hint="release nothing; compare with a copy",
            )
        return private
    seed = os.urandom(_SEED_BYTES)
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    lock = vault.new_lock()
    label = vault.Label(role="register", name="custodian register", public=public)
    first = not register.entries
    files.write(register.folder / PUBLIC_NAME, public.hex().encode() + b"\n", mode=0o644, replace=first)
    files.write(path, vault.seal(seed, label, lock, lock.master(passphrase)))
    return private


def _public(path: Path) -> Ed25519PublicKey:
    try:
        return public_keys.ed25519(bytes.fromhex(files.read(path, limit=256).decode().strip()), str(path))
    except (ValueError, MalformedError) as error:
        raise BadDataError("not a register's public key", where=str(path)) from error
