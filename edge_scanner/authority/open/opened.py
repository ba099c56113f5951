"""The one file with opened records: SQLite, mode 600, with an expiry that every reader of it obeys.

SQLite beat Parquet because the standard library writes it and a court's expert can open it with anything. The file is
the only place where identifiers stand in the clear, so nothing but this module reads or writes it, and `purge` shreds
it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edge_scanner.authority import files, translations
from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.collect import verify
from edge_scanner.core.errors import BadDataError, RefusedError, StorageError
from edge_scanner.core.model import ClockQuality

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.core.pull.request import Request

DEFAULT_DAYS = 14
MAX_DAYS = 30
"""Contact tracing is over by then; a new order can be opened again while the box keeps its log."""

_APPLICATION_ID = 0x4544474F
_DAY_S = 86400
_MINUTE_S = 60
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA secure_delete = ON;
CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE box(device TEXT PRIMARY KEY, verdict TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- minute_s: as the box stamped it; shift_s: what must be added to it for true time; quality: what its clock rested on.
CREATE TABLE minute(
  device TEXT NOT NULL, minute_s INTEGER NOT NULL, shift_s REAL NOT NULL, listened_s INTEGER NOT NULL,
  dropped INTEGER NOT NULL, quality INTEGER NOT NULL
) STRICT;
-- first_s, last_s: true time, UTC seconds; payload: 20 bytes, padded with zeros; rssi 127: unknown.
CREATE TABLE encounter(
  device TEXT NOT NULL, first_s INTEGER NOT NULL, last_s INTEGER NOT NULL, protocol INTEGER NOT NULL,
  payload BLOB NOT NULL, adverts INTEGER NOT NULL, rssi_mean INTEGER NOT NULL, rssi_max INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMinute:
    """One minute of one box."""

    device: str
    minute_s: int
    shift_s: float
    listened_s: int
    dropped: int
    quality: ClockQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEncounter:
    """One identifier of one minute, in true time."""

    device: str
    first_s: int
    last_s: int
    protocol: int
    payload: bytes
    adverts: int
    rssi_mean: int
    rssi_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How well a box listened in the minutes asked for, and the shifts of its clock.

    `asked` minutes were asked for, `minutes` of them have a record, and in `heard` of those the radio listened. `gaps`
    are the stretches (from, to; UTC seconds, true time) of all others.
    """

    device: str
    asked: int
    minutes: int
    heard: int
    gaps: tuple[tuple[int, int], ...]
    listened_s: int
    dropped: int
    lowest_quality: str
    largest_shift_s: float


class OpenedFile:
    """An open file; made by `create` and `use`."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self.db = db

    def add(self, verdict: Verdict, minutes: Iterable[OpenedMinute], encounters: Iterable[OpenedEncounter]) -> None:
        """What one bundle held, in one transaction."""
        with self.db:
            self.db.execute("INSERT INTO box VALUES (?, ?)", (verdict.device, json.dumps(asdict(verdict))))
            self.db.executemany(
                "INSERT INTO minute VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (one.device, one.minute_s, one.shift_s, one.listened_s, one.dropped, int(one.quality))
                    for one in minutes
                ),
            )
            self.db.executemany(
                "INSERT INTO encounter VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        one.device, one.first_s, one.last_s, one.protocol, one.payload, one.adverts,
                        one.rssi_mean, one.rssi_max,
                    )
                    for one in encounters
                ),
            )  # fmt: skip

    @property
    def expires_s(self) -> int:
        """When it must be gone."""
        return int(self._meta("expires_s"))

    @property
    def case(self) -> str:
        """The case it was opened for."""
        return self._meta("case")

    @property
    def request(self) -> str:
        """The digest of the request, hex."""
        return self._meta("request")

    def verdicts(self) -> list[Verdict]:
        """What verification said of each box."""
        found = []
        for (text,) in self.db.execute("SELECT verdict FROM box ORDER BY device"):
            found.append(verdicts.from_values(json.loads(text)))
        return found

    def coverage(self) -> list[Coverage]:
        """How well each box of the order listened, a box without any record or bundle too."""
        asked = verify.minutes_of(int(self._meta("from_s")), int(self._meta("to_s")))
        devices = json.loads(self._meta("devices", "[]"))
        return [
            self._coverage(device, asked)
            for device in dict.fromkeys([*(verdict.device for verdict in self.verdicts()), *devices])
        ]

    def _coverage(self, device: str, asked: range) -> Coverage:
        rows = self.db.execute(
            "SELECT minute_s, shift_s, listened_s, dropped, quality FROM minute WHERE device = ?", (device,)
        ).fetchall()
        there, heard = set(), set()
        for minute_s, shift_s, listened_s, _, _ in rows:
            minute = round(minute_s + shift_s) // _MINUTE_S * _MINUTE_S
            there.add(minute)
            if listened_s:
                heard.add(minute)
        return Coverage(
            device=device,
            asked=len(asked),
            minutes=len(there.intersection(asked)),
            heard=len(heard.intersection(asked)),
            gaps=tuple(_stretches(minute for minute in asked if minute not in heard)),
            listened_s=sum(row[2] for row in rows),
            dropped=sum(row[3] for row in rows),
            lowest_quality=ClockQuality(min((row[4] for row in rows), default=ClockQuality.NONE)).name.lower(),
            largest_shift_s=max((abs(row[1]) for row in rows), default=0.0),
        )

    @property
    def size(self) -> int:
        """How many encounters there are, at most."""
        ((last,),) = self.db.execute("SELECT max(rowid) FROM encounter")
        return last or 0

    def payloads(self, count: int) -> Iterator[list[tuple[int, bytes]]]:
        """Every encounter's number and payload, `count` at a time."""
        cursor = self.db.execute("SELECT rowid, payload FROM encounter")
        while rows := cursor.fetchmany(count):
            yield rows

    def chosen(self, numbers: Iterable[int]) -> dict[int, tuple[str, int, int, int, int, int]]:
        """By number: device, first_s, last_s, protocol, adverts, rssi_max."""
        rows = self.db.execute(
            "SELECT rowid, device, first_s, last_s, protocol, adverts, rssi_max FROM encounter "
            "WHERE rowid IN (SELECT value FROM json_each(?))",
            (json.dumps(list(numbers)),),
        )
        return {number: (sys.intern(device), *rest) for number, device, *rest in rows}

    def _meta(self, name: str, absent: str = "") -> str:
        rows = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchall()
        if not rows and not absent:
            raise BadDataError("not a file of opened records", where=str(self.path))
        return str(rows[0][0]) if rows else absent


@contextlib.contextmanager
def create(path: Path, *, request: Request, now_s: float, days: int = DEFAULT_DAYS) -> Iterator[OpenedFile]:
    """A new file that expires in `days`; removed again when the block fails. Raises StorageError, BadDataError."""
    if not 1 <= days <= MAX_DAYS:
        raise BadDataError(f"opened records are kept 1 to {MAX_DAYS} days, not {days}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StorageError("cannot be made", where=str(path), hint=error.strerror or "") from error
    db = sqlite3.connect(path)
    try:
        db.executescript(_SCHEMA)
        expires_s = int(now_s) + days * _DAY_S
        with db:
            facts = {
                "request": request.digest.hex(),
                "case": request.case,
                "from_s": request.from_s,
                "to_s": request.to_s,
                "devices": json.dumps(request.devices),
                "expires_s": expires_s,
            }
            db.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        yield OpenedFile(path, db)
    except BaseException:
        db.close()
        files.shred(path)
        raise
    db.close()


@contextlib.contextmanager
def use(path: Path, *, now_s: float) -> Iterator[OpenedFile]:
    """An existing file; raises RefusedError once it has expired, BadDataError, StorageError."""
    if not path.exists():
        raise StorageError("there is no such file", where=str(path))
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise RefusedError("others may read it", code="mode", where=str(path), hint=f"chmod 600 {path}")
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        (number,) = db.execute("PRAGMA application_id").fetchone()
        if number != _APPLICATION_ID:
            raise BadDataError("not a file of opened records", where=str(path))
        found = OpenedFile(path, db)
        if now_s >= found.expires_s:
            raise RefusedError(
                f"expired on {translations.local(found.expires_s)}",
                code="expired",
                where=str(path),
                hint=f"edge-authority purge {path}",
            )
        yield found
    except sqlite3.DatabaseError as error:
        raise BadDataError("not a file of opened records", where=str(path)) from error
    finally:
        db.close()


def _stretches(minutes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring minutes as (from, to)."""
    begin = end = -1
    for minute in minutes:
        if minute != end:
            if begin >= 0:
                yield begin, end
            begin = minute
        end = minute + _MINUTE_S
    if begin >= 0:
        yield begin, end


def expiry(path: Path) -> int | None:
    """When a file expires; None for a file that is none of ours."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            (number,) = db.execute("PRAGMA application_id").fetchone()
            return OpenedFile(path, db).expires_s if number == _APPLICATION_ID else None
    except (sqlite3.DatabaseError, BadDataError):
        return None
