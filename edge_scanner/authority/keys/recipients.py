"""COMMAND edge-authority recipients sign: the weekly public keys as the signed set that boxes seal to.

Published weeks ahead, so that a venue without a connection keeps changing keys. The format is core/log/recipients.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.authority.keys import keys
from edge_scanner.authority.keys.weeks import WEEK_S, week_start
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.log import hpke
from edge_scanner.core.log import recipients as documents
from edge_scanner.core.log.recipients import Recipient, RecipientSet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_scanner.core.signed import SigningKey


def collect(folders: Sequence[Path], *, version: int) -> RecipientSet:
    """The set of all opening keys' public parts in these folders: recipient and custodian open together.

    Raises BadDataError when a role has no key, or not for every week from the first to the last.
    """
    labels = [
        label
        for folder in folders
        for path in sorted(folder.glob("*-W*.pub"))
        if (label := keys.read_public(path)).role in keys.OPENING_ROLES
    ]
    weeks = {role: sorted({label.week for label in labels if label.role == role}) for role in keys.OPENING_ROLES}
    if not all(weeks.values()) or weeks[keys.RECIPIENT] != weeks[keys.CUSTODIAN]:
        raise BadDataError(
            "recipient and custodian need keys for the same weeks",
            where=", ".join(map(str, folders)),
            hint="; ".join(f"{role}: {' '.join(found) or 'none'}" for role, found in weeks.items()),
        )
    entries = tuple(
        Recipient(
            role=label.role,
            name=label.name,
            suite=hpke.wrap_suite(label.suite),
            public_key=label.public,
            not_before_s=week_start(label.week),
        )
        for label in labels
    )
    return RecipientSet(
        version=version,
        not_before_s=min(entry.not_before_s for entry in entries),
        not_after_s=max(entry.not_before_s for entry in entries) + WEEK_S,
        parts=((keys.RECIPIENT,), (keys.CUSTODIAN,)),
        recipients=entries,
    )


def sign(found: RecipientSet, roots: Sequence[SigningKey]) -> bytes:
    """The document that goes onto boxes; raises MalformedError."""
    return documents.sign(found, roots)
