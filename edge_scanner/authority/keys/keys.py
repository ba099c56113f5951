"""COMMANDS edge-authority keys …: who signs, who opens, and when an opening key dies.

Signing keys (root, health officer, approver) are Ed25519, the root beside it ML-DSA-65 if wanted. Opening keys
(recipient, custodian) are hybrid post-quantum and weekly: destroying a week's key makes that week's segments unreadable
everywhere, on flash cards and in backups too, which deleting files cannot. Hence one file a week, and a written record.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.table import Table
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.authority import files
from edge_scanner.authority.keys import vault
from edge_scanner.authority.keys.weeks import WEEK_S, week_of, week_start, weeks_from
from edge_scanner.core import signed, text
from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.errors import BadDataError, MalformedError, RefusedError
from edge_scanner.core.log import hpke
from edge_scanner.core.log.retention import MAX_DAYS
from edge_scanner.core.pull import request
from edge_scanner.core.pull.request import Mandate

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.authority.keys.vault import Label

ROOT, CUSTODIAN_ROOT, RECIPIENT, CUSTODIAN = "root", "custodian-root", "recipient", "custodian"
ROOT_FILES = {ROOT: ("root.key", "authority-root.pem"), CUSTODIAN_ROOT: ("custodian-root.key", "custodian-root.pem")}
"""Each party's root: the key file, which stays off line, and the public part, which is pinned on every box."""
SIGNING_ROLES = request.ROLES
OPENING_ROLES = (RECIPIENT, CUSTODIAN)
ROLES = (*SIGNING_ROLES, *OPENING_ROLES)

KEEP_S = (MAX_DAYS + 7) * 86400
"""After its week a key may still be needed: the longest retention, and a week for an order under way."""

MAX_WEEKS = 52
_PUBLIC_FORMAT = "edge-scanner/public-key/1"
_SEED_BYTES = 32


def new_root(folder: Path, passphrase: str, *, name: str, role: str = ROOT, post_quantum: bool = False) -> Path:
    """Make the authority's or a custodian's root; returns the public part, pinned on every box. Raises StorageError."""
    _check_name(name)
    key_file, public_file = ROOT_FILES[role]
    private = os.urandom(_SEED_BYTES * (2 if post_quantum else 1))
    keys = vault.signing_keys(private)
    pem = b"".join(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        for key in keys
    )
    label = vault.Label(role=role, name=name, public=keys[0].public_key().public_bytes_raw())
    lock = vault.new_lock()
    files.write(folder / key_file, vault.seal(private, label, lock, lock.master(passphrase)))
    files.write(folder / public_file, pem, mode=0o644)
    return folder / public_file


def new_signer(folder: Path, passphrase: str, *, role: str, name: str) -> Path:
    """Make a person's signing key; returns the public part, which the root gives a mandate. Raises StorageError."""
    _check_name(name)
    private = os.urandom(_SEED_BYTES)
    public = Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    label = vault.Label(role=role, name=name, public=public)
    lock = vault.new_lock()
    files.write(folder / f"{role}.key", vault.seal(private, label, lock, lock.master(passphrase)))
    files.write(folder / f"{role}.pub", _public(label), mode=0o644)
    return folder / f"{role}.pub"


def new_openers(
    folder: Path, passphrase: str, *, role: str, name: str, first_week: str, weeks: int, suite: int = 1
) -> list[Path]:
    """Make opening keys for `weeks` weeks; returns their public parts. Raises StorageError, BadDataError."""
    _check_name(name)
    wrap = hpke.wrap_suite(suite)
    lock = vault.new_lock()
    master = lock.master(passphrase)
    made = []
    for week in weeks_from(first_week, weeks):
        private = hpke.new_private_key(wrap, _fill)
        label = vault.Label(role=role, name=name, suite=suite, week=week, public=hpke.public_key_of(wrap, private))
        files.write(folder / f"{role}-{week}.key", vault.seal(private, label, lock, master))
        files.write(folder / f"{role}-{week}.pub", _public(label), mode=0o644)
        made.append(folder / f"{role}-{week}.pub")
    return made


def _check_name(name: str) -> None:
    """Raise MalformedError for a name that could not stand in a mandate or a set."""
    text.parse(name, limit=request.MAX_NAME, name="the name", where="key")


def read_public(path: Path) -> Label:
    """A public part; raises BadDataError, StorageError."""
    try:
        value = signed.parse(files.read(path).rstrip(b"\n"), limit=files.MAX_BYTES)
        kind, role, name, suite, week, public = signed.fields(
            value, format=str, role=str, name=str, suite=int, week=str, public=str
        )
        raw = signed.unbase64(public)
        _check_name(name)
    except MalformedError as error:
        raise BadDataError("not a public key of ours", where=str(path)) from error
    if kind != _PUBLIC_FORMAT or role not in ROLES:
        raise BadDataError("not a public key of format 1", where=str(path))
    return vault.Label(role=role, name=name, suite=suite, week=week, public=raw)


def named(label: Label) -> str:
    """Whose key it is and its six words, as two people compare them before one of them signs for it."""
    return f"{label.role}: {label.name}; {fingerprints.words(label.public)}"


def certify(
    label: Label, root: Path, passphrase: str, *, where: Path, authority: str, days: int, now_s: float
) -> bytes:
    """A mandate for a person's public part, signed by the root; raises RefusedError, BadDataError, StorageError.

    `where` names the file that the label was read from.
    """
    if label.role not in SIGNING_ROLES:
        raise BadDataError("only a health officer or an approver gets a mandate", where=str(where))
    mandate = Mandate(
        authority=authority,
        role=label.role,
        name=label.name,
        key=label.public,
        not_before_s=int(now_s),
        not_after_s=int(now_s) + days * 86400,
    )
    return request.sign_mandate(mandate, open_root(root, passphrase))


def open_root(path: Path, passphrase: str, role: str = ROOT) -> list[signed.SigningKey]:
    """The root's signing keys; raises BadDataError for another role's file, RefusedError, StorageError."""
    key = vault.read(path)
    if key.label.role != role:
        raise BadDataError(f"a {key.label.role}'s key, not the {role}", where=str(path))
    return vault.signing_keys(vault.KeyRing(passphrase).open(key))


def open_signer(path: Path, passphrase: str) -> tuple[Label, Ed25519PrivateKey]:
    """A person's signing key; raises BadDataError, RefusedError, StorageError."""
    key = vault.read(path)
    if key.label.role not in SIGNING_ROLES:
        raise BadDataError(f"a {key.label.role}'s key does not sign requests", where=str(path))
    return key.label, Ed25519PrivateKey.from_private_bytes(vault.KeyRing(passphrase).open(key))


def open_openers(folder: Path, passphrase: str, wanted: set[bytes]) -> dict[bytes, bytes]:
    """Raw opening keys of a folder by 8-byte key id, only those `wanted`; raises RefusedError, StorageError."""
    ring = vault.KeyRing(passphrase)
    found: dict[bytes, bytes] = {}
    for path in sorted(folder.glob("*.key")):
        key = vault.read(path)
        if key.label.role in OPENING_ROLES:
            key_id = hpke.key_id(hpke.wrap_suite(key.label.suite), key.label.public)
            if key_id in wanted:
                found[key_id] = ring.open(key)
    return found


def destroy(folder: Path, *, role: str, week: str, by: str, why: str, now_s: float, early: bool = False) -> Path:
    """Destroy a week's opening key and write the record; returns the record.

    Raises RefusedError while the key may still be needed, unless `early`; BadDataError, StorageError.
    """
    due_s = week_start(week) + WEEK_S + KEEP_S
    if now_s < due_s and not early:
        raise RefusedError(
            f"segments of {week} may still be asked for until {_day(due_s)}",
            code="too_early",
            hint="add --early to destroy it all the same",
        )
    path = folder / f"{role}-{week}.key"
    key = vault.read(path)
    fingerprint = hashlib.sha256(files.read(path)).hexdigest()
    files.shred(path)
    record = folder / f"destroyed-{role}-{week}.txt"
    files.write(record, _record(key.label, fingerprint, by=by, why=why, now_s=now_s).encode(), mode=0o644)
    return record


def show(folder: Path, now_s: float) -> None:
    """List the keys of a folder, and which are due to be destroyed."""
    table = Table("role", "name", "week", "key", "state", box=None, header_style="bold", pad_edge=False)
    for path in sorted(folder.glob("*.key")):
        label = vault.read(path).label
        state = Text()
        if label.week:
            due_s = week_start(label.week) + WEEK_S + KEEP_S
            state = Text("destroy it now", "bold red") if now_s >= due_s else Text(f"destroy from {_day(due_s)}")
        table.add_row(label.role, label.name, label.week, _key_name(label), state)
    terminal.console().print(table)


def _record(label: Label, fingerprint: str, *, by: str, why: str, now_s: float) -> str:
    when = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return "\n".join(
        (
            "BIÊN BẢN HUỶ KHOÁ / RECORD OF A DESTROYED KEY",
            "",
            f"Vai trò / Role:            {label.role} ({label.name})",
            f"Tuần / Week:               {label.week}",
            f"Mã khoá / Key id:          {_key_name(label)}",
            f"Tệp / File (SHA-256):      {fingerprint}",
            f"Huỷ lúc / Destroyed at:    {when}",
            f"Người huỷ / By:            {by}",
            f"Lý do / Reason:            {why}",
            "",
            "Không ai còn mở được nhật ký của tuần này bằng khoá này nữa.",
            "Nobody can open this week's log with this key any more. Copies and SLIP-39 shares of it must be",
            "destroyed as well; shares are of no use without the file.",
            "",
            "Chữ ký / Signature: ______________________   Người làm chứng / Witness: ______________________",
            "",
        )
    )


def _public(label: Label) -> bytes:
    return (
        signed.canonical(
            {
                "format": _PUBLIC_FORMAT,
                "role": label.role,
                "name": label.name,
                "suite": label.suite,
                "week": label.week,
                "public": base64.b64encode(label.public).decode(),
            }
        )
        + b"\n"
    )


def _key_name(label: Label) -> str:
    if label.suite:
        return hpke.key_id(hpke.wrap_suite(label.suite), label.public).hex()
    return hashlib.sha256(label.public).hexdigest()[:16]


def _day(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"


def _fill(buffer: bytearray) -> None:
    buffer[:] = os.urandom(len(buffer))


def this_week() -> str:
    """The week that this moment lies in."""
    return week_of(time.time())
