"""The sealed log: its byte-level format, who can open it, and how anybody can tell that it is whole."""

__all__ = [
    "bundle",
    "encounters",
    "errors",
    "format",
    "frames",
    "hpke",
    "merkle",
    "opener",
    "ratchet",
    "recipients",
    "retention",
    "roots",
    "verifier",
    "writer",
]
