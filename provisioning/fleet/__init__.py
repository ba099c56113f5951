"""Headquarters' commands of edge-provision: `fleet` and `batch`."""
