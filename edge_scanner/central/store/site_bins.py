"""How busy sites were, as one question: each box's mean, the sites' sums of them, and the variance of the noise.

A site's hour adds up the means of its boxes, or has that of the largest where they hang in one hall. Whoever shows a
figure can show its interval, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from edge_scanner.central.store import tables
from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.site_total import SAME_HALL, SEPARATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOUR_S = 3600
WEEK_S = 7 * 86_400
_MONDAY_S = 4 * 86_400
"""1970 began on a Thursday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBin:
    """One bin of one site, of the `boxes` that listened in it: a box that hears nothing says nothing about a place.

    `mean` phones are the sum of each box's own mean where `rule` is `separate`, the largest box's where it is `same
    hall`; `mean_variance` is of its noise. None where nobody listened.
    `minutes` and the device-minutes `nearby` and `figures` are added up over the boxes that count, `variance` is of
    `nearby`, `tracing_variance` of each other figure, both in device-minutes², as of independent bins.
    They are `bins` that follow one another, each a sum of `parts`, and share noise: `shared` says by how much more.
    """

    site: str
    bin_start: int
    boxes: int
    minutes: int
    nearby: int | None
    figures: Mapping[str, int]
    variance: float
    tracing_variance: float = 0.0
    mean: float | None = None
    mean_variance: float = 0.0
    bins: int = 1
    parts: int = 1
    rule: str = SEPARATE

    @property
    def shared(self) -> float:
        """Variance of `nearby` over that of independent bins."""
        return intervals.of_successive(self.bins, self.parts)


def steps(
    from_s: int, to_s: int, *, site: str | None, figures: Sequence[str], step_s: int, origin_s: int, ledger: str
) -> sa.CompoundSelect[Any]:
    """The steps of a span, without an order; `of_row` reads a row.

    Of one hall's boxes each hour has one: of those that listened the one that hears most in its week (from Monday,
    UTC), since by the hour alone the noise would choose.
    """
    releases, sites = tables.releases, tables.sites
    halls = sa.select(sites.c.site).where(sites.c.rule == SAME_HALL)
    span = sa.and_(
        releases.c.ledger == ledger, releases.c.bin_start >= from_s, releases.c.bin_start < to_s,
        sa.true() if site is None else releases.c.site == site, releases.c.site.not_in(halls),
    )  # fmt: skip
    weeks = sa.and_(
        releases.c.ledger == ledger, releases.c.site.in_(halls if site is None else [site]),
        releases.c.bin_start >= from_s - (from_s - _MONDAY_S) % WEEK_S,
        releases.c.bin_start < to_s + (_MONDAY_S - to_s) % WEEK_S,
    )  # fmt: skip
    ranked = _ranked(weeks).subquery()
    of_halls = sa.and_(ranked.c.bin_start >= from_s, ranked.c.bin_start < to_s, ranked.c.site.in_(halls))

    def start(rows: sa.FromClause) -> sa.ColumnElement[int]:
        return ((rows.c.bin_start - origin_s) // step_s * step_s + origin_s).label("start")

    return sa.union_all(
        _steps(releases, SEPARATE, figures, start(releases), where=span, counted=_listened(releases)),
        _steps(
            ranked,
            SAME_HALL,
            figures,
            start(ranked),
            where=of_halls,
            counted=sa.and_(_listened(ranked), ranked.c.place == 1),
        ),
    )


def of_row(row: Mapping[str, Any], figures: Sequence[str]) -> SiteBin:
    """A row of `steps`."""
    found = {name: row[f"figure_{name}"] for name in figures}
    bins = row["bins"] or 0
    return SiteBin(
        site=row["site"],
        bin_start=int(row["start"]),
        boxes=int(row["boxes"]),
        minutes=int(row["minutes"] or 0),
        nearby=None if row["nearby"] is None else int(row["nearby"]),
        figures={name: int(value) for name, value in found.items() if value is not None},
        variance=float(row["variance"] or 0),
        tracing_variance=float(row["tracing_variance"] or 0),
        mean=None if row["mean"] is None else float(row["mean"]),
        mean_variance=float(row["mean_variance"] or 0),
        bins=max(1, round(bins / max(1, row["counted"]))),
        parts=max(1, round((row["parts"] or 0) / max(1, bins))),
        rule=row["rule"],
    )


def _steps(
    rows: sa.FromClause,
    rule: str,
    figures: Sequence[str],
    start: sa.ColumnElement[int],
    *,
    where: sa.ColumnElement[bool],
    counted: sa.ColumnElement[bool],
) -> sa.Select[Any]:
    """Rows like those of `releases` as the steps of sites; only those that `counted` says are added up.

    First each box by itself: one that listened for ten minutes says as much about the hour as one that listened for all
    of it. Of a hall one box counts at a time, so that all its minutes are those of one.
    """
    column = rows.c
    tracing = sa.func.coalesce(column.tracing_scale, column.scale)

    def total(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.sum(sa.case((counted, value)))

    each = [column.site, start, *([column.device] if rule == SEPARATE else [])]
    names = [f"figure_{name}" for name in figures]
    inner = (
        sa.select(
            *each,
            sa.func.count(sa.distinct(sa.case((_listened(rows), column.device)))).label("boxes"),
            total(column.minutes_covered).label("minutes"),
            total(column.nearby).label("nearby"),
            # A discrete Laplace of scale b has the variance 2 b² (a little less).
            (2 * total(column.scale * column.scale)).label("variance"),
            (2 * total(tracing * tracing)).label("tracing_variance"),
            total(sa.literal(1)).label("bins"),
            total(column.parts).label("parts"),
            *(
                total(column.figures[name].as_integer()).label(label)
                for name, label in zip(figures, names, strict=True)
            ),
        )
        .where(where)
        .group_by(*each)
        .subquery()
    )
    one = inner.c
    sums = ("boxes", "minutes", "nearby", "variance", "tracing_variance", "bins", "parts", *names)
    return sa.select(
        one.site,
        one.start,
        sa.literal_column(f"'{rule}'").label("rule"),
        *(sa.func.sum(one[name]).label(name) for name in sums),
        sa.func.sum(one.nearby * 1.0 / one.minutes).label("mean"),
        sa.func.sum(one.variance / (one.minutes * 1.0 * one.minutes)).label("mean_variance"),
        sa.func.count(one.minutes).label("counted"),
    ).group_by(one.start, one.site)


def _listened(rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether a bin says anything about its place."""
    return sa.and_(rows.c.nearby.is_not(None), rows.c.minutes_covered > 0)


def _ranked(weeks: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Releases with their box's `place` among those of the same site and hour: 1 is the one that counts.

    By the hour, because the bin of a box that was restarted has a start of its own.
    """
    table = tables.releases
    hour = (table.c.bin_start // HOUR_S).label("hour")
    week = (table.c.bin_start - _MONDAY_S) // WEEK_S
    of_week = (table.c.site, table.c.device, week)
    minutes = sa.func.nullif(sa.func.sum(table.c.minutes_covered).over(partition_by=of_week), 0)
    hears = sa.func.coalesce(sa.func.sum(table.c.nearby).over(partition_by=of_week) * 1.0 / minutes, -math.inf)
    here = sa.func.max(sa.case((_listened(table), 1), else_=0)).over(partition_by=(table.c.site, table.c.device, hour))
    weekly = sa.select(table, hour, hears.label("hears"), here.label("listened")).where(weeks).subquery()
    place = sa.func.dense_rank().over(
        partition_by=(weekly.c.site, weekly.c.hour),
        order_by=(weekly.c.listened.desc(), weekly.c.hears.desc(), weekly.c.device),
    )
    return sa.select(weekly, place.label("place"))
