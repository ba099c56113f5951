"""COMMANDS edge-authority keys revoke, and the list wherever an order is judged: a mandate can end today.

`revocations.json` lies beside the pinned `authority-root.pem`, and whoever judges an order under that root obeys it:
a list that is there and cannot be believed is an error, never passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.authority import files
from edge_scanner.authority.keys import keys
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.pull import policy, revocations
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.revocations import Revocations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_scanner.core.pull.request import Asked

LIST_NAME = "revocations.json"


def beside(root: Path) -> Revocations:
    """The list beside a root's public part, none where there is none; raises LogError, BadDataError, StorageError."""
    path = root.with_name(LIST_NAME)
    if not path.exists():
        return revocations.NONE
    return revocations.verify(files.read(path).rstrip(b"\n"), signed.verify_keys(files.read(root)))


def check(asked: Asked, root: Path) -> None:
    """Raise RefusedError when one of an order's mandates was revoked."""
    revoked = beside(root).keys
    policy.check_revoked([requests.peek_mandate(document) for document in asked.mandates], revoked)


def verdict(asked: Asked, root: Path) -> str:
    """The code with which `check` refuses, empty when it does not."""
    try:
        check(asked, root)
    except RefusedError as refusal:
        return refusal.code
    return ""


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
