"""Disks and files in trouble: one clear line, what can be kept is kept, a damaged database is set aside."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import DiskFullError, StorageError
from edge_scanner.device.storage import files as storefiles
from edge_scanner.device.storage.statements import frame_id
from edge_scanner.device.storage.store import Store, open_reader, open_store
from tests.support import disks
from tests.support.batches import batch, frame
from tests.support.stored import filled, frame_count

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.system
async def test_full_disk_keeps_what_is_there_and_takes_the_batch_later(tmp_path: Path) -> None:
    """Commits fail whole while the disk is full, reading goes on, and the same batches go in once there is room."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    path = folder / "log.db"
    with disks.tmpfs(folder, 2):
        async with open_store(path) as store:
            await store.commit(batch(range(60)))
            ballast = disks.fill(folder)
            refused = [minute for minute in range(60, 200) if not await fits(store, minute)]
            assert await frame_count(store, 0) == 60
            ballast.unlink()
            for minute in range(60, 200):
                await store.commit(batch([minute]))
            assert [await frame_count(store, seq) for seq in range(4)] == [60, 60, 60, 20]
        assert len(refused) > 100


async def fits(store: Store, minute: int) -> bool:
    """Whether the disk takes a minute's commit; what it raises otherwise is one clear line."""
    try:
        await store.commit(batch([minute]))
    except DiskFullError as error:
        return not str(error).startswith("the disk is full (")
    return True


async def test_file_that_may_not_grow_takes_the_batch_later(path: Path) -> None:
    """The same where SQLite itself finds no room: the transaction is gone as a whole and the connection goes on."""
    async with open_store(path) as store:
        await store.commit(batch(range(60)))
        pages = await store._value("PRAGMA page_count")
        await store._read(f"PRAGMA max_page_count = {pages + 20}")
        with pytest.raises(DiskFullError, match="the disk is full"):
            await store.commit(batch(range(60, 120)))
        assert await frame_count(store, 1) == 0
        await store._read("PRAGMA max_page_count = 1000000")
        await store.commit(batch(range(60, 120)))
        assert await frame_count(store, 1) == 60


@pytest.mark.system
async def test_full_disk_does_not_stop_a_log_that_reached_its_size(tmp_path: Path) -> None:
    """Once retention frees what each hour needs, WAL and database have their room: other files' flood costs nothing."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with disks.tmpfs(folder, 8):
        async with open_store(folder / "log.db") as store:
            for minute in range(720):
                if minute == 480:
                    disks.fill(folder)
                drop = minute // 60 - 3 if minute % 60 == 0 and minute >= 240 else None
                await store.commit(batch([minute], drop_segments_before=drop))
                await store.delete(row.id for row in await store.oldest(10))

            assert [await frame_count(store, seq) for seq in (7, 8, 9, 10, 11)] == [0, 60, 60, 60, 60]


@pytest.mark.system
async def test_start_on_a_full_disk_says_so(tmp_path: Path) -> None:
    """No loop of crashes that nobody understands: one line, and it may be waited out."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with disks.tmpfs(folder, 1):
        disks.fill(folder)

        with pytest.raises(DiskFullError, match="the disk is full"):
            async with open_store(folder / "log.db"):
                pass


async def test_read_only_disk_is_one_clear_line(path: Path) -> None:
    """The scanner refuses to start on it; the commands that only read still work."""
    await filled(path)

    with disks.read_only(path.parent):
        with pytest.raises(StorageError, match=r"check owner, mode and mount|cannot be written"):
            async with open_store(path):
                pass
        async with open_reader(path) as reader:
            assert (await reader.summary()).frames == 150


async def test_disk_that_becomes_read_only_keeps_the_batch_for_later(path: Path) -> None:
    """ext4 remounts itself read-only on an error: each commit says so, nothing is half written, and all is read."""
    async with open_store(path) as store:
        await store.commit(batch([0]))
        await store._read("PRAGMA query_only = ON")
        with pytest.raises(StorageError, match="cannot be written"):
            await store.commit(batch([1]))
        await store._read("PRAGMA query_only = OFF")
        await store.commit(batch([1]))

        assert await frame_count(store, 0) == 2


@pytest.mark.parametrize(
    ("name", "mode", "hint"),
    [("log.db", 0o644, "chmod 600"), ("log.db", 0o660, "chmod 600"), (".", 0o755, "chmod o-rwx")],
    ids=["world-readable", "group-writable", "open directory"],
)
async def test_wrong_rights_are_refused_with_the_remedy(path: Path, name: str, mode: int, hint: str) -> None:
    """A log that others may read or reach is refused, not silently mended."""
    await filled(path)
    (path.parent / name).chmod(mode)

    with pytest.raises(StorageError, match=hint):
        async with open_store(path):
            pass


async def test_link_in_place_of_the_database_is_refused(path: Path, tmp_path: Path) -> None:
    """Nobody redirects the log to a file elsewhere."""
    await filled(path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StorageError, match="not a regular file"):
        async with open_store(path):
            pass


@pytest.mark.parametrize("side", [".lock", ".numbers", ".damaged"])
@pytest.mark.parametrize("there", [True, False])
async def test_no_link_beside_the_database_is_followed(path: Path, tmp_path: Path, side: str, *, there: bool) -> None:
    """Whoever may write in the folder has root write into, or make, no file of root's; nor does a pipe hold it up."""
    await filled(path)
    mine, beside = tmp_path / "mine", path.with_name(path.name + side)
    beside.unlink(missing_ok=True)
    if there:
        mine.write_bytes(b"root's own file " * 20)
        mine.chmod(0o600)
    before = mine.read_bytes() if there else None
    beside.symlink_to(mine)

    with pytest.raises(StorageError, match="not a regular file"):
        async with open_store(path):
            pass
    storefiles.mark_damaged(path)
    if side == ".numbers":
        with pytest.raises(StorageError):
            storefiles.write_numbers(path, storefiles.Numbers(segment=7, boot=7))

    assert (mine.read_bytes() if mine.exists() else None) == before
    beside.unlink()
    os.mkfifo(beside, 0o600)
    with pytest.raises(StorageError, match="not a regular file"):
        async with open_store(path):
            pass


async def test_everything_it_makes_is_private(path: Path) -> None:
    """Database, side files, lock and numbers can be read by their owner only, whatever the umask."""
    before = os.umask(0)
    try:
        async with open_store(path) as store:
            await store.commit(batch([0]))
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert set(modes) == {"log.db", "log.db-wal", "log.db-shm", "log.db.lock", "log.db.numbers"}
    assert set(modes.values()) == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_newer_schema_is_left_alone(path: Path) -> None:
    """An older program after a roll-back of the software refuses a newer file instead of guessing."""
    await filled(path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(StorageError, match=r"schema 99, this program knows 3 .*install the newer program"):
        async with open_store(path):
            pass

    assert storefiles.aside(path) == ()


async def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    """A wrong path in the settings destroys nothing."""
    path.parent.mkdir(mode=0o700)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs(x)")
    db.close()
    path.chmod(0o600)

    with pytest.raises(StorageError, match="not an edge-scanner database"):
        async with open_store(path):
            pass


async def test_deleted_frames_leave_no_trace_in_the_files(path: Path) -> None:
    """Whole segments go; an hour later neither database nor WAL holds a piece of any of their frames."""
    async with open_store(path) as store:
        for minute in range(360):
            drop = minute // 60 - 2 if minute % 60 == 0 and minute >= 180 else None
            await store.commit(batch([minute], drop_segments_before=drop))
        files = path.read_bytes() + path.with_name("log.db-wal").read_bytes()
        kept = [header.seq async for header in store.headers(0.0, 1e9)]

    gone = [minute for minute in range(180) if frame(minute).ciphertext[:24] in files]
    there = [minute for minute in range(180, 360) if frame(minute).ciphertext[:24] in files]
    assert kept == [3, 4, 5]
    assert gone == []
    assert len(there) == 180


async def test_database_does_not_grow_once_retention_works(path: Path) -> None:
    """Six days with a retention of one: the file is as large at the end as after the first day and an hour."""
    sizes = []
    async with open_store(path) as store:
        for hour in range(6 * 24):
            drop = hour - 24 if hour > 24 else None
            await store.commit(batch(range(60 * hour, 60 * hour + 60), drop_segments_before=drop))
            await store.delete(row.id for row in await store.oldest(100))
            sizes.append((path.stat().st_size, path.with_name("log.db-wal").stat().st_size))

    after_a_day = sizes[26][0]
    assert max(size for size, _ in sizes) <= after_a_day * 1.02
    assert after_a_day < 26 * 60 * 4096 * 1.06
    assert max(wal for _, wal in sizes) < 2_000_000


def test_packed_frame_ids_keep_their_order() -> None:
    """A segment's last possible frame sorts before the next segment's first."""
    assert frame_id(7, (1 << 20) - 1) < frame_id(8, 0) < frame_id(8, 1)
