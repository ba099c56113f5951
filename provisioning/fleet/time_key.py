"""The key by which the centre tells boxes the time: made on the spot, appointed by the fleet's key for a span.

Two files for the service that publishes: `time.key`, unencrypted because a server must start without a person, and
`time-key.json`, the appointment that boxes check (docs/time.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed_time
from provisioning import files

if TYPE_CHECKING:
    from pathlib import Path

KEY, APPOINTMENT = "time.key", "time-key.json"
DAY_S = 86_400
EARLY_S = DAY_S
"""A service whose clock is a little behind headquarters' can use its new key at once."""


def make(signer: Ed25519PrivateKey, folder: Path, *, days: int, now_s: float) -> int:
    """Write both files; the UTC second at which the appointment ends. Raises StorageError."""
    key = Ed25519PrivateKey.generate()
    begin_s = int(now_s) - EARLY_S
    end_s = begin_s + days * DAY_S
    appointment = signed_time.appoint(key.public_key(), not_before_s=begin_s, not_after_s=end_s, fleet_key=signer)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.write(folder / KEY, pem)
    files.write(folder / APPOINTMENT, appointment, mode=0o644)
    return end_s
