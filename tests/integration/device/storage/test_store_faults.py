"""Disks and files in trouble: one clear line, what can be kept is kept, a damaged database is set aside."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import DamagedError, DiskFullError, StorageError
from edge_scanner.core.model import MessageKind
from edge_scanner.device.storage import files as storefiles
from edge_scanner.device.storage.statements import LOST, frame_id
from edge_scanner.device.storage.store import Store, open_reader, open_store
from tests.support import disks
from tests.support.batches import batch, frame, message

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
INTERIOR = 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database lies."""
    return tmp_path / "state" / "log.db"


async def filled(path: Path, minutes: int = 150) -> None:
    """A database that was closed in order."""
    async with open_store(path) as store:
        await store.commit(batch(range(minutes), messages=[message(MessageKind.AUDIT, 0)]))
        await store.audit_append(b'{"event":"request"}', nonce=(b"nonce", 1.0))
        await store.set_meta("clock_watermark", 7.0)


def pages_of(path: Path, table: str) -> list[int]:
    """The numbers of a table's leaf pages (1 is the first), read from the b-tree (SQLite file format, 1.6)."""
    db = sqlite3.connect(path)
    root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
    db.close()
    content = path.read_bytes()
    found = []
    todo = [int(root)]
    while todo:
        page = todo.pop()
        start = (page - 1) * PAGE
        header = start + (100 if page == 1 else 0)
        if content[header] == INTERIOR:
            cells = int.from_bytes(content[header + 3 : header + 5], "big")
            for index in range(cells):
                cell = start + int.from_bytes(content[header + 12 + 2 * index : header + 14 + 2 * index], "big")
                todo.append(int.from_bytes(content[cell : cell + 4], "big"))
            todo.append(int.from_bytes(content[header + 8 : header + 12], "big"))
        else:
            found.append(page)
    return sorted(found)


def scratch(path: Path, page: int) -> None:
    """What a dying card does to a page."""
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xff" * PAGE)


async def frames(store: Store, seq: int) -> int:
    """How many frames a segment has."""
    return len([one async for one in store.frames(seq)])


async def test_damaged_frames_are_set_aside_and_everything_else_goes_on(path: Path) -> None:
    """A page found unreadable while running: DamagedError, and the next start has a new log with the old one's rest."""
    await filled(path)
    scratch(path, pages_of(path, "frame")[7])
    damaged = path.read_bytes()

    async with open_store(path) as store:
        with pytest.raises(DamagedError, match="damaged"):
            await frames(store, 0)

    async with open_store(path) as store:
        state = await store.log_state()
        await store.commit(batch(range(180, 190)))
        assert await frames(store, 3) == 10
        assert (state.next_segment, state.next_boot, state.newest, state.gap) == (3, 1, None, True)
        assert [leaf.digest == LOST for leaf in state.leaves] == [False, False, True]
        assert [header.seq async for header in store.headers(0.0, 1e9)] == [3]
        assert [row.message.key for row in await store.oldest(9)][-1] == "audit-0"
        assert [row.entry async for row in store.audit_rows()] == [b'{"event":"request"}']
        assert await store.nonce_seen(b"nonce")
        assert await store.meta("clock_watermark") == 7.0
    (aside,) = storefiles.aside(path)
    assert aside.read_bytes() == damaged
    assert not storefiles.marked(path)


@pytest.mark.parametrize("table", ["segment", "leaf", "outbox", "release", "audit", "boot", "meta", "nonce"])
async def test_damage_in_any_small_table_is_found_at_the_start(path: Path, table: str) -> None:
    """One page of any table that a start reads: set aside at once, numbers go on, commits go on."""
    await filled(path)
    scratch(path, pages_of(path, table)[-1])

    async with open_store(path) as store:
        state = await store.log_state()
        await store.commit(batch([180]))

    assert len(storefiles.aside(path)) == 1
    assert (state.next_segment, state.next_boot) == (3, 1)
    assert [leaf.seq for leaf in state.leaves] == [0, 1, 2]
    assert state.gap


async def test_random_damage_never_stops_the_box_for_good(path: Path, tmp_path: Path) -> None:
    """Sixty files with random bytes written over anything: after two starts at most the log takes commits again."""
    await filled(path)
    sound = path.read_bytes()
    dice = random.Random(11)
    for number in range(60):
        broken = bytearray(sound)
        for _ in range(dice.randrange(1, 4)):
            start, size = dice.randrange(len(broken)), dice.choice((1, 16, 512, PAGE))
            broken[start : start + size] = dice.randbytes(len(broken[start : start + size]))
        here = tmp_path / str(number) / "log.db"
        here.parent.mkdir(mode=0o700)
        here.touch(mode=0o600)
        here.write_bytes(broken)
        for start in range(3):
            try:
                async with open_store(here) as store:
                    for seq in range(3):
                        await frames(store, seq)
                    next_segment = (await store.log_state()).next_segment
                    await store.commit(batch(range(60 * next_segment, 60 * next_segment + 5), drop_segments_before=2))
                break
            except StorageError as error:
                assert start < 2, error  # noqa: PT017 [the third start must not fail]


@pytest.mark.parametrize(
    "garbage", [b"", b"\x00" * 8192, b"not a database, a letter" * 400], ids=["empty", "zeros", "text"]
)
async def test_file_that_is_no_database_any_more(path: Path, garbage: bytes) -> None:
    """Nothing can be read: numbers come from the file beside it, and every lost segment has a zero leaf."""
    await filled(path)
    path.write_bytes(garbage)

    async with open_store(path) as store:
        state = await store.log_state()

    assert (state.next_segment, state.next_boot) == (3, 1)
    assert [leaf.digest for leaf in state.leaves] == [LOST] * 3
    assert len(storefiles.aside(path)) == (1 if garbage else 0)


async def test_deleted_database_leaves_a_visible_gap(path: Path) -> None:
    """Somebody deleted the file (and left the WAL): numbers go on, and the hole is in the tree."""
    async with open_store(path) as store:
        await store.commit(batch(range(61)))
        shutil.copytree(path.parent, path.parent.with_name("copy"))
    shutil.rmtree(path.parent)
    path.parent.with_name("copy").rename(path.parent)
    path.unlink()

    async with open_store(path) as store:
        state = await store.log_state()

    assert (state.next_segment, state.next_boot) == (2, 1)
    assert [leaf.digest for leaf in state.leaves] == [LOST] * 2
    assert any(name.name.endswith("Z-wal") for name in path.parent.iterdir())


async def test_older_copy_put_back_leaves_a_visible_gap(path: Path, tmp_path: Path) -> None:
    """A roll-back of the database alone: the numbers it does not know are lost, and its own segments stay."""
    await filled(path, 60)
    shutil.copy(path, tmp_path / "older")
    async with open_store(path) as store:
        await store.commit(batch(range(60, 240)))
    shutil.copy(tmp_path / "older", path)

    async with open_store(path) as store:
        state = await store.log_state()

    assert state.next_segment == 4
    assert [leaf.digest == LOST for leaf in state.leaves] == [False, True, True, True]
    assert state.newest is not None
    assert (state.newest.seq, state.gap) == (0, True)


async def test_power_cut_while_replacing_finishes_at_the_next_start(path: Path) -> None:
    """The successor was built and the damaged file renamed, then the power went: the start goes on from there."""
    await filled(path)
    scratch(path, pages_of(path, "leaf")[0])
    async with open_store(path):
        pass
    path.rename(path.with_name("log.db.new"))

    async with open_store(path) as store:
        assert (await store.log_state()).next_segment == 3


async def test_fourth_damaged_database_means_the_card_is_broken(path: Path) -> None:
    """Copies do not pile up until the card is full: the fourth is refused with the remedy, and stays where it is."""
    await filled(path)
    for _ in range(3):
        scratch(path, pages_of(path, "segment")[0])
        async with open_store(path):
            pass
    scratch(path, pages_of(path, "segment")[0])

    with pytest.raises(StorageError, match="replace the card"):
        async with open_store(path):
            pass

    assert len(storefiles.aside(path)) == 3
    assert path.exists()


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
            assert await frames(store, 0) == 60
            ballast.unlink()
            for minute in range(60, 200):
                await store.commit(batch([minute]))
            assert [await frames(store, seq) for seq in range(4)] == [60, 60, 60, 20]
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
        assert await frames(store, 1) == 0
        await store._read("PRAGMA max_page_count = 1000000")
        await store.commit(batch(range(60, 120)))
        assert await frames(store, 1) == 60


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

            assert [await frames(store, seq) for seq in (7, 8, 9, 10, 11)] == [0, 60, 60, 60, 60]


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

        assert await frames(store, 0) == 2


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

    with pytest.raises(StorageError, match=r"schema 99, this program knows 1 .*install the newer program"):
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
    assert after_a_day < 26 * 60 * PAGE * 1.06
    assert max(wal for _, wal in sizes) < 2_000_000


def test_packed_frame_ids_keep_their_order() -> None:
    """A segment's last possible frame sorts before the next segment's first."""
    assert frame_id(7, (1 << 20) - 1) < frame_id(8, 0) < frame_id(8, 1)
