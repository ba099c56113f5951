"""What `edge-authority` does: one file per command group; names, options and help stand in ../cli.py."""

__all__ = [
    "boxes",
    "cases",
    "keys",
    "match",
    "options",
    "progress",
    "pull",
    "recipients",
    "release",
    "report",
    "request",
    "unseal",
]
