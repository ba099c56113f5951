"""The connection to the box's database: whole transactions, bounded reads, errors of ours. Only importer of aiosqlite.

aiosqlite runs a cancelled statement to its end and leaves a cancelled transaction open. So every transaction runs in a
task of its own that cancellation cannot reach, and the caller is told of the cancellation once it has ended.
SQLite's errors become StorageError here (database.py has the words).

One connection serves reader and writer under one lock: an hour of this box is 60 commits of 5 ms, and a second
connection would only add a way for a long read to pin the WAL.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import aiosqlite

from edge_scanner.device.storage import database, files
from edge_scanner.device.storage import statements as sql

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
    from pathlib import Path

    from edge_scanner.core.errors import StorageError
    from edge_scanner.device.storage.statements import Statement

_Result = TypeVar("_Result")

Handle: TypeAlias = aiosqlite.Connection
"""An open database."""

READ_ROWS = 256
"""Rows a read fetches at once: 1 MB of frames, some ten milliseconds on a Pi, and then the writer may go on."""


async def connect(path: Path | Literal[":memory:"], *, read_only: bool = False) -> Handle:
    """The file at `path`, or a database that ends with its connection. Raises StorageError."""
    if path == ":memory:":
        return await aiosqlite.connect(path, isolation_level=None)
    try:
        return await aiosqlite.connect(database.uri(path, read_only=read_only), uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise database.translate(error, path) from error


class Connection:
    """What every reading and writing of an open database goes through; `writes`: whether damage is ours to mark."""

    def __init__(self, path: Path, handle: Handle, *, writes: bool) -> None:
        self.path = path
        self._writes = writes
        self._db = handle
        self._lock = asyncio.Lock()

    async def _pages(self, text: str, parameters: tuple[object, ...] = (), *, first: int = -1) -> AsyncIterator[Any]:
        """Rows of a query whose first parameter is the key (column 0) to go on after, READ_ROWS at a time."""
        while True:
            rows = await self._read(f"{text} LIMIT {READ_ROWS}", (first, *parameters))
            for row in rows:
                yield row
            if len(rows) < READ_ROWS:
                return
            first = rows[-1][0]

    async def _script(self, text: str) -> None:
        await self._db.executescript(text)

    async def _value(self, text: str) -> Any:
        return (await self._read(text))[0][0]

    async def _read(self, text: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        async with self._lock:
            try:
                return list(await self._db.execute_fetchall(text, parameters))
            except sqlite3.Error as error:
                raise await self._failed(error) from error

    async def _transact(self, todo: Sequence[Statement]) -> None:
        async with self._transaction():
            await self._run(todo)

    async def _run(self, todo: Iterable[Statement]) -> None:
        for statement in todo:
            async with self._db.executemany(statement.sql, statement.rows):
                pass

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        """BEGIN … COMMIT under the lock; whatever goes wrong inside, nothing of it stays."""
        async with self._lock:
            try:
                await self._db.execute_fetchall(sql.BEGIN)
                yield
                await self._db.execute_fetchall(sql.COMMIT)
            except sqlite3.Error as error:
                await self._roll_back()
                raise await self._failed(error) from error
            except BaseException:
                await self._roll_back()
                raise

    async def _roll_back(self) -> None:
        # SQLite rolls back by itself on a full disk; a failing ROLLBACK has nothing left to undo.
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                await self._db.execute_fetchall("ROLLBACK")

    async def _failed(self, error: sqlite3.Error) -> StorageError:
        """The error as ours; damage is marked, so that the next start sets the database aside."""
        if database.damaged(error) and self._writes:
            await asyncio.to_thread(files.mark_damaged, self.path)
        return database.translate(error, self.path)

    async def _close(self) -> None:
        """Wait for a transaction whose caller was cancelled twice, then end aiosqlite's thread."""
        async with self._lock:
            await self._db.close()


async def to_the_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run `work` to its end even when the caller is cancelled, and only then let the cancellation go on."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
