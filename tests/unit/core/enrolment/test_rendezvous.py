"""The bench's call on the local switch says a port and nothing else."""

from __future__ import annotations

import pytest

from edge_scanner.core.enrolment import rendezvous


def test_a_beacon_names_the_port() -> None:
    """What the bench calls is what a box reads."""
    assert rendezvous.read_beacon(b"edge-scanner bench 1 47111\n") == 47111
    assert rendezvous.beacon(80) == b"edge-scanner bench 1 80\n"


@pytest.mark.parametrize(
    "datagram",
    [b"", b"edge-scanner bench 2 80\n", b"edge-scanner bench 1 0\n", b"edge-scanner bench 1 70000\n", b"\xff" * 90],
)
def test_anything_else_is_no_beacon(datagram: bytes) -> None:
    """Other traffic on the port is passed over."""
    assert rendezvous.read_beacon(datagram) is None
