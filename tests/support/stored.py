"""Where a test's database lies, and what is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
