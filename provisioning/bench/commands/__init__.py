"""The commands' work, one subject a file; names and options stand in ../cli.py."""

__all__ = ["batch", "bench", "sync"]
