"""Headquarters' commands of edge-provision: `fleet` and `batch`."""

__all__ = ["commands", "enrolment_service", "fleet"]
