"""Headquarters' order to a box that it hangs somewhere else now, as the only thing a bench would say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from edge_scanner.core.enrolment.documents import Manifest


class MoveLink:
    """Answers as `bench_client.BenchLink` does, for a box that is installed; else BadDataError."""

    def __init__(self, order: bytes) -> None:
        self._order = order.strip()

    @property
    def place(self) -> str:
        """For people."""
        return "headquarters' order"

    def signer(self) -> Ed25519PublicKey:
        """Not said by an order."""
        raise BadDataError("an order installs no box", hint="a box that is not installed goes to a bench")

    def manifest(self) -> bytes:
        """Not said by an order."""
        raise BadDataError("an order installs no box", hint="a box that is not installed goes to a bench")

    def time(self, _manifest: Manifest) -> float | None:
        """None: an order has no clock."""
        return None

    def enrol(self, _request: bytes) -> bytes:
        """The order."""
        return self._order

    def key(self) -> bytes | None:
        """None: the box has its own."""
        return None

    def report(self, _report: bytes) -> None:
        """Nobody listens."""
