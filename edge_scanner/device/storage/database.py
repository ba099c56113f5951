"""The database file made ready before the store lives in it: created, migrated, checked, or set aside and replaced.

Plain `sqlite3`, once per start, in a thread; `connection.py` then opens the same file through aiosqlite.

What is checked at every start is what a start needs: the header, the schema's version and `quick_check` of every table
but `frame`. Checking the whole file reads 86 MB (2 s and more from a card) and says nothing about ciphertext anyway;
`edge-scanner log verify` reads every frame against its hash chain, and a damaged page met later is noticed when it is
read, marks the database and has it set aside by the next start.

Replacing: the new file is built beside the damaged one, with every row that can still be read from every table but
`segment` and `frame`, and only then are the two renamed. Leaves, boot numbers, outbox, releases and the audit trail go
on; the old frames stay in the file that was set aside.

Lost numbers: every segment that was committed once and has neither leaf nor frames any more gets a leaf of 32 zero
bytes. The tree keeps its numbering, the hole is part of every later checkpoint, and a published older checkpoint
contradicts it: nobody can pass off a damaged, replaced or rolled-back log as whole.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Any

from edge_scanner.core.errors import DamagedError, DiskFullError, NotOursError, StorageError
from edge_scanner.device.storage import files
from edge_scanner.device.storage import statements as sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL_TABLES = ("boot", "segment", "recorded", "leaf", "release", "hour", "outbox", "audit", "nonce", "meta")
"""Checked at every start; 1 to 20 MB together."""

RESCUED_TABLES = ("boot", "leaf", "release", "hour", "outbox", "audit", "nonce", "meta")
"""Carried over from a damaged database. Headers and recorded minutes stay with their frames."""

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def ready(path: Path) -> None:
    """Leave a database of the newest schema at `path`, whatever was there. Raises StorageError."""
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
    _continue_numbers(path)


def _continue_numbers(path: Path) -> None:
    """Leave no number unaccounted for that `log.db.numbers` says was committed and this database does not know."""
    known = files.read_numbers(path).segment
    try:
        with _open(path) as db:
            if known > db.execute(sql.NEWEST_SEGMENT).fetchone()[0]:
                _mark_lost(db, known)
    except sqlite3.Error as error:
        raise translate(error, path) from error


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version, each step in one transaction. StorageError for somebody else's file."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    owner = db.execute("PRAGMA application_id").fetchone()[0]
    steps = sql.migrations()
    if version > len(steps):
        raise NotOursError(
            f"the database has schema {version}, this program knows {len(steps)}",
            where=str(path),
            hint="install the newer program again",
        )
    if owner != sql.APPLICATION_ID and (owner or version or db.execute("SELECT 1 FROM sqlite_schema").fetchone()):
        raise NotOursError("this is not an edge-scanner database", where=str(path), hint="name another file")
    for number in range(version, len(steps)):
        try:
            db.executescript(sql.migration(number + 1, steps[number]))
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def replace(path: Path) -> None:
    """Set the damaged database aside and put a new one in its place, with what can be read of everything but frames."""
    files.room_for_one_more(path)
    new = files.begin_replacing(path)
    try:
        with _open(new) as db:
            migrate(db, new)
            db.execute(sql.BEGIN)
            last = -1
            for table in RESCUED_TABLES:
                for row in _readable(path, f"SELECT * FROM {table}"):  # noqa: S608 [constant]
                    # A row that breaks the schema's rules is part of the damage.
                    with contextlib.suppress(sqlite3.IntegrityError):
                        db.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608 [constant]
            db.execute(sql.MISSING_HOURS, (0, sql.FOREVER_S))
            for row in _readable(path, "SELECT seq FROM segment ORDER BY seq DESC LIMIT 1"):
                last = row[0]
            _mark_lost(db, last)
            db.execute(sql.COMMIT)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise translate(error, new) from error
    files.set_aside(path)
    files.finish_replacing(path)


def _readable(path: Path, query: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a damaged database up to the first that cannot be read."""
    try:
        with _open(path, read_only=True) as db:
            rows = db.execute(query)
            while (row := rows.fetchone()) is not None:
                yield row
    except sqlite3.DatabaseError:
        return


def _mark_lost(db: sqlite3.Connection, last: int) -> None:
    """Zero leaves for every segment up to number `last` that has no leaf."""
    db.execute(
        "WITH RECURSIVE number(seq) AS (SELECT 0 WHERE ?1 >= 0 UNION ALL SELECT seq + 1 FROM number WHERE seq < ?1)"
        " INSERT OR IGNORE INTO leaf(seq, digest) SELECT seq, ?2 FROM number WHERE seq NOT IN (SELECT seq FROM leaf)",
        (last, sql.LOST),
    )


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
    mode = "ro" if read_only else "rw"
    wal = path.with_name(path.name + files.SIDE_FILES[0])
    # SQLite wants to write side files even for reading; on a read-only medium it need not, unless a WAL must be read.
    sealed = read_only and not os.access(path.parent, os.W_OK) and not (wal.exists() and wal.stat().st_size)
    return f"{path.absolute().as_uri()}?mode={mode}{'&immutable=1' if sealed else ''}"


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
        return DamagedError("the database is damaged", where=where, hint="a restart sets it aside and begins a new one")
    return StorageError(f"the database refused: {error}", where=where)
