"""Errors in the reader's language: English where they are raised, Vietnamese from one catalogue."""

__all__ = ["errors"]
