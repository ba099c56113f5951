"""Partitions by month on PostgreSQL, made when the first row of a month comes; SQLite has one table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import sqlalchemy as sa

from edge_scanner.central.store.tables import PARTITIONED

if TYPE_CHECKING:
    from collections.abc import Iterable


def month_of(time_s: int) -> dt.date:
    """The first day of a UTC second's month."""
    return dt.datetime.fromtimestamp(time_s, dt.UTC).date().replace(day=1)


def next_month(month: dt.date) -> dt.date:
    """The first day of the month after."""
    return (month + dt.timedelta(days=32)).replace(day=1)


def start_s(month: dt.date) -> int:
    """The UTC second in which a month begins."""
    return int(dt.datetime(month.year, month.month, month.day, tzinfo=dt.UTC).timestamp())


def name(table: str, month: dt.date) -> str:
    """A partition's name, as `releases_2026_11`."""
    return f"{table}_{month:%Y_%m}"


def add_months(connection: sa.Connection, known: set[str], **times: Iterable[int]) -> set[str]:
    """Make the partitions that rows of these `table=times` need; the names that are there now besides `known`."""
    if connection.dialect.name != "postgresql":
        return set()
    made = set()
    for table, seconds in times.items():
        for month in {month_of(one) for one in seconds}:
            partition = name(table, month)
            if partition in known or partition in made:
                continue
            low, high = start_s(month), start_s(next_month(month))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": partition})
            connection.exec_driver_sql(
                f"CREATE TABLE IF NOT EXISTS {partition} PARTITION OF {table} FOR VALUES FROM ({low}) TO ({high})"
            )
            made.add(partition)
    return made


def drop_before(connection: sa.Connection, table: str, limit_s: int) -> int:
    """Remove what lies before a second: whole partitions on PostgreSQL, rows on SQLite; how many of either."""
    column = PARTITIONED[table]
    if connection.dialect.name != "postgresql":
        old = sa.text(f"DELETE FROM {table} WHERE {column} < :limit")  # noqa: S608 (names are ours)
        return connection.execute(old, {"limit": limit_s}).rowcount
    children = sa.text(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
        "JOIN pg_class parent ON parent.oid = inhparent WHERE parent.relname = :table"
    )
    oldest = name(table, month_of(limit_s))
    found = [child for child in connection.scalars(children, {"table": table}) if child < oldest]
    for child in found:
        connection.exec_driver_sql(f"DROP TABLE {child}")
    return len(found)
