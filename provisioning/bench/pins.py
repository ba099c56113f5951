"""The operator's PIN of each box, for the sealed slip: drawn from the batch's bench key, so that no file holds a list.

Ten digits: on the bench's cable a box is told the hash, and ten digits behind scrypt are out of a listener's reach. Who
opens the batch with its passphrase can print the slips again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from edge_scanner.core import operator_pin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DIGITS = 10
_LABEL = b"edge-scanner operator pin v1\0"


def pin(bench_key: Ed25519PrivateKey, device_id: str) -> str:
    """The PIN of one box."""
    code = hmac.new(bench_key.private_bytes_raw(), _LABEL + device_id.encode(), hashlib.sha256).digest()
    return f"{int.from_bytes(code) % 10**DIGITS:0{DIGITS}}"


def hashed(bench_key: Ed25519PrivateKey, device_id: str) -> str:
    """The line that the box keeps."""
    return operator_pin.hash_pin(pin(bench_key, device_id), secrets.token_bytes(operator_pin.SALT_BYTES))
