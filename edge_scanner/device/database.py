"""The database file made ready before the store lives in it: created, migrated, checked, or set aside and replaced.

Plain `sqlite3`, once per start, in a thread; `store.py` then opens the same file through aiosqlite.

What is checked at every start is what a start needs: the header, the schema's version and `quick_check` of every table
but `frame`. Checking the whole file reads 86 MB (2 s and more from a card) and says nothing about ciphertext anyway;
`edge-scanner log verify` reads every frame against its hash chain, and a damaged page met later is noticed when it is
read, marks the database and has it set aside by the next start.

Replacing: the new file is built beside the damaged one, with every row that can still be read from every table but
`segment` and `frame`, and only then are the two renamed. Leaves, boot numbers, outbox, releases and the audit trail go
on; the old frames stay in the file that was set aside; meta `gap` tells that the chain has a hole.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from edge_scanner.core.errors import DiskFullError, StorageError
from edge_scanner.device import statements as sql
from edge_scanner.device import storefiles as files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL_TABLES = ("boot", "segment", "leaf", "release", "outbox", "audit", "nonce", "meta")
"""Checked at every start; 1 to 20 MB together."""

RESCUED_TABLES = ("boot", "leaf", "release", "outbox", "audit", "nonce", "meta")
"""Carried over from a damaged database. Headers stay with their frames."""

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def ready(path: Path) -> None:
    """Leave a database of the newest schema at `path`, whatever was there. Raises StorageError."""
    files.check(path)
    files.finish_replacing(path)
    if files.strays(path):
        files.set_aside(path)
    if not path.exists():
        files.create(path)
    try:
        sound = not files.marked(path) and _usable(path)
    except sqlite3.Error as error:
        if not damaged(error):
            raise translate(error, path) from error
        sound = False
    if not sound:
        replace(path)


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version, each step in one transaction. StorageError for somebody else's file."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    steps = sql.migrations()
    if version > len(steps):
        raise StorageError(
            f"the database has schema {version}, this program knows {len(steps)}",
            where=str(path),
            hint="install the newer program again",
        )
    if owner != sql.APPLICATION_ID and (owner or version or db.execute("SELECT 1 FROM sqlite_schema").fetchone()):
        raise StorageError("this is not an edge-scanner database", where=str(path), hint="name another file")
    for number in range(version, len(steps)):
        try:
            db.executescript(sql.migration(number + 1, steps[number]))
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def replace(path: Path) -> Path:
    """Set the damaged database aside and put a new one in its place; return the damaged one's new name."""
    files.room_for_one_more(path)
    new = files.begin_replacing(path)
    try:
        with _open(new) as db:
            migrate(db, new)
            db.execute("BEGIN IMMEDIATE")
            with contextlib.suppress(sqlite3.Error), _open(path, read_only=True) as old:
                for table in RESCUED_TABLES:
                    _rescue(old, db, table)
            db.execute("INSERT OR REPLACE INTO meta(name, value) VALUES ('gap', 1)")
            db.execute("COMMIT")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise translate(error, new) from error
    set_aside = files.set_aside(path)
    files.finish_replacing(path)
    return set_aside


def _rescue(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    """Copy the rows of one table up to the first that cannot be read."""
    insert = None
    with contextlib.suppress(sqlite3.DatabaseError):
        for row in old.execute(f"SELECT * FROM {table}"):  # noqa: S608 [constant]
            insert = insert or f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})"  # noqa: S608 [constant]
            new.execute(insert, row)


@contextlib.contextmanager
def _open(path: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(uri(path, read_only=read_only), uri=True, isolation_level=None)
    try:
        for pragma in sql.READER_PRAGMAS if read_only else sql.PRAGMAS:
            db.execute(pragma)
        yield db
    finally:
        db.close()


def _usable(path: Path) -> bool:
    """Migrate the file and check the tables that a start reads."""
    with _open(path) as db:
        migrate(db, path)
        return all(db.execute(f"PRAGMA quick_check('{table}')").fetchone()[0] == "ok" for table in SMALL_TABLES)


def uri(path: Path, *, read_only: bool) -> str:
    """The address under which SQLite opens an existing file and never makes one."""
    return f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"


def damaged(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, as opposed to its surroundings."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED


def translate(error: sqlite3.Error, path: Path) -> StorageError:
    """SQLite's refusal as one line: what, where, how to mend."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    where = str(path)
    if code == sqlite3.SQLITE_FULL or (
        code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and files.disk_full(path)
    ):
        return DiskFullError("the disk is full", where=where, hint="free some space")
    if code == sqlite3.SQLITE_READONLY:
        return StorageError("the database cannot be written", where=where, hint="check the mount and the owner")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return StorageError(
            "the database cannot be opened", where=where, hint="check owner and mode of file and folder"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError("another program holds the database", where=where, hint="stop it first")
    if code in DAMAGED:
        return StorageError("the database is damaged", where=where, hint="a restart sets it aside and begins a new one")
    return StorageError(f"the database refused: {error}", where=where)
