"""Where a test's database lies, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.model import MessageKind
from edge_scanner.device.storage.store import open_store
from tests.support.batches import batch, message

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import Frame
    from edge_scanner.device.storage.store import Store


def database(tmp_path: Path) -> Path:
    """Where a test's database lies."""
    return tmp_path / "state" / "log.db"


async def frames(store: Store, seq: int) -> list[Frame]:
    """A segment as a list."""
    return [one async for one in store.frames(seq)]


async def filled(path: Path, minutes: int = 150) -> None:
    """A database that was closed in order."""
    async with open_store(path) as store:
        await store.commit(batch(range(minutes), messages=[message(MessageKind.AUDIT, 0)]))
        await store.audit_append(b'{"event":"request"}', nonce=(b"nonce", 1.0))
        await store.set_meta("clock_watermark", 7.0)


async def frame_count(store: Store, seq: int) -> int:
    """How many frames a segment has."""
    return len([one async for one in store.frames(seq)])
