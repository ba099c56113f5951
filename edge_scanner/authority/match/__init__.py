"""Cases against opened logs: identifiers derived from a case's keys, minutes heard, report."""

__all__ = ["cases", "derive", "exports", "match", "report"]
