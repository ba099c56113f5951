"""Which recipient set is in force: the one installed with the box, or a newer one that came over MQTT since.

A set is a document that the authority and the custodians signed (core/log/recipients.py), so it may come by any road:
`down/cfg` is retained at the broker, and whoever can write there can at worst replay an old set, which is refused. A
received set lies in the state folder, because the installed one's folder is read-only to the daemon; the higher
version is used. The newest version that was ever in force is remembered, so that an older set cannot be put back with
the card.

Two stores, in this order: the file first, safe on the disk, then its version in the database. A power cut between them
leaves a set that the database has not heard of, never a database that asks for a set that is not there.

Nothing here ends the box. Whatever the files hold, it counts and publishes; without a set that may be used it seals
nothing, says why, and begins to seal when a good one comes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.errors import ConfigurationError, LogError, StorageError
from edge_scanner.core.log import recipients, roots
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.pull.answer import AuditRecord
from edge_scanner.device.central import trail
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.log.roots import Roots
    from edge_scanner.core.messages import Sender
    from edge_scanner.device.health import BoxState
    from edge_scanner.device.settings import Log
    from edge_scanner.device.storage.store import Store
    from edge_scanner.mqtt.uplink import Incoming

RECEIVED = "recipients.json"
"""In the state folder."""
_VERSION = "recipients_version"

_log = journal.get("recipients")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What the box's files say of its authority: both parties' pinned roots, and the newest set that they signed.

    `code` and `reason` say what is wrong with a file; then it was passed over.
    """

    pinned: Roots | None = None
    recipients: RecipientSet | None = None
    code: Code = Code.WELL
    reason: str = ""


def topic(device_id: str) -> str:
    """Where the fleet publishes signed configuration for a box; retained."""
    return f"edge-scanner/v1/d/{device_id}/down/cfg"


def read(settings: Log, state_dir: Path) -> Authority:
    """What the files say, never an error: a file that cannot be used is named in `reason`."""
    if not settings.kept:
        return Authority()
    try:
        pinned = read_roots(settings)
    except ConfigurationError as error:
        return Authority(code=Code.LOG_RECIPIENTS_REFUSED, reason=str(error))
    sets, reason = [], ""
    for path in (state_dir / RECEIVED, Path(settings.recipients)):
        try:
            # A received set was valid when it came: a box that was provisioned anew has another root.
            sets.append(recipients.verify(small_files.content(path), pinned or _none_pinned()))
        except FileNotFoundError:
            continue
        except (OSError, LogError, ConfigurationError) as error:
            reason = f"{path}: {error.strerror if isinstance(error, OSError) else error}"
    installed_refused = bool(reason) and reason.startswith(settings.recipients)
    return Authority(
        pinned=pinned,
        recipients=max(sets, key=lambda found: found.version, default=None),
        code=Code.LOG_RECIPIENTS_REFUSED if installed_refused else Code.WELL,
        reason=reason,
    )


def read_roots(settings: Log) -> Roots | None:
    """The roots of the authority and the custodians; None on a box without an authority. Raises ConfigurationError."""
    authority, custodian = Path(settings.authority_root), Path(settings.custodian_root)
    if not settings.kept or not authority.exists():
        return None
    try:
        return roots.read(small_files.content(authority), small_files.content(custodian))
    except (OSError, LogError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"the roots of authority and custodian cannot be read: {reason}",
            where="[log] authority_root, custodian_root",
            hint="provision the box again",
        ) from error


async def put_in_force(found: RecipientSet, store: Store, *, sender: Sender, now_s: float) -> bool:
    """Whether this set may be used, remembering its version: an older one than was in force here may not.

    A set that replaces another is an entry of the audit trail first: what cannot be entered is not used. A disk that
    cannot keep the version refuses nothing. Raises StorageError for one that cannot be read.
    """
    known = await store.meta(_VERSION)
    if known is not None and found.version < known:
        _log.error("recipient set is older than one that was in force", version=found.version, known=int(known))
        return False
    if found.version == known:
        return True
    try:
        if known is not None:
            await trail.append(store, _change(found, sender.device, now_s), sender=sender)
    except StorageError as error:
        _log.error("recipient set cannot be entered into the audit trail", version=found.version, reason=str(error))
        return False
    try:
        await store.set_meta(_VERSION, found.version)
    except StorageError as error:
        _log.error("recipient set's version is not kept", version=found.version, reason=str(error))
    return True


def _change(found: RecipientSet, device: str, now_s: float) -> AuditRecord:
    """The entry that says who can open the log from now on."""
    return AuditRecord(
        action=AuditAction.RECIPIENTS,
        at_s=int(now_s),
        device=device,
        case=f"recipients-{found.version}",
        request=found.digest,
        people=tuple(f"{', '.join(party.roles)}: {party.name}" for party in found.parties),
    )


class Receiver:
    """Takes sets that come over MQTT into use: from the next segment on, or at once if nothing was sealed until now.

    `seal` begins a log for a box that had none.
    """

    def __init__(
        self,
        *,
        pinned: Roots,
        state_dir: Path,
        store: Store,
        health: BoxState,
        sender: Sender,
        now: Callable[[], float],
        seal: Callable[[RecipientSet], Awaitable[None]],
    ) -> None:
        self._pinned = pinned
        self._path = state_dir / RECEIVED
        self._store = store
        self._health = health
        self._sender = sender
        self._now = now
        self._seal = seal

    async def take(self, incoming: Incoming) -> None:
        """Verify, keep and use the set in a message; a bad or older one is said and refused, nothing else happens.

        A set that cannot be kept is not used: the broker sends it again at the next connection.
        """
        document = incoming.payload
        try:
            found = recipients.supersede(self._health.recipients, recipients.verify(document, self._pinned))
        except LogError as error:
            _log.warning("received recipient set is refused", code=error.code, reason=error.what)
            return
        if self._health.recipients is not None and found.version == self._health.recipients.version:
            return
        known = await self._store.meta(_VERSION)
        if known is not None and found.version < known:
            _log.warning("received recipient set is refused", code="older", reason=f"version {int(known)} is known")
            return
        if self._store.audit_full and known is not None:
            # Not even kept: the next start would find it, could not enter it either, and would seal to none.
            _log.error("received recipient set is not kept", version=found.version, reason="the audit trail is full")
            return
        try:
            await asyncio.to_thread(small_files.write, self._path, document)
        except OSError as error:
            _log.error("received recipient set is not kept", version=found.version, reason=error.strerror)
            return
        if not await put_in_force(found, self._store, sender=self._sender, now_s=self._now()):
            return
        self._health.recipients = found
        self._health.authority = Code.WELL
        if self._health.log is not None:
            self._health.log.use(found)
        else:
            await self._seal(found)
        _log.info("recipient set received", version=found.version, sealing=self._health.log is not None)


def _none_pinned() -> Roots:
    raise ConfigurationError("no authority is pinned", where="[log] authority_root", hint="provision the box again")
