"""Begin this run's sealed log where the last run ended, sealed to the recipients in force (recipient_sets.py).

Without a recipient set there is no log: the box counts, publishes and says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core.log import hpke, writer
from edge_scanner.core.log.errors import SegmentMissingError
from edge_scanner.core.log.writer import SealedLog
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.model import ClockReading
    from edge_scanner.device.storage.store import LogState

_URANDOM = Path("/dev/urandom")

_log = journal.get("sealing")


def fill(buffer: bytearray) -> None:
    """The kernel's randomness straight into `buffer`: no copy that could not be overwritten is ever made."""
    with _URANDOM.open("rb", buffering=0) as source:
        source.readinto(buffer)


def begin(
    device_id: str, key: Ed25519PrivateKey, found: RecipientSet, state: LogState, clock: ClockReading
) -> SealedLog:
    """The log of this run; raises when the cryptography library lacks a suite that the recipients need."""
    hpke.probe_suites(fill, {recipient.suite for recipient in found.recipients})
    leaves = [leaf.digest for leaf in state.leaves]
    try:
        last = writer.resume(leaves, state.newest, state.frames)
    except SegmentMissingError:
        # The rows between are gone (a damaged database); the tree goes on from what is there and the gap shows.
        _log.error("log resumes over a gap", segments=len(leaves))
        last = writer.resume(leaves)
    if state.gap:
        _log.error("log has a gap: rows of an earlier run are missing here")
    return SealedLog(
        device=device_id,
        identity=key,
        boot_number=state.next_boot,
        recipients=found,
        state=last,
        clock=clock,
        entropy=fill,
    )
