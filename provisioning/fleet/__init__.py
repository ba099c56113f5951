"""Headquarters' commands of edge-provision: `fleet` and `batch`."""

__all__ = ["boxes", "commands", "enrolment_service", "fleet", "moving", "orders", "time_key"]
