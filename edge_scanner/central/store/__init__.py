"""The centre's tables on SQLite or PostgreSQL: what boxes said is kept once, and read here by everybody.

`store.open_store(url)` is the door; its rows are the dataclasses of `model`. docs/central.md describes the tables.
"""

__all__ = ["model", "reading", "site_bins", "store"]
