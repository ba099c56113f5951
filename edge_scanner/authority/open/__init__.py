"""The shares of two parties open a bundle, and what was opened is kept as a table."""

__all__ = ["opened", "register", "unseal"]
