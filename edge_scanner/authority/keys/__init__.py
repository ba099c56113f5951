"""The authority's and the custodian's keys, their files and back-ups, and the recipient sets."""

__all__ = ["backup", "keys", "mandates", "recipients", "vault", "weeks"]
