"""The box's one database: sealed log, outbox, releases and audit trail, committed together.

Promises (docs/storage.md has the measurements):

* `commit` returns when the batch is on the disk (WAL, synchronous=FULL): a power cut loses nothing that was committed.
* A commit is whole or absent, also when its caller is cancelled (connection.py).
* Committing the same batch again changes nothing; another value under a known key is a StorageError.
* Every error of SQLite is a StorageError: one line, with the remedy. DiskFullError means "nothing of
  this call was kept: keep the batch and try again". A damaged database is set aside under a name with the time, with
  everything but its frames carried over into a new one, and never deleted.

Every read is bounded: long ones come in chunks.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_scanner.core.counts.hours import Hour
from edge_scanner.core.errors import StorageError
from edge_scanner.core.model import BootRecord, Frame, Leaf, Release, SegmentHeader
from edge_scanner.device.storage import database, files
from edge_scanner.device.storage import statements as sql
from edge_scanner.device.storage.connection import READ_ROWS, Connection, connect, to_the_end
from edge_scanner.device.storage.files import Numbers
from edge_scanner.device.storage.rows import AuditRow, LogState, OutboxRow, Span, Summary
from edge_scanner.device.storage.statements import Statement, StoreLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from edge_scanner.core.model import Batch, Message
    from edge_scanner.device.storage.connection import Handle

__all__ = ["AuditRow", "LogState", "OutboxRow", "Store", "StoreLimits", "Summary", "open_store"]

SEGMENT_S = 3600.0
"""A segment covers at most this long after its opening (core/log/writer.py)."""


class Store(Connection):
    """The open database; made by `open_store`."""

    def __init__(self, path: Path, handle: Handle, limits: StoreLimits, *, writes: bool) -> None:
        super().__init__(path, handle, writes=writes)
        self.audit_head: bytes | None = None
        """The newest link of the audit trail, None while it is empty; kept for the writer alone."""
        self.audit_full = False
        """Whether the trail takes no further entry; for the writer alone, too."""
        self._limits = limits
        self._numbers = files.read_numbers(path)

    async def commit(self, batch: Batch) -> None:
        """Commit `batch` as one transaction; on return it survives a power cut.

        Raises DiskFullError (keep the batch and try again) or StorageError.
        """
        await to_the_end(self._commit(batch))

    async def reserve_boot(self, number: int) -> None:
        """Remember that run `number` has begun, in place and without a row: a run that dies young leaves nothing else.

        Raises StorageError.
        """
        await self._remember(-1, number)

    async def _commit(self, batch: Batch) -> None:
        async with self._transaction():
            await self._run(sql.statements(batch, self._limits))
        segment = max((header.seq for header in batch.rows.headers), default=-1)
        boot = max((record.number for record in batch.rows.boots), default=-1)
        await self._remember(segment, boot)

    async def _remember(self, segment: int, boot: int) -> None:
        if segment > self._numbers.segment or boot > self._numbers.boot:
            numbers = Numbers(segment=max(segment, self._numbers.segment), boot=max(boot, self._numbers.boot))
            await asyncio.to_thread(files.write_numbers, self.path, numbers)
            self._numbers = numbers

    async def oldest(self, limit: int, after_id: int = 0) -> list[OutboxRow]:
        """The `limit` oldest outbox rows with an id above `after_id`, at most READ_ROWS, oldest first."""
        rows = await self._read(
            "SELECT id, kind, topic, payload, key, qos, retain, created_s, expires_s FROM outbox"
            " WHERE id > ? ORDER BY id LIMIT ?",
            (after_id, min(limit, READ_ROWS)),
        )
        return [OutboxRow(id=row[0], message=sql.message(row[1:])) for row in rows]

    async def delete(self, ids: Iterable[int]) -> None:
        """Take delivered rows out of the outbox; ids that are gone already are no error."""
        rows = [(one,) for one in ids]
        if rows:
            await to_the_end(self._transact([Statement("DELETE FROM outbox WHERE id = ?", rows)]))

    async def outbox_size(self) -> int:
        """Messages waiting."""
        return int(await self._value("SELECT count(*) FROM outbox"))

    async def outbox_dropped(self) -> int:
        """Messages that had to make room since this database began."""
        return int(await self._value("SELECT value FROM meta WHERE name = 'outbox_dropped'"))

    async def log_state(self) -> LogState:
        """Where the log stands, for the process run that begins now."""
        newest = int(await self._value(sql.NEWEST_SEGMENT))
        boot = int(await self._value("SELECT coalesce(max(number), -1) FROM boot"))
        found = await self._read("SELECT seq, opened_s, header FROM segment ORDER BY seq DESC LIMIT 1")
        header = SegmentHeader(seq=found[0][0], opened_s=found[0][1], header=found[0][2]) if found else None
        leaves = tuple([leaf async for leaf in self.leaves()])
        return LogState(
            next_segment=newest + 1,
            next_boot=max(boot, self._numbers.boot) + 1,
            leaves=leaves,
            newest=header,
            frames=tuple([frame async for frame in self.frames(header.seq)]) if header else (),
            gap=any(leaf.digest == sql.LOST for leaf in leaves),
        )

    async def headers(self, from_s: float, to_s: float) -> AsyncIterator[SegmentHeader]:
        """Segments that may hold a minute of [from_s, to_s), by their opening time, in order of number."""
        async for row in self._pages(
            "SELECT seq, opened_s, header FROM segment WHERE seq > ? AND opened_s > ? AND opened_s < ? ORDER BY seq",
            (from_s - SEGMENT_S, to_s),
        ):
            yield SegmentHeader(seq=row[0], opened_s=row[1], header=row[2])

    async def segments(self) -> list[tuple[int, float]]:
        """Number and opening time (UTC s) of every stored segment, in order: what retention.plan asks for."""
        return [
            (row[0], row[1])
            async for row in self._pages("SELECT seq, opened_s FROM segment WHERE seq > ? ORDER BY seq")
        ]

    async def spans(self) -> list[Span]:
        """Every stored segment in order: its hour, its frames, and its minutes."""
        known = "NULL"
        if await self._read("SELECT 1 FROM sqlite_schema WHERE name = 'recorded'"):
            known = "(SELECT minutes FROM recorded WHERE recorded.seq = segment.seq)"
        newest = "(SELECT max(id) FROM frame WHERE id >= seq << 20 AND id < seq + 1 << 20)"
        query = (
            f"SELECT seq, opened_s, coalesce(({newest} & 1048575) + 1, 0), {known}"  # noqa: S608 [constants]
            " FROM segment WHERE seq > ? ORDER BY seq"
        )
        return [Span(hour_s=row[1], frames=row[2], minutes=row[3]) async for row in self._pages(query)]

    async def frames(self, seq: int) -> AsyncIterator[Frame]:
        """The frames of one segment in order."""
        async for row in self._pages(
            "SELECT id, ciphertext FROM frame WHERE id > ? AND id < ? ORDER BY id",
            (sql.frame_id(seq + 1, 0),),
            first=sql.frame_id(seq, 0) - 1,
        ):
            yield sql.frame((row[0], row[1]))

    async def leaves(self) -> AsyncIterator[Leaf]:
        """Every leaf since the box began, in order."""
        async for row in self._pages("SELECT seq, digest FROM leaf WHERE seq > ? ORDER BY seq"):
            yield Leaf(seq=row[0], digest=row[1])

    async def boots(self) -> AsyncIterator[BootRecord]:
        """Every boot record, in order."""
        async for row in self._pages("SELECT number, record FROM boot WHERE number > ? ORDER BY number"):
            yield BootRecord(number=row[0], record=row[1])

    async def releases(self, since_s: float) -> list[Release]:
        """Releases of bins that began at or after `since_s`, oldest bin first (at most `StoreLimits.releases`)."""
        rows = await self._read(
            "SELECT ledger, bin_start_s, body FROM release WHERE bin_start_s >= ? ORDER BY bin_start_s, ledger LIMIT ?",
            (since_s, self._limits.releases),
        )
        return [Release(ledger=row[0], bin_start_s=row[1], body=row[2]) for row in rows]

    async def hours(self, from_s: float, to_s: float) -> list[Hour]:
        """Released hours that began in [from_s, to_s), in the order of time (at most `StoreLimits.hours`)."""
        rows = await self._read(
            "SELECT start_s, minutes, nearby, scale, parts FROM hour WHERE start_s >= ? AND start_s < ? ORDER BY 1",
            (from_s, to_s),
        )
        return [Hour(start_s=row[0], minutes=row[1], nearby=row[2], scale=row[3], parts=row[4]) for row in rows]

    async def audit_append(
        self,
        entry: bytes,
        *,
        nonce: tuple[bytes, float] | None = None,
        announce: Callable[[AuditRow], Message] | None = None,
    ) -> AuditRow:
        """Append `entry` to the audit trail; remember `nonce` (bytes, expiry UTC s) and queue `announce(row)` with it.

        Raises StorageError when the trail is full (StoreLimits.audit_entries) or the nonce was seen.
        """
        return await to_the_end(self._append(entry, nonce, announce))

    async def _append(
        self, entry: bytes, nonce: tuple[bytes, float] | None, announce: Callable[[AuditRow], Message] | None
    ) -> AuditRow:
        async with self._transaction():
            last = list(
                await self._db.execute_fetchall("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1")
            )
            number, previous = (last[0][0] + 1, last[0][1]) if last else (0, bytes(32))
            if number >= self._limits.audit_entries:
                raise StorageError("the audit trail is full", where=str(self.path), hint="export it and renew the box")
            row = AuditRow(number=number, entry=entry, digest=audit_digest(previous, entry))
            todo = [
                Statement("INSERT INTO audit(number, entry, digest) VALUES (?, ?, ?)", [(number, entry, row.digest)])
            ]
            if nonce is not None:
                todo += [
                    Statement("INSERT INTO nonce(nonce, expires_s) VALUES (?, ?)", [nonce]),
                    Statement(
                        "DELETE FROM nonce WHERE nonce IN"
                        " (SELECT nonce FROM nonce ORDER BY expires_s DESC LIMIT -1 OFFSET ?)",
                        [(self._limits.nonces,)],
                    ),
                ]
            if announce is not None:
                todo += sql.add_messages((announce(row),), self._limits)
            await self._run(todo)
        self._note_audit(number, row.digest)
        return row

    async def audit_rows(self, first: int = 0) -> AsyncIterator[AuditRow]:
        """The audit trail from entry number `first`, in order."""
        async for row in self._pages(
            "SELECT number, entry, digest FROM audit WHERE number > ? ORDER BY number", first=first - 1
        ):
            yield AuditRow(number=row[0], entry=row[1], digest=row[2])

    async def nonce_seen(self, nonce: bytes) -> bool:
        """Whether a request with this nonce was answered or refused before."""
        return bool(await self._read("SELECT 1 FROM nonce WHERE nonce = ?", (nonce,)))

    async def meta(self, name: str) -> Any:
        """A small fact by name: str, bytes, int or float as it was set; None when it was not."""
        rows = await self._read("SELECT value FROM meta WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    async def set_meta(self, name: str, value: str | bytes | float) -> None:
        """Remember a small fact (the clock's watermark, a calibration)."""
        statement = Statement("INSERT OR REPLACE INTO meta(name, value) VALUES (?, ?)", [(name, value)])
        await to_the_end(self._transact([statement]))

    async def summary(self) -> Summary:
        """Figures for `edge-scanner log status`; costs one look-up per segment."""
        newest = "(SELECT max(id) FROM frame WHERE id >= seq << 20 AND id < seq + 1 << 20)"
        row = (
            await self._read(
                f"SELECT count(*), coalesce(sum((last & 1048575) + 1), 0), min(opened_s), min(seq), max(seq) FROM"  # noqa: S608 [constant]
                f" (SELECT seq, opened_s, {newest} AS last FROM segment)"
            )
        )[0]
        newest_s = await self._read(
            f"SELECT opened_s + 60.0 * coalesce(({newest} & 1048575) + 1, 0) FROM segment ORDER BY seq DESC LIMIT 1"  # noqa: S608 [constant]
        )
        outbox = (await self._read("SELECT count(*), coalesce(sum(length(payload)), 0) FROM outbox"))[0]
        return Summary(
            segments=row[0],
            frames=row[1],
            leaves=int(await self._value("SELECT count(*) FROM leaf")),
            boots=int(await self._value("SELECT count(*) FROM boot")),
            oldest_s=row[2],
            newest_s=newest_s[0][0] if newest_s else None,
            first_segment=row[3],
            last_segment=row[4],
            outbox_rows=outbox[0],
            outbox_bytes=outbox[1],
            outbox_dropped=await self.outbox_dropped(),
            audit_entries=int(await self._value("SELECT count(*) FROM audit")),
            bytes_on_disk=await asyncio.to_thread(files.size, self.path),
        )

    async def _prepare(self) -> None:
        for pragma in sql.PRAGMAS if self._writes else (*sql.READER_PRAGMAS, *sql.SNAPSHOT):
            await self._read(pragma)
        if self._writes:
            newest = await self._read("SELECT number, digest FROM audit ORDER BY number DESC LIMIT 1")
            if newest:
                self._note_audit(*newest[0])

    def _note_audit(self, number: int, digest: bytes) -> None:
        self.audit_head = digest
        self.audit_full = number + 1 >= self._limits.audit_entries


def audit_digest(previous: bytes, entry: bytes) -> bytes:
    """What chains an audit entry to the one before it (32 zeros before the first)."""
    return hashlib.sha256(b"\x02" + previous + entry).digest()


@asynccontextmanager
async def open_store(path: Path, *, limits: StoreLimits = StoreLimits()) -> AsyncIterator[Store]:  # noqa: B008 [frozen]
    """The database at `path`, made ready (database.py) and ours alone to write, until the block ends.

    Raises StorageError: wrong owner or rights, another writer, a newer schema, a full or read-only disk, too many
    damaged databases. A directory that is missing is made (0700); its parent is not.
    """
    await asyncio.to_thread(files.check, path)
    with files.only_writer(path):
        await to_the_end(asyncio.to_thread(database.ready, path))
        async with _connect(path, limits, writes=True) as store:
            yield store


@asynccontextmanager
async def open_in_memory(*, limits: StoreLimits = StoreLimits()) -> AsyncIterator[Store]:  # noqa: B008 [frozen]
    """A database that ends with the block, for a box whose disk cannot be used (standby.py)."""
    store = Store(Path(":memory:"), await connect(":memory:"), limits, writes=True)
    try:
        for number, text in enumerate(sql.migrations(), 1):
            await store._script(sql.migration(number, text))  # noqa: SLF001 [same room]
        yield store
    finally:
        await to_the_end(store._close())  # noqa: SLF001 [same room]


@asynccontextmanager
async def open_appender(path: Path) -> AsyncIterator[Store]:
    """The same database beside a running daemon, for an entry of the audit trail that another program makes.

    One transaction takes its turn with the daemon's (SQLite's write-ahead log has one writer at a time). Raises
    StorageError, also for a medium that cannot be written.
    """
    if not await asyncio.to_thread(path.exists):
        raise StorageError("there is no log", where=str(path), hint="name the database of a box that has run")
    async with _connect(path, StoreLimits(), writes=True) as store:
        yield store


@asynccontextmanager
async def open_reader(path: Path) -> AsyncIterator[Store]:
    """The same database as it is now, for reading only, beside a running daemon or without one. Raises StorageError.

    One snapshot for the whole block: a segment that is finished meanwhile does not look half finished.
    """
    if not await asyncio.to_thread(path.exists):
        raise StorageError("there is no log", where=str(path), hint="name the database of a box that has run")
    async with _connect(path, StoreLimits(), writes=False) as store:
        yield store


@asynccontextmanager
async def _connect(path: Path, limits: StoreLimits, *, writes: bool) -> AsyncIterator[Store]:
    store = Store(path, await connect(path, read_only=not writes), limits, writes=writes)
    try:
        await store._prepare()  # noqa: SLF001 [same room]
        yield store
    finally:
        await to_the_end(store._close())  # noqa: SLF001 [same room]
