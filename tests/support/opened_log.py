"""A box's log, opened by the authority and the custodian together."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from edge_scanner.core.log.frames import Minute
from edge_scanner.core.log.opener import open_frames, part_keys
from edge_scanner.core.model import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.recipients import Parties


def minutes(database: Path, who: Parties) -> Iterator[Minute]:
    """Each minute in the log of `database`, in the order of writing. Raises what opening raises."""
    keys = who.keys()
    with closing(sqlite3.connect(database)) as connection:
        for seq, header in connection.execute("SELECT seq, header FROM segment ORDER BY seq").fetchall():
            rows = connection.execute(
                "SELECT id & 1048575, ciphertext FROM frame WHERE id >> 20 = ? ORDER BY id", (seq,)
            ).fetchall()
            frames = [Frame(seq=seq, number=number, ciphertext=ciphertext) for number, ciphertext in rows]
            yield from (
                content
                for content in open_frames(header, part_keys(header, keys), frames)
                if isinstance(content, Minute)
            )
