"""Which recipient set is in force: the one installed with the box, or a newer one that came over MQTT since.

A set is a document that the authority's root signed (core/log/recipients.py), so it may come by any road: `down/cfg` is
retained at the broker, and whoever can write there can at worst replay an old set, which is refused. A received set
lies in the state folder, because the installed one's folder is read-only to the daemon; the higher version is used.
The newest version that was ever in force is remembered, so that an older set cannot be put back with the card.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core import signed
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.log import recipients
from edge_scanner.core.log.errors import LogError
from edge_scanner.device import journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.signed import VerifyKey
    from edge_scanner.device.health import Vitals
    from edge_scanner.device.settings import Log
    from edge_scanner.device.storage.store import Store
    from edge_scanner.mqtt.uplink import Incoming

RECEIVED = "recipients.json"
"""In the state folder."""
_VERSION = "recipients_version"

_log = journal.get("recipients")


def topic(device_id: str) -> str:
    """Where the fleet publishes signed configuration for a box; retained."""
    return f"edge-scanner/v1/d/{device_id}/down/cfg"


def read(settings: Log, state_dir: Path) -> RecipientSet | None:
    """The newest set on the box, None without one; raises ConfigurationError for an installed set that is not valid."""
    if not settings.kept:
        return None
    installed, received = Path(settings.recipients), state_dir / RECEIVED
    sets = []
    if installed.exists():
        try:
            sets.append(recipients.verify(installed.read_bytes(), read_roots(Path(settings.authority_root))))
        except (OSError, LogError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(
                f"the recipient set cannot be used: {reason}",
                where=str(installed),
                hint="install the set that the authority signed, and its root",
            ) from error
    if received.exists():
        try:
            sets.append(recipients.verify(received.read_bytes(), pinned_roots(settings) or _none_pinned()))
        except (OSError, LogError, ConfigurationError) as error:
            # It was valid when it came: a box that was provisioned anew has another root.
            _log.error("received recipient set is passed over", reason=str(error))
    return max(sets, key=lambda found: found.version, default=None)


def read_roots(path: Path) -> list[VerifyKey]:
    """The authority's root keys, Ed25519 and perhaps ML-DSA-65, from one PEM file; raises ConfigurationError."""
    try:
        return signed.verify_keys(path.read_bytes())
    except (OSError, LogError) as error:
        raise ConfigurationError(
            "the authority's root key cannot be read", where=str(path), hint="provision the box again"
        ) from error


def pinned_roots(settings: Log) -> list[VerifyKey]:
    """The authority's root keys, none on a box without an authority; raises ConfigurationError."""
    path = Path(settings.authority_root)
    return read_roots(path) if settings.kept and path.exists() else []


async def put_in_force(found: RecipientSet, store: Store) -> None:
    """Remember the version in force; raises ConfigurationError for a set older than one that already was."""
    known = await store.meta(_VERSION)
    if known is not None and found.version < known:
        raise ConfigurationError(
            f"recipient set version {found.version} is older than version {known}, which was in force here",
            where="[log] recipients",
            hint="install the newest set",
        )
    await store.set_meta(_VERSION, found.version)


class Receiver:
    """Takes sets that come over MQTT into use: from the next segment on, or from the next start if there is no log."""

    def __init__(self, *, roots: Sequence[VerifyKey], state_dir: Path, store: Store, health: Vitals) -> None:
        self._roots = roots
        self._path = state_dir / RECEIVED
        self._store = store
        self._health = health

    async def take(self, incoming: Incoming) -> None:
        """Verify, keep and use the set in a message; a bad or older one is said and refused, nothing else happens."""
        document = incoming.payload
        try:
            found = recipients.supersede(self._health.recipients, recipients.verify(document, self._roots))
        except LogError as error:
            _log.warning("received recipient set is refused", code=error.code, reason=error.what)
            return
        if self._health.recipients is not None and found.version == self._health.recipients.version:
            return
        await asyncio.to_thread(_write, self._path, document)
        await put_in_force(found, self._store)
        self._health.recipients = found
        if self._health.log is not None:
            self._health.log.use(found)
        _log.info("recipient set received", version=found.version, sealing=self._health.log is not None)


def _none_pinned() -> list[VerifyKey]:
    raise ConfigurationError("no authority is pinned", where="[log] authority_root", hint="provision the box again")


def _write(path: Path, document: bytes) -> None:
    """All of it or nothing, also when the power fails."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(document)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
