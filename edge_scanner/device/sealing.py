"""Begin this run's sealed log: the recipients that the authority signed, and where the last run ended.

Without a usable recipient set there is no log: the box counts, publishes and says so. A set that does not verify is
the same to the log, but it is said as an error, because somebody put it there. The newest version that was ever in
force is remembered, so that an older set cannot be put back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core import hpke, recipients, segment, signed
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.log_errors import LogError, SegmentMissingError
from edge_scanner.core.segment import SealedLog
from edge_scanner.device import journal

if TYPE_CHECKING:
    from edge_scanner.core.model import ClockReading
    from edge_scanner.core.recipients import RecipientSet
    from edge_scanner.core.signed import VerifyKey
    from edge_scanner.device.identity import Identity
    from edge_scanner.device.settings import Log
    from edge_scanner.device.store import LogState, Store

_VERSION = "recipients_version"
_URANDOM = Path("/dev/urandom")

_log = journal.get("sealing")


def fill(buffer: bytearray) -> None:
    """The kernel's randomness straight into `buffer`: no copy that could not be overwritten is ever made."""
    with _URANDOM.open("rb", buffering=0) as source:
        source.readinto(buffer)


def read_recipients(settings: Log) -> RecipientSet | None:
    """The recipient set on the box, None without one; raises ConfigurationError for one that must not be used."""
    document = Path(settings.recipients)
    if not document.exists():
        return None
    try:
        return recipients.verify(document.read_bytes(), read_roots(Path(settings.authority_root)))
    except (OSError, LogError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"the recipient set cannot be used: {reason}",
            where=str(document),
            hint="install the set that the authority signed, and its root",
        ) from error


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
    return read_roots(path) if path.exists() else []


def begin(identity: Identity, found: RecipientSet, state: LogState, clock: ClockReading) -> SealedLog:
    """The log of this run; raises when the cryptography library lacks a suite that the recipients need."""
    hpke.probe_suites(fill, {recipient.suite for recipient in found.recipients})
    leaves = [leaf.digest for leaf in state.leaves]
    try:
        last = segment.resume(leaves, state.newest, state.frames)
    except SegmentMissingError:
        # The rows between are gone (a damaged database); the tree goes on from what is there and the gap shows.
        _log.error("log resumes over a gap", segments=len(leaves))
        last = segment.resume(leaves)
    if state.gap:
        _log.error("log has a gap: rows of an earlier run are missing here")
    return SealedLog(
        device=identity.device_id,
        identity=identity.key,
        boot_number=state.next_boot,
        recipients=found,
        state=last,
        clock=clock,
        entropy=fill,
    )
