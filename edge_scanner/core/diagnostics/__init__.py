"""The codes of faults, and for each what it means and what to do."""

__all__ = ["advice", "codes", "words"]
