"""Recorded traffic instead of a radio: capture files and any other stream of adverts, at their own times."""

__all__ = ["replay", "source"]
