"""What the centre knows, as questions: the fleet, what is open, how busy places were. Every answer is bounded.

Nothing is clamped or rounded here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from edge_scanner.central.store import site_bins, tables
from edge_scanner.central.store.engine import transaction
from edge_scanner.central.store.model import MAX_SET, Alarm, Box, Head, Reason, SetAside, Site, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_scanner.central.store.site_bins import SiteBin

MAX_ROWS = 10_000
"""Of one answer, so that no question fills a memory."""
LEDGER = "broker"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxNow:
    """A box of the list and its newest words; `heard` is when anything of it came last, None for never.

    `status` and `health` are the newest messages' fields, empty where there is none.
    """

    box: Box
    heard: int | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedAlarm:
    """An alarm with its number; `cleared` is when a person had seen to it."""

    number: int
    alarm: Alarm
    cleared: int | None
    cleared_by: str | None


class Reading:
    """Questions to the store, each in a transaction of its own."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def sites(self, site: str | None = None) -> tuple[Site, ...]:
        """Every venue of the signed list, or the one of that id."""
        query = sa.select(tables.sites).order_by(tables.sites.c.site)
        if site is not None:
            query = query.where(tables.sites.c.site == site)
        return tuple(Site(**row) for row in self._rows(query))

    def software(self) -> tuple[str, ...]:
        """Every version that a box of the list runs now."""
        return tuple({said for said in self._stated("software") if said})

    def recipients(self) -> int:
        """The newest recipient set that two boxes of the list state, or the only one that states any; 0 for none.

        A status is unsigned: what one box says is no yardstick for the others.
        """
        found = (int(said) for said in self._stated("recipients_version") if said.isdecimal())
        newest = sorted(version for version in found if version <= MAX_SET)[-2:]
        return newest[0] if newest else 0

    def _stated(self, name: str) -> Iterator[str]:
        """The value that each box of the list states of itself now."""
        boxes, states = tables.boxes.c, tables.states.c
        said = states.body[name].as_string().label("said")
        listed = sa.select(boxes.device).where(boxes.state != "revoked")
        query = sa.select(said).where(states.kind == "status", states.device.in_(listed))
        return (str(row["said"]) for row in self._rows(query) if row["said"] is not None)

    def boxes(self) -> tuple[Box, ...]:
        """Every box of the signed list."""
        return tuple(Box(**row) for row in self._rows(sa.select(tables.boxes).order_by(tables.boxes.c.device)))

    def fleet(self, site: str | None = None) -> tuple[BoxNow, ...]:
        """Every box, or a site's, with its newest words."""
        boxes, states = tables.boxes, tables.states
        query = sa.select(boxes).order_by(boxes.c.device)
        said = sa.select(states)
        if site is not None:
            query = query.where(boxes.c.site == site)
            said = said.where(states.c.device.in_(sa.select(boxes.c.device).where(boxes.c.site == site)))
        words: dict[str, dict[str, Any]] = {}
        heard: dict[str, int] = {}
        for row in self._rows(said):
            words.setdefault(row["device"], {})[row["kind"]] = {"at": row["at"], **row["body"]}
            heard[row["device"]] = max(heard.get(row["device"], 0), row["received"])
        found = (Box(**row) for row in self._rows(query))
        return tuple(BoxNow(box=box, heard=heard.get(box.device), **words.get(box.device, {})) for box in found)

    def bins(
        self,
        from_s: int,
        to_s: int,
        *,
        site: str | None = None,
        figures: Sequence[str] = (),
        step_s: int = 3600,
        origin_s: int = 0,
        ledger: str = LEDGER,
    ) -> tuple[SiteBin, ...]:
        """Steps of a span, each site's boxes added up by the database, the first MAX_ROWS in the order of time.

        `figures` names those that are wanted besides `nearby`; `step_s` is an hour, or longer to see a year, and one
        step begins at `origin_s`.
        """
        both = site_bins.steps(
            from_s, to_s, site=site, figures=figures, step_s=step_s, origin_s=origin_s, ledger=ledger
        )
        query = both.order_by(both.selected_columns["start"], both.selected_columns["site"]).limit(MAX_ROWS)
        return tuple(site_bins.of_row(row, figures) for row in self._rows(query))

    def newest_bin(self, *, ledger: str = LEDGER) -> int | None:
        """The start of the newest bin of any box."""
        table = tables.releases
        with transaction(self._engine) as connection:
            newest: int | None = connection.scalar(
                sa.select(sa.func.max(table.c.bin_start)).where(table.c.ledger == ledger)
            )
            return newest

    def releases(
        self, from_s: int, to_s: int, *, after: tuple[int, str] = (0, ""), limit: int = MAX_ROWS, ledger: str = LEDGER
    ) -> list[dict[str, Any]]:
        """Rows of `releases` in the order of (bin_start, device); `after` is the last pair of the page before."""
        table = tables.releases
        place = sa.tuple_(table.c.bin_start, table.c.device)
        query = (
            sa.select(*(column for column in table.c if column.name not in ("digest", "link", "nearby")))
            .where(table.c.ledger == ledger, table.c.bin_start >= from_s, table.c.bin_start < to_s)
            .where(place > sa.tuple_(sa.literal(after[0]), sa.literal(after[1])))
            .order_by(table.c.bin_start, table.c.device)
            .limit(min(limit, MAX_ROWS))
        )
        return list(self._rows(query))

    def open_alarms(self) -> int:
        """How many alarms nobody has seen to."""
        table = tables.alarms
        with transaction(self._engine) as connection:
            return connection.scalar(sa.select(sa.func.count()).where(table.c.cleared.is_(None))) or 0

    def alarm(self, number: int) -> RaisedAlarm | None:
        """One alarm, open or cleared."""
        found = tuple(self._rows(sa.select(tables.alarms).where(tables.alarms.c.id == number)))
        return _alarm(found[0]) if found else None

    def alarms(
        self, *, open_only: bool = True, device: str | None = None, limit: int = MAX_ROWS
    ) -> tuple[RaisedAlarm, ...]:
        """Alarms, the newest first."""
        table = tables.alarms
        query = sa.select(table).order_by(table.c.raised.desc(), table.c.id.desc()).limit(limit)
        if open_only:
            query = query.where(table.c.cleared.is_(None))
        if device is not None:
            query = query.where(table.c.device == device)
        return tuple(_alarm(row) for row in self._rows(query))

    def heads(self, devices: Sequence[str] | None = None) -> dict[str, Head]:
        """How far the witness followed each log."""
        query = sa.select(tables.heads)
        if devices is not None:
            query = query.where(tables.heads.c.device.in_(devices))
        return {row["device"]: Head(**row) for row in self._rows(query)}

    def statements(
        self, device: str, *, kinds: Sequence[str] = (), number: int | None = None, from_s: int = 0, to_s: int = 1 << 53
    ) -> Iterator[Statement]:
        """What a box stated, by the time of its word, oldest first; `number` narrows to one size or number."""
        table = tables.statements
        query = sa.select(table).where(table.c.device == device, table.c.at >= from_s, table.c.at < to_s)
        if kinds:
            query = query.where(table.c.kind.in_(kinds))
        if number is not None:
            query = query.where(table.c.number == number)
        return (Statement(**row) for row in self._rows(query.order_by(table.c.at, table.c.kind, table.c.number)))

    def newest(self, kind: str, *, limit: int) -> list[Statement]:
        """The newest statements of one kind over all boxes, the newest first."""
        table = tables.statements
        query = sa.select(table).where(table.c.kind == kind).order_by(table.c.received.desc()).limit(limit)
        return [Statement(**row) for row in self._rows(query)]

    def links(self, device: str, from_s: int, to_s: int) -> Iterator[tuple[int, int, bytes]]:
        """The links of a box's count messages in a span: when made, segment, link."""
        table = tables.releases
        query = (
            sa.select(table.c.at, table.c.segment, table.c.link)
            .where(table.c.device == device, table.c.link.is_not(None))
            .where(table.c.bin_start >= from_s, table.c.bin_start < to_s)
            .order_by(table.c.at)
        )
        return ((row["at"], row["segment"], row["link"]) for row in self._rows(query))

    def health(self, device: str, from_s: int, to_s: int) -> list[dict[str, Any]]:
        """A box's health, one an hour, oldest first."""
        table = tables.health
        query = sa.select(table).where(table.c.device == device, table.c.hour >= from_s, table.c.hour < to_s)
        return list(self._rows(query.order_by(table.c.hour).limit(MAX_ROWS)))

    def tallies(self, from_s: int, to_s: int) -> dict[str, int]:
        """How many messages of each sort came in whole UTC days: `counts/new`, `aside/schema` and so on."""
        table = tables.tallies
        total = sa.func.sum(table.c.count).label("total")
        query = sa.select(table.c.name, total).where(table.c.day >= from_s, table.c.day < to_s).group_by(table.c.name)
        return {row["name"]: int(row["total"]) for row in self._rows(query)}

    def aside(self, reason: Reason | None, after: int, limit: int) -> list[tuple[int, SetAside]]:
        """Messages that were set aside, by number, oldest first; for one reason or all."""
        table = tables.set_aside
        query = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(min(limit, MAX_ROWS))
        if reason is not None:
            query = query.where(table.c.reason == reason)
        return [
            (
                row["id"],
                SetAside(
                    received=row["received"], reason=Reason(row["reason"]), topic=row["topic"], payload=row["payload"]
                ),
            )
            for row in self._rows(query)
        ]

    def testimony(self, day: int) -> bytes | None:
        """The witness's own statement of a day."""
        table = tables.testimonies
        with transaction(self._engine) as connection:
            return connection.scalar(sa.select(table.c.document).where(table.c.day == day))

    def _rows(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> Iterator[dict[str, Any]]:
        with transaction(self._engine) as connection:
            for row in connection.execution_options(yield_per=1000).execute(query).mappings():
                yield dict(row)


def _alarm(row: Mapping[str, Any]) -> RaisedAlarm:
    alarm = Alarm(
        device=row["device"],
        kind=row["kind"],
        mark=row["mark"],
        raised=row["raised"],
        what=row["what"],
        evidence=row["evidence"],
    )
    return RaisedAlarm(number=row["id"], alarm=alarm, cleared=row["cleared"], cleared_by=row["cleared_by"])
