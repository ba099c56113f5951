"""Which mandates are void: the newest list that came over MQTT, kept on the box, obeyed at the next request.

The authority's root signs it, so it may come by any road; it is retained at the broker on a topic of its own. A list
that is older, or takes a name off again, is said and refused. Every new list is an entry of the audit trail first.

The database remembers the newest version that was obeyed. Where the file beside it is older, damaged or gone, somebody
put it back or took it away: no order is obeyed until the newest list comes again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.errors import LogError, StorageError
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.pull import revocations
from edge_scanner.core.pull.answer import AuditRecord
from edge_scanner.device.central import trail
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_scanner.core.messages import Sender
    from edge_scanner.core.pull.revocations import Revocations
    from edge_scanner.core.signed import VerifyKey
    from edge_scanner.device.storage.store import Store
    from edge_scanner.mqtt.uplink import Incoming

KEPT = "revocations.json"
"""In the state folder."""
_VERSION = "revocations_version"

_log = journal.get("revocations")


def topic(device_id: str) -> str:
    """Where the fleet publishes the list for a box; retained."""
    return f"edge-scanner/v1/d/{device_id}/down/mandates"


def read(state_dir: Path, roots: Sequence[VerifyKey]) -> Revocations:
    """The list that the box keeps, none before the first; one that cannot be used is said and passed over."""
    path = state_dir / KEPT
    try:
        return revocations.verify(small_files.content(path), roots)
    except FileNotFoundError:
        return revocations.NONE
    except (OSError, LogError) as error:
        _log.error("list of revoked mandates is passed over", reason=str(error))
        return revocations.NONE


class Receiver:
    """Takes lists that come over MQTT; `current` is what is obeyed. `begin` first."""

    def __init__(
        self,
        *,
        roots: Sequence[VerifyKey],
        state_dir: Path,
        store: Store,
        sender: Sender,
        now: Callable[[], float],
    ) -> None:
        self.current = read(state_dir, roots)
        self._roots = roots
        self._path = state_dir / KEPT
        self._store = store
        self._sender = sender
        self._now = now
        self._newest = 0

    async def begin(self) -> None:
        """Look up the newest version that was obeyed here; raises StorageError."""
        self._newest = int(await self._store.meta(_VERSION) or 0)
        if self.current.version < self._newest:
            _log.error("list of revoked mandates is lost", version=self.current.version, known=self._newest)

    @property
    def revoked(self) -> frozenset[bytes] | None:
        """Keys of people whose mandates are void; None while a newer list than this one was obeyed before."""
        return self.current.keys if self.current.version >= self._newest else None

    async def take(self, incoming: Incoming) -> None:
        """Verify, enter, obey and keep the list in a message; a list is obeyed even where it cannot be kept."""
        try:
            found = revocations.supersede(self.current, revocations.verify(incoming.payload, self._roots))
        except LogError as error:
            _log.warning("list of revoked mandates is refused", code=error.code, reason=error.what)
            return
        if found == self.current:
            return
        if found.version < self._newest:
            _log.warning("list of revoked mandates is refused", code="older", reason=f"{self._newest} is known")
            return
        self.current = found
        self._newest = found.version
        record = AuditRecord(
            action=AuditAction.REVOCATION,
            at_s=int(self._now()),
            device=self._sender.device,
            case=f"revocations-{found.version}",
            request=found.digest,
        )
        try:
            await trail.append(self._store, record, sender=self._sender)
            await asyncio.to_thread(small_files.write, self._path, incoming.payload)
            await self._store.set_meta(_VERSION, found.version)
        except (OSError, StorageError) as error:
            _log.error("list of revoked mandates is not kept", version=found.version, reason=str(error))
        _log.info("list of revoked mandates received", version=found.version, keys=len(found.keys))
