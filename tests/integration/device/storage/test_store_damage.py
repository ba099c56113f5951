"""A damaged, deleted or rolled-back database: set aside, visible, never the end of the box."""

from __future__ import annotations

import random
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import DamagedError, StorageError
from edge_scanner.device.storage import files as storefiles
from edge_scanner.device.storage.statements import LOST
from edge_scanner.device.storage.store import open_store
from tests.support.batches import batch
from tests.support.stored import filled, frame_count

if TYPE_CHECKING:
    from pathlib import Path


PAGE = 4096


INTERIOR = 5


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


async def test_damaged_frames_are_set_aside_and_everything_else_goes_on(path: Path) -> None:
    """A page found unreadable while running: DamagedError, and the next start has a new log with the old one's rest."""
    await filled(path)
    scratch(path, pages_of(path, "frame")[7])
    damaged = path.read_bytes()

    async with open_store(path) as store:
        with pytest.raises(DamagedError, match="damaged"):
            await frame_count(store, 0)

    async with open_store(path) as store:
        state = await store.log_state()
        await store.commit(batch(range(180, 190)))
        assert await frame_count(store, 3) == 10
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
                        await frame_count(store, seq)
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
