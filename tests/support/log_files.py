"""A box's log in a database, for tests of the commands that read one."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from edge_scanner.core.model import Batch, LogRows, SealedMinutes
from edge_scanner.device.storage.store import open_store
from tests.support.sealed_logs import HOUR_S

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sealed_logs import Box

VIET_NAM = timezone(timedelta(hours=7), "ICT")


async def store_rows(path: Path, box: Box, drop_segments_before: int | None) -> None:
    """The box's rows into the database, with two audit entries."""
    stored = box.stored
    rows = LogRows(
        boots=tuple(stored.boots),
        headers=tuple(stored.headers),
        frames=tuple(frame for frames in stored.frames.values() for frame in frames),
        leaves=tuple(stored.leaves),
        minutes=tuple(SealedMinutes(seq=seq, minutes=bits) for seq, bits in stored.minutes.items()),
    )
    async with open_store(path) as store:
        await store.commit(Batch(rows=rows, drop_segments_before=drop_segments_before))
        await store.audit_append(b'{"event":"request"}')
        await store.audit_append(b'{"event":"refusal"}')


def put(path: Path, box: Box, *, drop_segments_before: int | None = None) -> None:
    """The box's rows into the database, with two audit entries."""
    asyncio.run(store_rows(path, box, drop_segments_before))


def edit(path: Path, statement: str, *values: object) -> None:
    """What somebody with root and SQLite does to the file; the triggers do not stop him."""
    db = sqlite3.connect(path)
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.execute(statement, values)
    db.commit()
    db.close()


def utc(after_s: int) -> str:
    """A moment of the box's log, as a command takes and prints it."""
    return datetime.fromtimestamp(HOUR_S + after_s, UTC).isoformat().replace("+00:00", "Z")
