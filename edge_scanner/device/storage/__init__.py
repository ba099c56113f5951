"""The sealed log, the outbox and the audit trail in one SQLite file: an acknowledged frame is never lost."""

__all__ = ["bundling", "extract", "files", "rows", "statements", "store"]
