"""Headquarters' commands of edge-provision: `fleet` and `batch`."""

__all__ = ["boxes", "commands", "enrolment_service", "fleet", "founding", "moving", "orders", "time_key"]
