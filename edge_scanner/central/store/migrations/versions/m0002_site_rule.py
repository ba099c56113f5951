"""Sites say whether their boxes hear the same people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """One step forward; a step back is a restored backup."""
    op.add_column("sites", sa.Column("rule", sa.Text, nullable=False, server_default="separate"))
