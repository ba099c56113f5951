"""COMMANDS edge-authority keys revoke, and the list wherever an order is judged: a mandate can end today.

`revocations.json` lies beside the pinned `authority-root.pem`, and whoever judges an order under that root obeys it:
a list that is there and cannot be believed is an error, never passed over; nor is one that was there and is gone, or an
older one (newest.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.authority import files, newest
from edge_scanner.authority.keys import keys
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.pull import revocations
from edge_scanner.core.pull.revocations import Revocations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_scanner.core.signed import VerifyKey

LIST_NAME = "revocations.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What an order is judged by: the authority's root keys, and the signing keys whose mandates it revoked."""

    roots: tuple[VerifyKey, ...]
    revoked: frozenset[bytes]


def pinned(root: Path) -> Pinned:
    """The root's public part and the list beside it, none where there never was one.

    Raises LogError for a list that the root did not sign, RefusedError for an older one than was used here before,
    BadDataError, StorageError.
    """
    roots = tuple(signed.verify_keys(files.read(root)))
    path = root.with_name(LIST_NAME)
    found = revocations.NONE
    if path.exists():
        found = revocations.verify(files.read(path).rstrip(b"\n"), roots)
    newest.check("revocations", signed.key_name(roots[0]), found.version, where=str(path))
    return Pinned(roots=roots, revoked=found.keys)


def extend(before: Path | None, people: Sequence[Path], root: Path, passphrase: str) -> tuple[Revocations, bytes]:
    """The next list with these people's public parts, and its document; raises BadDataError, RefusedError."""
    secret = keys.open_root(root, passphrase)
    old = revocations.NONE
    if before is not None:
        old = revocations.verify(files.read(before).rstrip(b"\n"), [key.public_key() for key in secret])
    labels = [keys.read_public(path) for path in people]
    for label, path in zip(labels, people, strict=True):
        if label.role not in keys.SIGNING_ROLES:
            raise BadDataError("only a health officer or an approver has a mandate", where=str(path))
    found = Revocations(version=old.version + 1, keys=old.keys | {label.public for label in labels})
    return found, revocations.sign(found, secret)
