"""The tables, as SQLAlchemy knows them; the migrations make them (a test holds that both agree).

Times are whole UTC seconds. `releases` and `health` are partitioned by month on PostgreSQL, by the time that their keys
hold, so that a key stays unique over all partitions and an old month goes as a whole.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData()

DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

boxes = sa.Table(
    "boxes",
    metadata,
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("room", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("identity", sa.LargeBinary, nullable=False),
)

sites = sa.Table(
    "sites",
    metadata,
    sa.Column("site", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("province", sa.Text, nullable=False),
    sa.Column("district", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
)

lists = sa.Table(
    "lists",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("made", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("ledger", sa.Text, primary_key=True),
    sa.Column("bin_start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bin_s", sa.Integer, nullable=False),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("boot", sa.BigInteger, nullable=False),
    sa.Column("minutes_covered", sa.Integer, nullable=False),
    sa.Column("epsilon", sa.Double, nullable=False),
    sa.Column("scale", sa.Double, nullable=False),
    sa.Column("tracing_scale", sa.Double),
    sa.Column("parts", sa.Integer, nullable=False),
    sa.Column("clock", sa.Text, nullable=False),
    sa.Column("nearby", sa.BigInteger),
    sa.Column("figures", DOCUMENT, nullable=False),
    sa.Column("segment", sa.BigInteger),
    sa.Column("link", sa.LargeBinary),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Index("releases_site", "site", "bin_start"),
    sa.Index("releases_bin", "bin_start"),
    postgresql_partition_by="RANGE (bin_start)",
    sqlite_with_rowid=False,
)

health = sa.Table(
    "health",
    metadata,
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("body", DOCUMENT, nullable=False),
    sa.Index("health_hour", "hour"),
    postgresql_partition_by="RANGE (hour)",
    sqlite_with_rowid=False,
)

states = sa.Table(
    "states",
    metadata,
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("boot", sa.BigInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("body", DOCUMENT, nullable=False),
)

statements = sa.Table(
    "statements",
    metadata,
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("mark", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Index("statements_kind", "kind", "received"),
)

heads = sa.Table(
    "heads",
    metadata,
    sa.Column("device", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("boot", sa.BigInteger, nullable=False),
    sa.Column("boot_id", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("proven", sa.Boolean, nullable=False),
)

alarms = sa.Table(
    "alarms",
    metadata,
    sa.Column("id", ROW_ID, primary_key=True),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("raised", sa.BigInteger, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("evidence", DOCUMENT, nullable=False),
    sa.Column("cleared", sa.BigInteger),
    sa.Column("cleared_by", sa.Text),
    sa.UniqueConstraint("device", "kind", "mark", name="alarms_once"),
    sa.Index("alarms_raised", "raised"),
)

set_aside = sa.Table(
    "set_aside",
    metadata,
    sa.Column("id", ROW_ID, primary_key=True),
    sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Index("set_aside_received", "received"),
    sa.Index("set_aside_reason", "reason"),
)

tallies = sa.Table(
    "tallies",
    metadata,
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)

testimonies = sa.Table(
    "testimonies",
    metadata,
    sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)

PARTITIONED = {"releases": "bin_start", "health": "hour"}
"""Tables with a partition a month on PostgreSQL, and the column that decides."""
