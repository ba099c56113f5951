"""The inventory: which id is whose, in one SQLite file (WAL) that survives a laptop whose battery dies.

One decision stands here, in one transaction: which box gets which id. It goes by three marks of a box: its identity
key, its MQTT key (both made on it) and the board's serial.

* all three known together: the same box again, and it gets the same answer, byte for byte;
* a known key beside another board or another key: a cloned card (`PRV-01`);
* a known board with new keys: a card that was written again (`PRV-02`); `bench retire` frees the board;
* a box that says it has an id which this batch gave to another or never gave (`PRV-03`);
* no id left (`PRV-04`).

SQLite beat a CSV file, which two waves of boxes would write at once.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from edge_scanner.core.enrolment.documents import (
    Assignment,
    Manifest,
    Place,
    Request,
    StepReport,
    StepResult,
    public_key,
)
from edge_scanner.core.errors import RefusedError, StorageError
from provisioning import certificates, schema
from provisioning.register import Register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_COLUMNS = (
    "device_id", "batch", "site", "room", "name_vi", "name_en", "state", "serial", "identity", "mqtt_key",
    "enrolled_s", "reason", "venue",
)  # fmt: skip
MAX_REFUSALS = 50
"""Boards that were turned away and are remembered, the latest; more are counted by the bench and not stored."""


class State(StrEnum):
    """A box's life."""

    FREE = "free"
    ENROLLED = "enrolled"
    RETIRED = "retired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxRow:
    """One box; `serial`, `identity` (base64) and `mqtt_key` (hex SHA-256) are empty while it is free."""

    device_id: str
    batch: str
    place: Place
    state: State
    serial: str
    identity: str
    mqtt_key: str
    enrolled_s: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A board that was turned away at the bench."""

    serial: str
    code: str
    detail: str
    at_s: int


class Inventory(Register):
    """Made by `open_inventory`; every method is one transaction."""

    def plan(self, manifest: Manifest) -> None:
        """Enter a batch's ids and places; what is there already stays as it is."""
        nowhere = Place(site="", room="", name_vi="", name_en="")
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO batch(name, ca, not_after_s) VALUES (?, ?, ?)",
                (manifest.batch, manifest.batch_ca, manifest.not_after_s),
            )
            self._db.execute("INSERT OR IGNORE INTO bench VALUES (?, ?)", (manifest.batch, manifest.bench_key))
            for number, device_id in enumerate(manifest.ids):
                place = manifest.places[number] if number < len(manifest.places) else nowhere
                self._db.execute(
                    "INSERT OR IGNORE INTO box(device_id, batch, site, room, name_vi, name_en, venue)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (device_id, manifest.batch, *_columns(place)),
                )

    def enrol(
        self, request: Request, mqtt_key: str, batch: str, answer: Callable[[BoxRow], bytes], *, now_s: float
    ) -> bytes:
        """The answer for this box: the kept one, or `answer(row)` for the id that it gets now. Raises RefusedError."""
        try:
            with self._transaction():
                kept = self._known(request, mqtt_key)
                if kept is None:
                    kept = self._give(request, mqtt_key, batch, answer, now_s)
                self._db.execute("DELETE FROM refusal WHERE serial = ?", (request.serial,))
                return kept
        except RefusedError as refused:
            with self._transaction():
                self._db.execute(
                    "INSERT OR REPLACE INTO refusal VALUES (?, ?, ?, ?)",
                    (request.serial, refused.code, refused.what, int(now_s)),
                )
                self._db.execute(
                    "DELETE FROM refusal WHERE serial NOT IN"
                    " (SELECT serial FROM refusal ORDER BY at_s DESC, rowid DESC LIMIT ?)",
                    (MAX_REFUSALS,),
                )
            raise

    def knows(self, identity: str) -> bool:
        """Whether a box with this identity key was named here: its signature is proof enough."""
        return bool(self._rows("identity = ?", identity))

    def confirm(self, words: str, *, now_s: float) -> None:
        """The technician compared a box's six words: it may be named."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO confirmed VALUES (?, ?)", (words, int(now_s)))

    def confirmed(self, words: str) -> bool:
        """Whether the technician did."""
        return self._db.execute("SELECT 1 FROM confirmed WHERE words = ?", (words,)).fetchone() is not None

    def _known(self, request: Request, mqtt_key: str) -> bytes | None:
        """The kept answer of a box seen before, None for a new one; raises RefusedError where marks disagree."""
        rows = self._rows("identity = ? OR mqtt_key = ?", request.identity, mqtt_key)
        for row in rows:
            if row.serial == request.serial and (row.identity, row.mqtt_key) != (request.identity, mqtt_key):
                raise _refused("PRV-01", f"copied card: box {row.device_id} has one of these keys beside another one")
            if row.serial != request.serial:
                raise _refused("PRV-01", f"cloned card: box {row.device_id} has these keys on another board")
            if request.device_id not in ("", row.device_id) or row.state is not State.ENROLLED:
                raise _refused("PRV-03", f"box {row.device_id} is {row.state} and its card says {request.device_id}")
            (kept,) = self._db.execute("SELECT answer FROM box WHERE device_id = ?", (row.device_id,)).fetchone()
            return bytes(kept)
        for row in self._rows("serial = ? AND state = 'enrolled'", request.serial):
            raise _refused("PRV-02", f"this board is box {row.device_id} already, with other keys")
        if request.device_id:
            raise _refused("PRV-03", f"the card says it is box {request.device_id}, which this bench did not install")
        return None

    def _give(
        self, request: Request, mqtt_key: str, batch: str, answer: Callable[[BoxRow], bytes], now_s: float
    ) -> bytes:
        free = self._rows("batch = ? AND state = 'free'", batch)
        if not free:
            raise _refused("PRV-04", "the batch has no id left")
        document = answer(free[0])
        self._db.execute(
            "UPDATE box SET state = 'enrolled', serial = ?, identity = ?, mqtt_key = ?, answer = ?, enrolled_s = ?"
            " WHERE device_id = ?",
            (request.serial, request.identity, mqtt_key, document, int(now_s), free[0].device_id),
        )
        return document

    def hand_out(self, mqtt_key: str, batch: str, answer: Callable[[BoxRow], bytes], *, now_s: float) -> BoxRow:
        """Give the next id to a card whose box will start somewhere else; raises RefusedError when none is left."""
        with self._transaction():
            free = self._rows("batch = ? AND state = 'free'", batch)
            if not free:
                raise _refused("PRV-04", "the batch has no id left")
            self._db.execute(
                "UPDATE box SET state = 'enrolled', mqtt_key = ?, answer = ?, enrolled_s = ? WHERE device_id = ?",
                (mqtt_key, answer(free[0]), int(now_s), free[0].device_id),
            )
            return free[0]

    def adopt(self, assignment: Assignment) -> None:
        """Enter a box of a planned batch that a laptop installed, as its signed assignment says (`bench sync`).

        A box that is known with other keys, or was taken out, stays as it is.
        """
        certificate = certificates.load_certificate(assignment.certificate.encode())
        with self._transaction():
            self._db.execute(
                "UPDATE OR IGNORE box SET state = 'enrolled', identity = :identity, mqtt_key = :key, enrolled_s = :at_s"
                " WHERE device_id = :id AND batch = :batch AND identity IS NULL AND state IN ('free', 'enrolled')"
                " AND (mqtt_key IS NULL OR mqtt_key = :key)",
                {
                    "identity": assignment.identity or None,
                    "key": certificates.fingerprint(certificates.public_key(certificate)),
                    "at_s": assignment.issued_s,
                    "id": assignment.device_id,
                    "batch": assignment.batch,
                },
            )

    def claim(self, device_id: str, mqtt_key: str, *, now_s: float) -> None:
        """A box whose bench was not synced yet: the key of its bootstrap certificate is the one it has.

        Raises RefusedError where another box has this key: whoever holds a batch's CA can certify one key for two.
        """
        with self._transaction():
            self._db.execute(
                "UPDATE OR IGNORE box SET state = 'enrolled', mqtt_key = ?, enrolled_s = ?"
                " WHERE device_id = ? AND mqtt_key IS NULL",
                (mqtt_key, int(now_s), device_id),
            )
            (known,) = self._db.execute("SELECT mqtt_key FROM box WHERE device_id = ?", (device_id,)).fetchone()
        if known != mqtt_key:
            raise _refused("PRV-01", f"box {device_id} has another key: one of the two is a copy")

    def learn(self, device_id: str, identity: str) -> None:
        """Keep the identity key that a box proved at its desk, the first one; "" is none and changes nothing.

        A box from a card is known to headquarters by this alone. Raises RefusedError for another key than the known.
        """
        if not identity:
            return
        with self._transaction():
            self._db.execute(
                "UPDATE OR IGNORE box SET identity = ? WHERE device_id = ? AND identity IS NULL", (identity, device_id)
            )
            (known,) = self._db.execute("SELECT identity FROM box WHERE device_id = ?", (device_id,)).fetchone()
        if known != identity:
            raise _refused("PRV-01", f"box {device_id} has another identity key: one of the two is a copy")

    def report(self, report: StepReport, *, now_s: float) -> None:
        """Keep a box's steps in place of its last ones; raises RefusedError for a box that is not enrolled here."""
        with self._transaction():
            (row,) = self._rows("device_id = ?", report.device_id) or (None,)
            if row is None or row.identity != report.identity:
                raise _refused("PRV-03", "a report of a box that this bench did not install")
            self._db.execute("DELETE FROM step WHERE device_id = ?", (report.device_id,))
            self._db.executemany(
                "INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (report.device_id, number, step.name, step.verdict, step.code, step.detail, int(now_s))
                    for number, step in enumerate(report.steps)
                ],
            )

    def retire(self, device_id: str, state: State, reason: str) -> BoxRow:
        """Take a box out; its id is never given again, a revoked one stays revoked. RefusedError for no id of ours."""
        with self._transaction():
            (row,) = self._rows("device_id = ?", device_id) or (None,)
            if row is None:
                what = f"no box {device_id} in this inventory"
                raise RefusedError(what, code="unknown-box", hint="read the label again")
            self._db.execute(
                "UPDATE box SET state = ?, reason = ? WHERE device_id = ? AND state != 'revoked'",
                (state, reason, device_id),
            )
            return row

    def move(self, device_id: str, place: Place) -> BoxRow:
        """Write down that a box in service hangs somewhere else now; raises RefusedError for any other."""
        with self._transaction():
            (row,) = self._rows("device_id = ? AND state = 'enrolled'", device_id) or (None,)
            if row is None:
                raise RefusedError(f"no box {device_id} is in service", code="unknown-box", hint="read the label again")
            self._db.execute(
                "UPDATE box SET site = ?, room = ?, name_vi = ?, name_en = ?, venue = ? WHERE device_id = ?",
                (*_columns(place), device_id),
            )
            return replace(row, place=place)

    def boxes(self, batch: str = "") -> tuple[BoxRow, ...]:
        """All boxes in the order of their batch."""
        return self._rows("batch = ?", batch) if batch else self._rows("1")

    def box(self, device_id: str) -> BoxRow | None:
        """One box."""
        return next(iter(self._rows("device_id = ?", device_id)), None)

    def reports(self, batch: str) -> dict[str, tuple[StepResult, ...]]:
        """The last report of each box of a batch that sent one."""
        rows = self._db.execute(
            "SELECT device_id, name, verdict, code, detail FROM step JOIN box USING (device_id)"
            " WHERE batch = ? ORDER BY device_id, step.position",
            (batch,),
        )
        found: dict[str, tuple[StepResult, ...]] = {}
        for device_id, name, verdict, code, detail in rows:
            step = StepResult(name=name, verdict=verdict, code=code, detail=detail)
            found[device_id] = (*found.get(device_id, ()), step)
        return found

    def refusals(self) -> tuple[Refusal, ...]:
        """Boards that were turned away and did not come back well, newest first."""
        rows = self._db.execute("SELECT serial, code, detail, at_s FROM refusal ORDER BY at_s DESC")
        return tuple(Refusal(serial=serial, code=code, detail=detail, at_s=at_s) for serial, code, detail, at_s in rows)

    def answers(self, batch: str) -> tuple[bytes, ...]:
        """The signed assignments of a batch, for headquarters."""
        rows = self._db.execute("SELECT answer FROM box WHERE batch = ? AND answer IS NOT NULL", (batch,))
        return tuple(bytes(answer) for (answer,) in rows)

    def _rows(self, where: str, *values: Any) -> tuple[BoxRow, ...]:
        rows = self._db.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM box WHERE {where} ORDER BY position",  # noqa: S608 (constants)
            values,
        )
        return tuple(_box(row) for row in rows)


@contextlib.contextmanager
def open_inventory(path: Path) -> Iterator[Inventory]:
    """The inventory at `path`, made when it is not there; raises StorageError."""
    db = schema.connect(path)
    try:
        yield Inventory(db)
    except sqlite3.Error as error:
        raise StorageError(f"the inventory refused: {error}", where=str(path)) from error
    finally:
        db.close()


def _columns(place: Place) -> tuple[str, str, str, str, str]:
    """As the table has it: the four that everybody asks for, and what only the venue's screen needs as JSON."""
    own = ("site", "room", "name_vi", "name_en")
    venue = {entry.name: getattr(place, entry.name) for entry in fields(place) if entry.name not in own}
    return place.site, place.room, place.name_vi, place.name_en, json.dumps(venue)


def mqtt_key_of(request: Request) -> str:
    """The fingerprint of the key in a request's CSR; raises BadDataError, MalformedError for a request that lies."""
    public_key(request.identity)
    return certificates.fingerprint(certificates.read_csr(request.csr.encode()))


def _box(row: tuple[Any, ...]) -> BoxRow:
    device_id, batch, site, room, name_vi, name_en, state, serial, identity, mqtt_key, enrolled_s, reason, venue = row
    return BoxRow(
        device_id=device_id,
        batch=batch,
        place=Place(site=site, room=room, name_vi=name_vi, name_en=name_en, **json.loads(venue)),
        state=State(state),
        serial=serial or "",
        identity=identity or "",
        mqtt_key=mqtt_key or "",
        enrolled_s=enrolled_s or 0,
        reason=reason,
    )


def _refused(code: str, what: str) -> RefusedError:
    return RefusedError(what, code=code)
