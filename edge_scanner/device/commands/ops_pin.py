"""COMMAND edge-scanner ops-pin: the PIN of the operator's page, of which only a hash is kept (core/operator_pin.py)."""

from __future__ import annotations

import contextlib
import grp
import os
import secrets
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.core import operator_pin as pins
from edge_scanner.device import small_files
from edge_scanner.device.pin_file import KIOSK_GROUP
from edge_scanner.device.storage import files

if TYPE_CHECKING:
    from pathlib import Path


def run_ops_pin(file: Path, pin: str) -> None:
    """Write the hash, mode 640, whole or not at all; raises ConfigurationError for a PIN too short, StorageError."""
    line = pins.hash_pin(pin, secrets.token_bytes(pins.SALT_BYTES))
    try:
        small_files.write(file, line.encode() + b"\n", mode=0o640, owner=_kiosk(file))
    except OSError as error:
        raise files.translate(error, file, what="the PIN's file") from error
    terminal.say(f"{file}: the PIN is set; restart the kiosk")


def _kiosk(file: Path) -> small_files.Owner | None:
    """The folder's owner and the kiosk's group, where there is one and we may give files to it."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            return file.parent.stat().st_uid, grp.getgrnam(KIOSK_GROUP).gr_gid
    return None
