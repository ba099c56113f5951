"""A disk that loses power: records every write and sync that SQLite makes, and rebuilds what a cut may leave of them.

SQLite (the copy inside `apsw`, since only a VFS sees the writes) runs the pragmas, schema and statements of
`device/storage/statements.py`, grouped into transactions as `device/storage/store.py` groups them. Afterwards, for any
instant, the disk is rebuilt under the weakest promise a card makes: what was synced is there; of everything later each
512-byte sector was written or not, in any order. The wal-index is in memory (exclusive locking), as a power cut leaves
it.

What this does not model: a card that lies about flushing, and one that damages sectors nobody wrote to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from edge_scanner.device.storage import statements as sql

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from edge_scanner.core.model import Batch

SECTOR = 512
"""The smallest piece a card writes whole; SQLite's own assumption ("powersafe overwrite")."""


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes handed to the system at `offset`."""

    file: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """The file's new length."""

    file: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """Everything written to the file so far is on the disk."""

    file: str


@dataclass(frozen=True, slots=True)
class Delete:
    """The file's name is gone, for good once `synced`."""

    file: str
    synced: bool


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """COMMIT of batch `number` returned to the caller."""

    number: int


Event = Write | Truncate | Sync | Delete | Acknowledged


class RecordingDisk(apsw.VFS):
    """SQLite's usual file system, keeping a list of what it was told."""

    def __init__(self, name: str) -> None:
        self.events: list[Event] = []
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 [apsw's name]
        """A file whose writes are recorded."""
        return _RecordingFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 [apsw's name]
        """Record and delete."""
        self.events.append(Delete(Path(filename).name, synced=bool(syncdir)))
        super().xDelete(filename, syncdir)


class _RecordingFile(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name if path else ""
        self._events = disk.events
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 [apsw's name]
        self._events.append(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 [apsw's name]
        self._events.append(Truncate(self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 [apsw's name]
        self._events.append(Sync(self._name))
        super().xSync(flags)


def record(folder: Path, batches: Iterable[Batch], *, synchronous: str = "FULL") -> list[Event]:
    """Everything the disk is told while `batches` are committed one by one into a new `folder`/log.db.

    `synchronous` other than FULL shows that the harness can fail.
    """
    name = f"recording-{id(folder)}"
    disk = RecordingDisk(name)
    db = apsw.Connection(str(folder / "log.db"), vfs=name)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        for pragma in sql.PRAGMAS:
            db.execute(pragma).fetchall()
        db.execute(f"PRAGMA synchronous = {synchronous}")
        for version, text in enumerate(sql.migrations(), 1):
            db.execute(sql.migration(version, text)).fetchall()
        for number, batch in enumerate(batches):
            db.execute(sql.BEGIN)
            for statement in sql.statements(batch, sql.StoreLimits()):
                db.executemany(statement.sql, statement.rows)
            db.execute(sql.COMMIT)
            disk.events.append(Acknowledged(number))
        return list(disk.events)
    finally:
        db.close()
        disk.unregister()


@dataclass
class Disk:
    """The disk while events pass: what is safe of each file, and what is still on its way."""

    safe: dict[str, bytearray] = field(default_factory=dict)
    pending: dict[str, list[Write | Truncate | Delete]] = field(default_factory=dict)
    acknowledged: int = 0

    def pass_by(self, event: Event) -> None:
        """One event later."""
        if isinstance(event, Acknowledged):
            self.acknowledged = event.number + 1
        elif isinstance(event, Sync):
            if event.file not in self.safe and event.file.endswith(("-journal", "-wal")):
                self._sync_folder()
            content = self.safe.get(event.file, bytearray())
            for change in self.pending.pop(event.file, []):
                content = _apply(content, change)
            self.safe[event.file] = content
        elif isinstance(event, Delete) and event.synced:
            self.safe.pop(event.file, None)
            self.pending.pop(event.file, None)
        else:
            self.pending.setdefault(event.file, []).append(event)

    def _sync_folder(self) -> None:
        """SQLite syncs the directory with a new journal's or WAL's first sync: names deleted before are gone."""
        for name, changes in list(self.pending.items()):
            if any(isinstance(change, Delete) for change in changes):
                self.safe.pop(name, None)
                self.pending.pop(name)

    def cut(self, dice: random.Random) -> dict[str, bytes]:
        """The files as one possible power cut leaves them."""
        files = {name: bytes(content) for name, content in self.safe.items()}
        for name, changes in self.pending.items():
            if name not in files and dice.random() < 1 / 2:
                continue
            kept = _torn(changes, dice)
            content = bytearray(files.get(name, b""))
            gone = False
            for change in kept:
                gone = isinstance(change, Delete)
                content = bytearray() if gone else _apply(content, change)
            files.pop(name, None)
            if not gone:
                files[name] = bytes(content)
        return files


def _torn(changes: Sequence[Write | Truncate | Delete], dice: random.Random) -> list[Write | Truncate | Delete]:
    """A random part of the changes, each write cut into sectors that fare separately, in random order."""
    likely = dice.random()
    pieces: list[Write | Truncate | Delete] = []
    for change in changes:
        if not isinstance(change, Write):
            pieces.append(change)
            continue
        start = change.offset
        while start < change.offset + len(change.data):
            end = min((start // SECTOR + 1) * SECTOR, change.offset + len(change.data))
            pieces.append(Write(change.file, start, change.data[start - change.offset : end - change.offset]))
            start = end
    kept = [piece for piece in pieces if dice.random() < likely]
    if dice.random() < 1 / 2:
        dice.shuffle(kept)
    return kept


def _apply(content: bytearray, change: Write | Truncate | Delete) -> bytearray:
    if isinstance(change, Delete):
        return bytearray()
    if isinstance(change, Truncate):
        return content[: change.size] + bytes(max(0, change.size - len(content)))
    if len(content) < change.offset:
        content += bytes(change.offset - len(content))
    content[change.offset : change.offset + len(change.data)] = change.data
    return content


def cuts(events: Sequence[Event], count: int, dice: random.Random) -> Iterable[tuple[int, dict[str, bytes]]]:
    """`count` power cuts at random instants: (batches acknowledged before it, the files it leaves)."""
    first = next(index for index, event in enumerate(events) if isinstance(event, Acknowledged))
    instants = sorted(dice.choices(range(first, len(events) + 1), k=count))
    disk, passed = Disk(), 0
    for instant in instants:
        for event in events[passed:instant]:
            disk.pass_by(event)
        passed = instant
        yield disk.acknowledged, disk.cut(dice)
