"""From the order to a verified bundle: request, pull, evidence. Nothing here opens a log."""

__all__ = ["boxes", "collection", "evidence", "pull", "request", "verdict", "verify"]
