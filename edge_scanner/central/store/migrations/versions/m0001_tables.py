"""The first tables, written out: a step that was released stays as it is, whatever tables.py becomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

DOCUMENT = sa.JSON().with_variant(JSONB(), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """One step forward; a step back is a restored backup."""
    _lists()
    _published()
    _judged()


def _lists() -> None:
    """What the fleet's operator and the ministry say: boxes, sites, and which list was read last."""
    op.create_table(
        "boxes",
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("room", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "sites",
        sa.Column("site", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("province", sa.Text, nullable=False),
        sa.Column("district", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
    )
    op.create_table(
        "lists",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )


def _published() -> None:
    """What boxes publish: counts, health, state, statements about their logs."""
    op.create_table(
        "releases",
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
        postgresql_partition_by="RANGE (bin_start)",
        sqlite_with_rowid=False,
    )
    op.create_index("releases_site", "releases", ["site", "bin_start"])
    op.create_index("releases_bin", "releases", ["bin_start"])
    op.create_table(
        "health",
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", DOCUMENT, nullable=False),
        postgresql_partition_by="RANGE (hour)",
        sqlite_with_rowid=False,
    )
    op.create_index("health_hour", "health", ["hour"])
    op.create_table(
        "states",
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("boot", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("body", DOCUMENT, nullable=False),
    )
    op.create_table(
        "statements",
        sa.Column("device", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("mark", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index("statements_kind", "statements", ["kind", "received"])


def _judged() -> None:
    """What the store makes of it: log heads, alarms, what was set aside, days."""
    op.create_table(
        "heads",
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
    op.create_table(
        "alarms",
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
    )
    op.create_index("alarms_raised", "alarms", ["raised"])
    op.create_table(
        "set_aside",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    op.create_index("set_aside_received", "set_aside", ["received"])
    op.create_index("set_aside_reason", "set_aside", ["reason"])
    op.create_table(
        "tallies",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "testimonies",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
