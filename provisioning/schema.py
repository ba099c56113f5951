"""The inventory's tables, and opening the file that holds them; what is done with them stands in inventory.py.

A laptop's battery dies in the middle of a wave, so nothing is answered to a box before it is on the disk (FULL).
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from edge_scanner.core.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

BUSY_MS = 10_000
"""A command waits so long for another one's transaction, which takes milliseconds."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS box (
    position INTEGER PRIMARY KEY, device_id TEXT NOT NULL UNIQUE, batch TEXT NOT NULL,
    site TEXT NOT NULL, room TEXT NOT NULL, name_vi TEXT NOT NULL, name_en TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'free', serial TEXT, identity TEXT UNIQUE, mqtt_key TEXT UNIQUE,
    answer BLOB, enrolled_s INTEGER, reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_box_a_board ON box(serial) WHERE state = 'enrolled';
CREATE TABLE IF NOT EXISTS step (
    device_id TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL,
    code TEXT NOT NULL, detail TEXT NOT NULL, at_s INTEGER NOT NULL, PRIMARY KEY (device_id, position)) STRICT;
CREATE TABLE IF NOT EXISTS refusal (
    serial TEXT PRIMARY KEY, code TEXT NOT NULL, detail TEXT NOT NULL, at_s INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS confirmed (words TEXT PRIMARY KEY, at_s INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS certificate (
    serial TEXT PRIMARY KEY, device_id TEXT NOT NULL, not_after_s INTEGER NOT NULL, issued_s INTEGER NOT NULL,
    pem TEXT NOT NULL, revoked_s INTEGER, reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE IF NOT EXISTS batch (
    name TEXT PRIMARY KEY, ca TEXT NOT NULL, not_after_s INTEGER NOT NULL, revoked_s INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS bench (batch TEXT PRIMARY KEY, key TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""


def connect(path: Path) -> sqlite3.Connection:
    """The database at `path`, made when it is not there, for its owner only; raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        db.executescript(_SCHEMA)
        _add_columns(db)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"cannot open the inventory: {error}",
            where=str(path),
            hint="check owner and disk",
        ) from error
    return db


def _add_columns(db: sqlite3.Connection) -> None:
    """What inventories of earlier releases lack."""
    if "venue" not in {name for _, name, *_ in db.execute("PRAGMA table_info(box)")}:
        with contextlib.suppress(sqlite3.OperationalError):  # two commands at the same moment: the other added it
            db.execute("ALTER TABLE box ADD COLUMN venue TEXT NOT NULL DEFAULT '{}'")
