"""The centre's store: one commit keeps a batch whole or not at all, and the first of a key.

    with open_store("sqlite:////var/lib/edge-central/central.db") as store:
        kept = store.keep(batch, now_s=now_s)
        store.read.bins(from_s, to_s)

Blocking: whoever runs an event loop calls it in a thread. Several programs may use one database: a batch that another
collector kept already is a repeat. Raises UnavailableError and DiskFullError for what time mends.
"""

from __future__ import annotations

import contextlib
from base64 import b64encode
from collections import Counter
from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql, sqlite

from edge_scanner.central.store import tables
from edge_scanner.central.store.engine import make_engine, place, transaction
from edge_scanner.central.store.model import Alarm, Kept, Reason, Release, SetAside, State, Statement, digest
from edge_scanner.central.store.months import add_months, drop_before
from edge_scanner.central.store.reading import Reading
from edge_scanner.core.errors import ConfigurationError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_scanner.central.store.model import Batch, Box, Head, Site

_DAY_S = 86_400

MAX_SET_ASIDE = 100_000
"""Messages that were not believed, at most 800 MB of them; what comes beyond is counted only."""
SET_ASIDE_S = 7 * _DAY_S
"""A week: long enough for a person to look."""
MAX_OPEN_ALARMS = 50
"""Of one kind about one device that nobody has seen to: whoever has a box's certificate can cause thousands a day."""
HEALTH_S = 90 * _DAY_S
THIN_S = 90 * _DAY_S
"""Four times what a box keeps of its log: after that one checkpoint a day is enough to prove that the log is one."""
THIN_BACK_S = 30 * _DAY_S
"""How far behind that is looked: a collector that was away for longer leaves its days as they are."""
MAX_ROWS = 400
"""Rows of one statement: PostgreSQL and SQLite take far fewer parameters than a large batch has."""
NO_SEQ = -1
"""`seq` of a will, which has none: it speaks about the newest connection of its run."""
_MIGRATION_LOCK = 0x65646765


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxList:
    """The fleet's signed list as the centre keeps it; `made` in UTC seconds decides which is newer."""

    made: int
    digest: bytes
    boxes: tuple[Box, ...]
    sites: tuple[Site, ...]


@contextlib.contextmanager
def open_store(url: str) -> Iterator[Store]:
    """The store at `url`, its tables brought up to date; raises ConfigurationError, UnavailableError."""
    engine = make_engine(url)
    try:
        migrate(engine)
        yield Store(engine)
    finally:
        engine.dispose()


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to the newest step; raises ConfigurationError for a database of a newer version than ours."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("edge_scanner.central.store") / "migrations"))
    config.set_main_option("version_locations", f"{config.get_main_option('script_location')}/versions")
    config.set_main_option("path_separator", "os")
    with transaction(engine, write=True) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        here = MigrationContext.configure(connection).get_current_revision()
        known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
        if here is not None and here not in known:
            raise ConfigurationError(
                f"the tables are of a newer version ({here})",
                where=place(engine),
                hint="install the newer edge-central",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


class Store:
    """The door; made by `open_store`. `read` answers questions."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._insert: Any = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._months: set[str] = set()
        self.read = Reading(engine)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return place(self._engine)

    def keep(self, batch: Batch, *, now_s: float) -> Kept:
        """Commit a batch: rows whose key is new; contradictions are set aside by this same commit."""
        tally: Counter[str] = Counter()
        with transaction(self._engine, write=True) as connection:
            months = add_months(
                connection,
                self._months,
                releases=[row.bin_start for row in batch.releases],
                health=[row.received for row in batch.states if row.kind == "health"],
            )
            rows: list[Release | Statement] = [*batch.releases, *batch.statements]
            new = self._releases(connection, batch.releases) | self._statements(connection, batch.statements)
            known = {id(row): _kept_digest(connection, row) for row in rows if id(row) not in new}
            contradictions = [row for row in rows if id(row) in known and known[id(row)] != digest(row.payload)]
            self._states(connection, batch.states)
            self._heads(connection, batch.heads)
            alarms = [*batch.alarms, *(_alarm(row, known[id(row)]) for row in contradictions)]
            if unkept := self._alarms(connection, alarms):
                tally["alarms/beyond"] += unkept
            aside = [*batch.set_aside, *(_aside(row) for row in contradictions)]
            self._aside(connection, aside)
            for row in rows:
                tally[f"{row.kind}/{'new' if id(row) in new else 'repeat'}"] += 1
            tally.update(f"aside/{row.reason}" for row in aside)
            tally.update(f"{row.kind}/heard" for row in batch.states)
            if batch.beyond:
                tally["beyond"] += batch.beyond
            self._tally(connection, tally, now_s)
        self._months |= months
        return Kept(
            new=len(new), repeats=len(rows) - len(new) - len(contradictions), contradictions=tuple(contradictions)
        )

    def take_list(self, given: BoxList) -> bool:
        """Take a signed list; False for the one that is here already, RefusedError for an older one."""
        with transaction(self._engine, write=True) as connection:
            here = connection.execute(sa.select(tables.lists).where(tables.lists.c.name == "boxes")).first()
            if here is not None and here.digest == given.digest:
                return False
            if here is not None and here.made > given.made:
                raise RefusedError(
                    "the list of boxes is older than the one in force", code="older", hint="use the newest list"
                )
            self._upsert(connection, tables.boxes, [asdict(box) for box in given.boxes])
            self._upsert(connection, tables.sites, [asdict(site) for site in given.sites])
            gone = tables.boxes.c.device.not_in([box.device for box in given.boxes])
            connection.execute(sa.delete(tables.boxes).where(gone))
            mark = {"name": "boxes", "made": given.made, "digest": given.digest}
            self._upsert(connection, tables.lists, [mark])
        return True

    def forget_aside(self, numbers: Sequence[int]) -> None:
        """Take messages out that were judged again and believed."""
        table = tables.set_aside
        with transaction(self._engine, write=True) as connection:
            connection.execute(sa.delete(table).where(table.c.id.in_(numbers)))

    def testify(self, day: int, document: bytes) -> bool:
        """Keep the witness's own statement of a day; False when the day has one."""
        row = {"day": day, "document": document}
        with transaction(self._engine, write=True) as connection:
            insert = self._insert(tables.testimonies).values(row).on_conflict_do_nothing()
            return bool(connection.execute(insert.returning(tables.testimonies.c.day)).first())

    def clear_alarm(self, number: int, *, by: str, now_s: float) -> bool:
        """Note that a person has seen to an alarm; False for one that is cleared or unknown."""
        table = tables.alarms
        change = sa.update(table).where(table.c.id == number, table.c.cleared.is_(None))
        with transaction(self._engine, write=True) as connection:
            return connection.execute(change.values(cleared=int(now_s), cleared_by=by)).rowcount == 1

    def prune(self, now_s: float) -> dict[str, int]:
        """Remove what is past its time; how many rows (of `health` on PostgreSQL: months) of each table."""
        with transaction(self._engine, write=True) as connection:
            aside = tables.set_aside
            old = sa.delete(aside).where(aside.c.received < now_s - SET_ASIDE_S)
            gone = {
                "set_aside": connection.execute(old).rowcount,
                "health": drop_before(connection, "health", int(now_s - HEALTH_S)),
                "statements": self._thin(connection, int(now_s - THIN_S)),
            }
        self._months.clear()
        return {name: count for name, count in gone.items() if count}

    def _thin(self, connection: sa.Connection, limit_s: int) -> int:
        """Of each day's checkpoints of the month before a second, all but the largest: it contains the others.

        A month, so that an hour's work is that of an hour, however many years are there.
        """
        own, other = tables.statements, tables.statements.alias()
        first_s = limit_s - THIN_BACK_S
        larger = sa.exists().where(
            other.c.device == own.c.device,
            other.c.kind == "checkpoint",
            other.c.received >= first_s,
            other.c.received < limit_s + _DAY_S,
            other.c.at // _DAY_S == own.c.at // _DAY_S,
            other.c.number > own.c.number,
        )
        thin = sa.delete(own).where(
            own.c.kind == "checkpoint", own.c.received >= first_s, own.c.received < limit_s, larger
        )
        return connection.execute(thin).rowcount

    def _releases(self, connection: sa.Connection, rows: Sequence[Release]) -> set[int]:
        """The identities of the rows that are new."""
        values = [
            {**{name: getattr(row, name) for name in _RELEASE}, "nearby": row.figures.get("nearby"),
             "figures": dict(row.figures), "digest": digest(row.payload)}
            for row in rows
        ]  # fmt: skip
        return self._insert_first(connection, tables.releases, rows, values, ("device", "ledger", "bin_start"))

    def _statements(self, connection: sa.Connection, rows: Sequence[Statement]) -> set[int]:
        values = [asdict(row) for row in rows]
        return self._insert_first(connection, tables.statements, rows, values, ("device", "kind", "mark"))

    def _insert_first(
        self,
        connection: sa.Connection,
        table: sa.Table,
        rows: Sequence[Release | Statement],
        values: list[dict[str, Any]],
        key: tuple[str, ...],
    ) -> set[int]:
        """Insert the first row of each key, unless the table has the key; the identities of the rows that went in."""
        first: dict[tuple[Any, ...], int] = {}
        for index, row in enumerate(rows):
            first.setdefault(tuple(getattr(row, name) for name in key), index)
        chosen = list(first.values())
        new: set[tuple[Any, ...]] = set()
        for start in range(0, len(chosen), MAX_ROWS):
            part = [values[index] for index in chosen[start : start + MAX_ROWS]]
            insert = self._insert(table).values(part).on_conflict_do_nothing()
            new |= {tuple(row) for row in connection.execute(insert.returning(*(table.c[name] for name in key)))}
        return {id(rows[index]) for mark, index in first.items() if mark in new}

    def _states(self, connection: sa.Connection, rows: Sequence[State]) -> None:
        """The newest of each kind, in the order of runs and connections; one health an hour."""
        table = tables.states
        for row in rows:
            insert = self._insert(table).values(asdict(row))
            given = insert.excluded
            later = sa.or_(
                given.boot > table.c.boot,
                sa.and_(given.boot == table.c.boot, sa.or_(given.seq == NO_SEQ, given.seq >= table.c.seq)),
            )
            names = ("boot", "at", "received")
            seq = sa.case((given.seq == NO_SEQ, table.c.seq), else_=given.seq)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["device", "kind"],
                    set_={**{n: given[n] for n in names}, "seq": seq, "body": self._body(given)},
                    where=later,
                )
            )
        hours = [
            {"device": row.device, "hour": row.received // 3600 * 3600, "at": row.at, "body": dict(row.body)}
            for row in rows
            if row.kind == "health"
        ]
        for start in range(0, len(hours), MAX_ROWS):
            insert = self._insert(tables.health).values(hours[start : start + MAX_ROWS])
            connection.execute(insert.on_conflict_do_nothing())

    def _body(self, given: Any) -> Any:
        """A will says that the box is gone and nothing else: what it had said before stays."""
        old = tables.states.c.body
        postgres = self._engine.dialect.name == "postgresql"
        both = old.op("||")(given.body) if postgres else sa.func.json_patch(old, given.body)
        return sa.case((given.seq == NO_SEQ, both), else_=given.body)

    def _heads(self, connection: sa.Connection, rows: Sequence[Head]) -> None:
        """A head that another collector moved further stays."""
        table = tables.heads
        for row in rows:
            insert = self._insert(table).values(asdict(row))
            given = insert.excluded
            further = sa.or_(given.size > table.c.size, sa.and_(given.size == table.c.size, given.boot >= table.c.boot))
            names = [column.name for column in table.c if column.name != "device"]
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["device"], set_={name: given[name] for name in names}, where=further
                )
            )

    def _alarms(self, connection: sa.Connection, rows: Sequence[Alarm]) -> int:
        """Keep each once; how many were beyond MAX_OPEN_ALARMS and are counted only."""
        table, unkept = tables.alarms, 0
        room: dict[tuple[str, str], int] = {}
        for row in rows:
            about = (row.device, row.kind)
            if about not in room:
                opened = sa.select(sa.func.count()).where(
                    table.c.device == row.device, table.c.kind == row.kind, table.c.cleared.is_(None)
                )
                room[about] = MAX_OPEN_ALARMS - (connection.scalar(opened) or 0)
            if room[about] <= 0:
                unkept += 1
                continue
            insert = self._insert(table).values({**asdict(row), "evidence": dict(row.evidence)})
            once = insert.on_conflict_do_nothing(index_elements=["device", "kind", "mark"])
            room[about] -= connection.execute(once.returning(table.c.id)).first() is not None
        return unkept

    def _aside(self, connection: sa.Connection, rows: Sequence[SetAside]) -> None:
        table = tables.set_aside
        if not rows:
            return
        room = MAX_SET_ASIDE - (connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
        for start in range(0, min(len(rows), max(0, room)), MAX_ROWS):
            part = rows[start : min(start + MAX_ROWS, room)]
            connection.execute(sa.insert(table).values([asdict(row) for row in part]))

    def _tally(self, connection: sa.Connection, tally: Counter[str], now_s: float) -> None:
        day = int(now_s) // _DAY_S * _DAY_S
        for name, count in sorted(tally.items()):
            insert = self._insert(tables.tallies).values(day=day, name=name, count=count)
            total = tables.tallies.c.count + insert.excluded.count
            connection.execute(insert.on_conflict_do_update(index_elements=["day", "name"], set_={"count": total}))

    def _upsert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
        key = [column.name for column in table.primary_key]
        for start in range(0, len(rows), MAX_ROWS):
            insert = self._insert(table).values(list(rows[start : start + MAX_ROWS]))
            change = {column.name: insert.excluded[column.name] for column in table.c if column.name not in key}
            connection.execute(insert.on_conflict_do_update(index_elements=key, set_=change))


_RELEASE = (
    "device", "ledger", "bin_start", "bin_s", "site", "boot", "minutes_covered", "epsilon", "scale", "tracing_scale",
    "parts", "clock", "segment", "link", "at", "received",
)  # fmt: skip


def _kept_digest(connection: sa.Connection, row: Release | Statement) -> bytes:
    """The digest of what is kept under the row's key."""
    if isinstance(row, Release):
        table = tables.releases
        key = sa.and_(table.c.device == row.device, table.c.ledger == row.ledger, table.c.bin_start == row.bin_start)
        return connection.scalar(sa.select(table.c.digest).where(key)) or b""
    other = tables.statements
    same = sa.and_(other.c.device == row.device, other.c.kind == row.kind, other.c.mark == row.mark)
    return digest(connection.scalar(sa.select(other.c.payload).where(same)) or b"")


def _aside(row: Release | Statement) -> SetAside:
    return SetAside(received=row.received, reason=Reason.CONTRADICTION, topic=row.topic, payload=row.payload)


def _alarm(row: Release | Statement, kept: bytes) -> Alarm:
    """Two contents under one key: a copied card, or a box that changes what it said."""
    key = f"{row.ledger}/{row.bin_start}" if isinstance(row, Release) else row.mark
    return Alarm(
        device=row.device,
        kind="contradiction",
        mark=f"{row.kind}/{key}",
        raised=row.received,
        what="said two things under one key: a copied card, or a message that somebody changed; figures are not signed",
        evidence={
            "topic": row.topic, "payload": b64encode(row.payload).decode(), "kept_digest": kept.hex(),
        },
    )  # fmt: skip
