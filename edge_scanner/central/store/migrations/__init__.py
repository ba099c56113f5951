"""The tables' history, for Alembic: each file of `versions` is one step, and a step that was released never changes."""

__all__ = ["versions"]
