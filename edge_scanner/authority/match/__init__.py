"""Cases against opened logs: identifiers derived from a case's keys, minutes heard, report."""
