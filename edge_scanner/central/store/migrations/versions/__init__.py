"""One file a step, numbered."""

__all__ = ["m0001_tables", "m0002_site_rule"]
