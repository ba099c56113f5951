"""One way to a database: SQLite or PostgreSQL by URL, its transactions, and its errors as ours.

SQLite: WAL and `synchronous=FULL`, because a message is acknowledged to the broker once the commit returned. A writer
begins with BEGIN IMMEDIATE, so that two collectors wait for one another and never fail half-way.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from edge_scanner.core.errors import BadDataError, ConfigurationError, DiskFullError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_S = 30.0
"""How long SQLite waits for another writer: a collector's commit takes milliseconds, a migration seconds."""
CONNECT_S = 10
"""How long PostgreSQL may take to answer."""
_ROOM_BYTES = 64 * 1024
"""What SQLite needs beside its file before anything is written, rounded up."""
_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON")
_DISK_FULL = ("53100",)
_DAMAGED = ("file is not a database", "disk image is malformed")
"""As SQLite says it."""
_AWAY = ("08", "53", "57", "58")
"""SQLSTATE classes: connection, resources, operator intervention, system error."""


def make_engine(url: str) -> sa.Engine:
    """The engine for a URL; raises ConfigurationError for one that is neither a SQLite file nor PostgreSQL."""
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError as error:
        raise ConfigurationError(
            "not a database URL", where="[database] url", hint="as sqlite:////var/lib/edge-central/central.db"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in {None, "", ":memory:"}:
            raise ConfigurationError(
                "a database in memory keeps nothing", where="[database] url",
                hint="name a file, as sqlite:////var/lib/edge-central/central.db",
            )  # fmt: skip
        engine = sa.create_engine(parsed.set(drivername="sqlite+pysqlite"), connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend == "postgresql":
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            # A cluster that was made without a locale has no encoding of its own, and would answer in bytes.
            connect_args={"connect_timeout": CONNECT_S, "client_encoding": "utf8"},
            pool_pre_ping=True,
        )
    raise ConfigurationError(
        f"{backend} is not a database that the centre can use", where="[database] url", hint="SQLite or PostgreSQL"
    )


def place(engine: sa.Engine) -> str:
    """Where the database is, without its password."""
    return engine.url.database or "" if engine.dialect.name == "sqlite" else engine.url.render_as_string()


@contextlib.contextmanager
def transaction(engine: sa.Engine, *, write: bool = False) -> Iterator[sa.Connection]:
    """A transaction; raises UnavailableError or DiskFullError for what time mends, BadDataError for a damaged file.

    Nothing was kept then.
    """
    with translated(engine), engine.connect().execution_options(immediate=write) as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def translated(engine: sa.Engine) -> Iterator[None]:
    """The database's errors as ours; a mistake of ours in a statement stays what it is."""
    try:
        yield
    except exc.DBAPIError as error:
        where, code = place(engine), getattr(error.orig, "sqlstate", None) or ""
        if code in _DISK_FULL or "disk is full" in str(error.orig) or _has_no_room(engine, error):
            raise DiskFullError("the database's disk is full", where=where) from error
        if any(words in str(error.orig) for words in _DAMAGED):
            raise BadDataError(
                "the database is damaged, or the file is no database", where=where, hint="restore a backup"
            ) from error
        if _is_away(error, code):
            raise UnavailableError("the database cannot be used", where=where, hint=_first_line(error)) from error
        raise


def _is_away(error: exc.DBAPIError, code: str) -> bool:
    if code:
        return code.startswith(_AWAY) or error.connection_invalidated
    return isinstance(error, exc.OperationalError | exc.InterfaceError) or error.connection_invalidated


def _has_no_room(engine: sa.Engine, error: exc.DBAPIError) -> bool:
    """SQLite that finds no room for the files beside its own speaks of an I/O error, or cannot open them."""
    if engine.dialect.name != "sqlite" or not isinstance(error, exc.OperationalError):
        return False
    with contextlib.suppress(OSError):
        return shutil.disk_usage(Path(place(engine)).absolute().parent).free < _ROOM_BYTES
    return False


def _first_line(error: exc.DBAPIError) -> str:
    """The driver's own sentence; it names the fault and no data."""
    return str(error.orig).partition("\n")[0][:200]


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
