"""The PIN that the operator chose on the page: its hash, beside the digest of the technician's whose place it took.

A technician who sets a new PIN (`edge-scanner ops-pin`) thereby ends the operator's: the digest fits no more. So a PIN
that everybody forgot is mended at the box, and the page needs no right to write where the technician's stands.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core import operator_pin
from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from pathlib import Path

FILE = "pin"
_MAX_BYTES = 1024


def line(folder: Path | None, technicians: str) -> str:
    """The hash that counts: the operator's, if it took the place of just this one of the technician's."""
    try:
        found = small_files.read(folder / FILE, _MAX_BYTES) if folder else None
        own, _, of = (found or b"").decode("ascii").partition("\n")
        operator_pin.check(own)
    except (OSError, UnicodeDecodeError, BadDataError):
        return technicians
    return own if of.strip() == _digest(technicians) else technicians


def chosen(technicians: str, pin: str) -> tuple[str, bytes]:
    """The hash of a new PIN, and the file that keeps it; raises ConfigurationError for too short or no number."""
    own = operator_pin.hash_pin(pin, secrets.token_bytes(operator_pin.SALT_BYTES))
    return own, f"{own}\n{_digest(technicians)}\n".encode()


def _digest(line: str) -> str:
    return hashlib.sha256(line.strip().encode()).hexdigest()
