"""The collector's program on a disk without room: it says so, waits, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.store.store import open_store
from edge_scanner.core.errors import StorageError
from edge_scanner.core.messages import KINDS
from tests.support import disks
from tests.support.collecting import NAME, centre, subscribed, until
from tests.support.publishing import Publisher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

FULL = "the database's disk is full"


@contextlib.contextmanager
def disk(kind: str, folder: Path) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    small = folder / "small"
    small.mkdir()
    made = disks.tmpfs(small, 4) if kind == "tmpfs" else disks.disk_image(folder / "image", small, megabytes=8)
    with made:
        yield small


def kept(url: str) -> int:
    """How many releases are there; no connection is left open, so that SQLite's side files may go."""
    with open_store(url) as store:
        return len(store.read.releases(0, 1 << 40))


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
async def test_a_disk_without_room_costs_nothing(tmp_path: Path, kind: str) -> None:
    """One line when it is full, one when there is room; meanwhile the broker keeps what boxes say."""
    box = Publisher()
    log, hour = tmp_path / f"{NAME}.log", int(time.time()) // 3600 * 3600
    with disk(kind, tmp_path) as small, centre(tmp_path, box, url=f"sqlite:///{small}/central.db") as there:
        process = there.start()
        await until(lambda: "boxes on the list: 1" in log.read_text() and subscribed(there.broker, NAME) >= len(KINDS))
        ballast = disks.fill(small)
        said = [box.counts(hour - 3600 * number) for number in range(1, 200)]
        assert set(await there.publish(box.device, said)) == {0}
        await until(lambda: FULL in log.read_text())
        ballast.unlink()
        await until(lambda: "the database is back" in log.read_text())
        await until(lambda: kept(there.url) == len(said))
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert log.read_text().count("\n") == 4
        with open_store(there.url) as store:
            assert store.read.aside(None, 0, 10) == []


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
async def test_a_start_without_room_says_so(tmp_path: Path, kind: str) -> None:
    """Without and with a database that is there: one line, and an exit code after which systemd starts it again."""
    box = Publisher()
    log = tmp_path / f"{NAME}.log"
    with disk(kind, tmp_path) as small, centre(tmp_path, box, url=f"sqlite:///{small}/central.db") as there:
        for before in (False, True):
            if before:
                assert kept(there.url) == 0
            ballast = disks.fill(small)
            process = there.start()
            assert await asyncio.to_thread(process.wait) == StorageError.exit_code
            said = log.read_text()
            assert (said.count("\n"), FULL in said) == (1, True), said
            ballast.unlink()
            log.write_text("")
