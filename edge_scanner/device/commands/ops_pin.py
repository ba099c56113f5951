"""COMMAND edge-scanner ops-pin: the PIN of the operator's page, of which only a hash is kept (device/kiosk/pin.py)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from edge_scanner.device import small_files
from edge_scanner.device.kiosk import pin as pins
from edge_scanner.device.storage import files

if TYPE_CHECKING:
    from pathlib import Path


def run_ops_pin(file: Path, pin: str) -> None:
    """Write the hash, mode 640, whole or not at all; raises ConfigurationError for a PIN too short, StorageError."""
    line = pins.hash_pin(pin, secrets.token_bytes(pins.SALT_BYTES))
    try:
        small_files.write(file, line.encode() + b"\n", mode=0o640)
    except OSError as error:
        raise files.translate(error, file, what="the PIN's file") from error
    print(f"{file}: the PIN is set; restart the kiosk")  # noqa: T201 (the result is the output)
