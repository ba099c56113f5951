"""The power goes at any instant: what was acknowledged is there, the database opens, no batch is half there."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.model import MessageKind
from edge_scanner.device.storage import database
from edge_scanner.device.storage import files as storefiles
from edge_scanner.device.storage.statements import StoreLimits, statements
from edge_scanner.device.storage.store import open_store
from tests.support import powercut
from tests.support.batches import SEGMENT_FRAMES, batch, frame, message
from tests.support.tiers import part_and_whole

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import Batch

MINUTES = 210


def story() -> list[Batch]:
    """Three and a half hours: a commit a minute, status messages, and each full hour the segment before last goes."""
    return [
        batch(
            [minute],
            messages=[message(MessageKind.STATUS, minute)] if minute % 7 == 0 else [],
            drop_segments_before=minute // SEGMENT_FRAMES - 1 if minute and minute % SEGMENT_FRAMES == 0 else None,
        )
        for minute in range(MINUTES)
    ]


def outcome(folder: Path, files: dict[str, bytes], acknowledged: int) -> str:
    """What the store finds on a disk that a cut left: "whole", or how it fails."""
    for name, content in files.items():
        file = folder / name
        file.write_bytes(content)
        file.chmod(0o600)
    path = folder / "log.db"
    database.ready(path)
    if storefiles.aside(path):
        return "unreadable"
    db = sqlite3.connect(path)
    try:
        if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            return "corrupt"
        frames = dict(db.execute("SELECT id, ciphertext FROM frame"))
        leaves = [row[0] for row in db.execute("SELECT seq FROM leaf ORDER BY seq")]
        headers = [row[0] for row in db.execute("SELECT seq FROM segment ORDER BY seq")]
        keys = {row[0] for row in db.execute("SELECT key FROM outbox")}
        minutes = {(seq, m) for seq, bits in db.execute("SELECT * FROM recorded") for m in range(60) if bits >> m & 1}
    except sqlite3.DatabaseError:
        return "corrupt"
    finally:
        db.close()
    done = max(((key >> 20) * SEGMENT_FRAMES + (key & 0xFFFFF) for key in frames), default=-1) + 1
    if done < acknowledged:
        return "lost"
    # The batch under way may be there as well, but then all of it, and the file is exactly what `done` batches make.
    kept_from = max(0, (done - 1) // SEGMENT_FRAMES - 1) * SEGMENT_FRAMES
    expected = {one.seq << 20 | one.number: one.ciphertext for one in map(frame, range(kept_from, done))}
    whole = (
        done <= acknowledged + 1
        and frames == expected
        and minutes == {(key >> 20, key & 0xFFFFF) for key in expected}
        and leaves == list(range(done // SEGMENT_FRAMES))
        and headers == sorted({key >> 20 for key in expected})
        and keys == {one.key for each in story()[:done] for one in each.messages}
    )
    return "whole" if whole else "torn"


def outcomes(tmp_path: Path, *, synchronous: str, count: int, seed: int) -> Counter[str]:
    """How often each outcome happens over `count` cuts."""
    recording = tmp_path / "recording"
    recording.mkdir(mode=0o700)
    events = powercut.record(recording, story(), synchronous=synchronous)
    found: Counter[str] = Counter()
    for number, (acknowledged, files) in enumerate(powercut.cuts(events, count, random.Random(seed))):
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o700)
        found[outcome(folder, files, acknowledged)] += 1
        for file in folder.iterdir():
            file.unlink()
    return found


@pytest.mark.parametrize("cuts", part_and_whole(60, 600))
def test_no_acknowledged_frame_is_lost_at_power_cuts(tmp_path: Path, cuts: int) -> None:
    """Torn and reordered writes at random instants: every database opens and holds whole batches, none missing."""
    assert outcomes(tmp_path, synchronous="FULL", count=cuts, seed=1) == {"whole": cuts}


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_the_harness_can_fail(tmp_path: Path, synchronous: str) -> None:
    """With weaker syncs the same cuts do lose frames or databases, so a clean result means something."""
    found = outcomes(tmp_path, synchronous=synchronous, count=40, seed=2)

    assert sum(found.values()) - found["whole"] > 5


async def test_the_store_runs_what_the_harness_runs(tmp_path: Path) -> None:
    """Statement by statement, a commit through aiosqlite is the sequence whose durability was shown."""
    given = batch(range(60), messages=[message(MessageKind.STATUS, 1)], drop_segments_before=0)
    traced: list[str] = []
    settings = ("journal_mode", "synchronous", "wal_autocheckpoint")
    async with open_store(tmp_path / "state" / "log.db") as store:
        assert [await store._value(f"PRAGMA {name}") for name in settings] == ["wal", 2, 64]
        await store._db.set_trace_callback(traced.append)
        await store.commit(given)
    expected = ["BEGIN IMMEDIATE"]
    for statement in statements(given, StoreLimits()):
        expected += [" ".join(statement.sql.split("?")[0].split())] * len(statement.rows)
    expected += ["COMMIT"]

    # A trigger's program is traced under the text of the statement that fired it.
    runs = [" ".join(text.split()) for text, _ in groupby(traced)]
    assert [run[: len(start)] for run, start in zip(runs, expected, strict=True)] == expected
