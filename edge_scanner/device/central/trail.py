"""The box's audit trail as the centre sees it: each entry is kept in the chain and published with it, or not at all.

The trail holds what was asked, refused and answered, and every change of who can open the log or may order it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core import messages
from edge_scanner.core.messages import AuditAction, AuditEntry
from edge_scanner.core.pull import answer as answers

if TYPE_CHECKING:
    from edge_scanner.core.messages import Sender
    from edge_scanner.core.model import Message
    from edge_scanner.core.pull.answer import AuditRecord
    from edge_scanner.device.storage.rows import AuditRow
    from edge_scanner.device.storage.store import Store


async def append(
    store: Store, record: AuditRecord, *, sender: Sender, nonce: tuple[bytes, float] | None = None
) -> AuditRow:
    """Put an entry into the trail and its message into the outbox, in one transaction; raises StorageError."""

    def announce(row: AuditRow) -> Message:
        entry = AuditEntry(
            number=row.number + 1,
            action=record.action,
            authority=record.authority,
            case=record.case,
            request=record.request,
            code=record.code,
            from_s=record.from_s,
            to_s=record.to_s,
            head=row.digest,
        )
        return messages.audit(entry, sender=sender, created_s=record.at_s)

    return await store.audit_append(answers.pack_audit(record), nonce=nonce, announce=announce)


async def recipients_changed_s(store: Store) -> float | None:
    """When the recipient set in force was last replaced by another, UTC seconds; None if it never was."""
    changed: float | None = None
    async for row in store.audit_rows():
        record = answers.parse_audit(row.entry)
        if record.action is AuditAction.RECIPIENTS:
            changed = float(record.at_s)
    return changed
