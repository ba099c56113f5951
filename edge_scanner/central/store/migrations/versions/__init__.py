"""One file a step, numbered."""

__all__ = ["m0001_tables"]
