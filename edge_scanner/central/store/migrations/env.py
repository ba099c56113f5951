"""What Alembic runs: the steps on the connection that `store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from edge_scanner.central.store import tables

context.configure(connection=context.config.attributes["connection"], target_metadata=tables.metadata)
with context.begin_transaction():
    context.run_migrations()
