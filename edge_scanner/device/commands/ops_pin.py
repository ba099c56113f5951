"""COMMAND edge-scanner ops-pin: the PIN of the operator's page, of which only a hash is kept (core/operator_pin.py)."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from edge_scanner import small_files, terminal
from edge_scanner.core import operator_pin as pins
from edge_scanner.device.storage import files

if TYPE_CHECKING:
    from pathlib import Path


def run_ops_pin(file: Path, pin: str) -> None:
    """Write the hash, mode 600, whole or not at all; raises ConfigurationError for a PIN too short, StorageError."""
    line = pins.hash_pin(pin, secrets.token_bytes(pins.SALT_BYTES))
    try:
        small_files.write(file, line.encode() + b"\n", owner=_owner(file))
    except OSError as error:
        raise files.translate(error, file, what="the PIN's file") from error
    terminal.say(f"{file}: the PIN is set; restart the kiosk")


def _owner(file: Path) -> small_files.Owner | None:
    """The folder's, when we are root: the scanner's user, which hands the hash to the page."""
    if os.geteuid() != 0:
        return None
    folder = file.parent.stat()
    return folder.st_uid, folder.st_gid
