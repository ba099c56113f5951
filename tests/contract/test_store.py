"""What every user of the store may rely on: whole commits, idempotent keys, order, and what comes back."""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import StorageError
from edge_scanner.core.model import Batch, BootRecord, Frame, Leaf, LogRows, MessageKind, Release
from edge_scanner.device.storage.store import Store, open_reader, open_store
from tests.support.batches import batch, frame, message
from tests.support.stored import database, frames
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

path = pytest.fixture(database)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """What another program finds in the file."""
    db = sqlite3.connect(path)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


async def test_batch_comes_back_as_it_was_committed(path: Path) -> None:
    """Boots, headers, frames, leaves, releases and messages are read back equal and in order."""
    given = batch(range(130), messages=[message(MessageKind.STATUS, 1)])

    async with open_store(path) as store:
        await store.commit(given)

        assert [one async for one in store.boots()] == list(given.rows.boots)
        assert [one async for one in store.headers(0.0, 1e9)] == list(given.rows.headers)
        assert [one for seq in range(3) for one in await frames(store, seq)] == list(given.rows.frames)
        assert [one async for one in store.leaves()] == list(given.rows.leaves)
        assert tuple(await store.releases(0.0)) == given.releases
        assert [row.message for row in await store.oldest(100)] == list(given.messages)


async def test_the_same_batch_again_changes_nothing(path: Path) -> None:
    """A batch is committed again after a cancellation; the file holds each row once."""
    given = batch(range(61))

    async with open_store(path) as store:
        await store.commit(given)
        before = await store.summary()
        await store.commit(given)

        assert await store.summary() == replace(before, bytes_on_disk=(await store.summary()).bytes_on_disk)


@pytest.mark.parametrize(
    "other",
    [
        Batch(rows=LogRows(boots=(BootRecord(number=0, record=b"other"),))),
        Batch(rows=LogRows(headers=(replace(batch([0]).rows.headers[0], header=b"other"),))),
        Batch(rows=LogRows(frames=(Frame(seq=0, number=5, ciphertext=b"other"),))),
        Batch(rows=LogRows(leaves=(Leaf(seq=0, digest=bytes(32)),))),
        Batch(releases=(Release(ledger="broker", bin_start_s=0, body=b"fresh noise"),)),
        Batch(messages=(replace(message(MessageKind.COUNTS, 0), payload=b"fresh noise"),)),
    ],
    ids=["boot", "header", "frame", "leaf", "release", "message"],
)
async def test_another_value_under_a_known_key_is_refused_whole(path: Path, other: Batch) -> None:
    """A frame is never overwritten and noise never drawn twice; the rest of such a batch is not kept either."""
    async with open_store(path) as store:
        await store.commit(batch(range(60)))
        mixed = replace(other, rows=replace(other.rows, frames=(*other.rows.frames, frame(60))))

        with pytest.raises(StorageError, match="another value under a known key"):
            await store.commit(mixed)

        assert await frames(store, 1) == []
        await store.commit(batch([60]))
        assert await frames(store, 1) == [frame(60)]


async def test_cancelled_commits_lose_and_duplicate_nothing(path: Path) -> None:
    """300 commits cancelled at random moments: with peek, commit, forget every minute is there once, in order."""
    dice = random.Random(3)
    waiting: list[int] = []
    cancelled = 0

    async def flush(store: Store) -> None:
        peeked = tuple(waiting)
        await store.commit(batch(peeked))
        del waiting[: len(peeked)]

    async with open_store(path) as store:
        for minute in range(300):
            waiting.append(minute)
            task = asyncio.create_task(flush(store))
            await asyncio.sleep(dice.random() * 0.0015)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1
            assert not store._db.in_transaction
        await flush(store)
        found = [one for seq in range(5) for one in await frames(store, seq)]
        sent = [row.message.key for row in await store.oldest(100)]

    assert found == [frame(n) for n in range(300)]
    assert sent == [f"{kind}-{seq}" for seq in range(5) for kind in ("counts", "checkpoint")]
    assert cancelled > 20


async def test_cancelled_commit_has_ended_when_the_cancellation_arrives(path: Path) -> None:
    """The caller sees CancelledError only after its transaction is on the disk or gone, never in between."""
    async with open_store(path) as store:
        task = asyncio.create_task(store.commit(batch([0])))
        await asyncio.sleep(0)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

        assert rows(path, "SELECT count(*) FROM frame") == [(1,)]


async def test_cancelled_twice_still_leaves_no_open_transaction(path: Path) -> None:
    """A second cancellation reaches the caller at once; the transaction goes on and close waits for it."""
    async with open_store(path) as store:
        task = asyncio.create_task(store.commit(batch(range(60))))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert rows(path, "SELECT count(*) FROM frame") == [(60,)]


async def test_commits_from_several_tasks_do_not_mix(path: Path) -> None:
    """One writer: transactions queue up, and a refused one takes nothing of its neighbours with it."""
    async with open_store(path) as store:
        await store.commit(batch([0]))
        bad = Batch(rows=LogRows(frames=(frame(900), Frame(seq=0, number=0, ciphertext=b"other"))))

        results = await asyncio.gather(
            *(store.commit(bad if n == 5 else batch([n])) for n in range(1, 10)), return_exceptions=True
        )

        assert [type(result) for result in results if result] == [StorageError]
        assert await frames(store, 0) == [frame(n) for n in range(10) if n != 5]
        assert await frames(store, 15) == []


async def test_log_state_of_an_empty_box(path: Path) -> None:
    """A new box begins with segment 0, boot 0 and no leaf."""
    async with open_store(path) as store:
        state = await store.log_state()

    assert (state.next_segment, state.next_boot, state.leaves, state.newest, state.frames, state.gap) == (
        0, 0, (), None, (), False,
    )  # fmt: skip


async def test_log_state_hands_over_the_unfinished_segment(path: Path) -> None:
    """After a power cut the next run gets the open segment's header and frames, to make its leaf from."""
    given = batch(range(70))
    async with open_store(path) as store:
        await store.commit(given)
    async with open_store(path) as store:
        state = await store.log_state()

    assert (state.next_segment, state.next_boot) == (2, 1)
    assert state.newest == given.rows.headers[1]
    assert state.frames == given.rows.frames[60:]
    assert state.leaves == given.rows.leaves


async def test_headers_are_chosen_by_time_overlap(path: Path) -> None:
    """A window takes every segment that may hold one of its minutes, also the one that opened before it."""
    async with open_store(path) as store:
        await store.commit(batch(range(240)))

        assert [header.seq async for header in store.headers(3700.0, 7200.0)] == [1]
        assert [header.seq async for header in store.headers(3600.0, 7201.0)] == [1, 2]


async def test_long_reads_come_in_chunks_between_which_commits_go_on(path: Path) -> None:
    """A reader that pauses in the middle of 600 rows of a table keeps no commit waiting and misses nothing."""
    async with open_store(path) as store:
        await store.commit(Batch(rows=LogRows(boots=tuple(BootRecord(number=n, record=b"x") for n in range(600)))))
        seen = []
        async for boot in store.boots():
            seen.append(boot.number)
            if boot.number == 100:
                await asyncio.wait_for(store.commit(batch([60])), PATIENCE_S)

    assert seen == list(range(600))


async def test_audit_trail_is_chained_and_announced_in_one_transaction(path: Path) -> None:
    """Each entry's digest covers the one before; the message that announces it is in the outbox with it."""
    async with open_store(path) as store:
        heads = [store.audit_head]
        first = await store.audit_append(b'{"event":"request"}')
        heads.append(store.audit_head)
        second = await store.audit_append(
            b'{"event":"answer"}',
            nonce=(b"n" * 16, 5e9),
            announce=lambda row: message(MessageKind.AUDIT, row.number),
        )
        seen = await store.nonce_seen(b"n" * 16)
        announced = [row.message.key for row in await store.oldest(9)]
        trail = [row async for row in store.audit_rows()]
        tail = [row async for row in store.audit_rows(1)]
    async with open_store(path) as store:
        heads.append(store.audit_head)

    assert heads == [None, first.digest, second.digest]
    assert first.digest == hashlib.sha256(b"\x02" + bytes(32) + b'{"event":"request"}').digest()
    assert second.digest == hashlib.sha256(b"\x02" + first.digest + b'{"event":"answer"}').digest()
    assert (trail, tail) == ([first, second], [second])
    assert seen
    assert announced == ["audit-1"]


async def test_a_seen_nonce_appends_nothing(path: Path) -> None:
    """A replayed request cannot enter the trail under the nonce that was used."""
    async with open_store(path) as store:
        await store.audit_append(b"{}", nonce=(b"n", 1.0))

        with pytest.raises(StorageError):
            await store.audit_append(b"[]", nonce=(b"n", 1.0))

        assert [row.entry async for row in store.audit_rows()] == [b"{}"]
        assert not await store.nonce_seen(b"m")


@pytest.mark.parametrize("statement", ["DELETE FROM leaf", "UPDATE leaf SET digest = x'00'", "DELETE FROM audit"])
async def test_the_file_itself_refuses_to_rewrite_history(path: Path, statement: str) -> None:
    """Leaves and audit entries cannot be changed or deleted through SQL by mistake."""
    async with open_store(path) as store:
        await store.commit(batch(range(60)))
        await store.audit_append(b"{}")
    db = sqlite3.connect(path)

    with pytest.raises(sqlite3.IntegrityError, match="kept for ever"):
        db.execute(statement)

    db.close()


async def test_small_facts_survive(path: Path) -> None:
    """Meta keeps text, bytes and numbers as they were set; an unknown name gives None."""
    async with open_store(path) as store:
        await store.set_meta("clock", 1.5)
        await store.set_meta("calibration", b"\x01\x02")
    async with open_store(path) as store:
        assert await store.meta("clock") == 1.5
        assert await store.meta("calibration") == b"\x01\x02"
        assert await store.meta("nothing") is None


async def test_reader_sees_the_running_store_and_cannot_write(path: Path) -> None:
    """A reader keeps the snapshot of its opening; a second writer and a write through a reader are refused."""
    async with open_store(path) as store:
        await store.commit(batch(range(60)))
        async with open_reader(path) as reader:
            assert (await reader.summary()).frames == 60
            await store.commit(batch([60]))
            assert (await reader.summary()).frames == 60
            with pytest.raises(StorageError):
                await reader.commit(batch([61]))
        async with open_reader(path) as reader:
            assert (await reader.summary()).frames == 61
        with pytest.raises(StorageError, match="another program writes"):
            async with open_store(path):
                pass


async def test_summary_counts_and_dates(path: Path) -> None:
    """Status figures: segments, frames, first and last record, outbox."""
    async with open_store(path) as store:
        empty = await store.summary()
        await store.commit(batch(range(90)))
        full = await store.summary()

    assert (empty.segments, empty.frames, empty.oldest_s, empty.newest_s, empty.last_segment) == (
        0,
        0,
        None,
        None,
        None,
    )
    assert (full.segments, full.frames, full.leaves, full.boots) == (2, 90, 1, 1)
    assert (full.oldest_s, full.newest_s) == (0.0, 90 * 60.0)
    assert (full.first_segment, full.last_segment) == (0, 1)
    assert (full.outbox_rows, full.outbox_bytes) == (2, 660)
    assert full.bytes_on_disk > 90 * 4096


def test_process_ends_although_the_program_crashes_in_the_block(tmp_path: Path) -> None:
    """A forgotten close would keep the process alive for ever; leaving the block by an exception closes, too."""
    program = (
        "import asyncio, pathlib, sys\n"
        "from edge_scanner.device.storage.store import open_store\n"
        "async def main():\n"
        "    async with open_store(pathlib.Path(sys.argv[1])):\n"
        "        raise SystemExit(3)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "log" / "log.db")], check=False)

    assert done.returncode == 3
