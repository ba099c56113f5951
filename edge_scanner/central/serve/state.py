"""What every route needs: the store, the clock, and who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from fastapi import HTTPException

from edge_scanner.central.serve.access import Access, Person, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

    from edge_scanner.central.store.reading import Reading
    from edge_scanner.central.store.store import Store

__all__ = ["Centre", "asking", "centre", "needs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The program: `now` is UTC seconds."""

    store: Store
    access: Access
    now: Callable[[], float]
    silent_s: int
    time_zone: str

    @property
    def read(self) -> Reading:
        """Its questions."""
        return self.store.read


def centre(request: Request) -> Centre:
    """The program that a request came to."""
    return cast("Centre", request.app.state.centre)


def asking(request: Request) -> Person:
    """Who asks; the gate (server.py) let nobody else in."""
    return cast("Person", request.state.person)


def needs(request: Request, role: Role) -> None:
    """Raise 403 for somebody without the role."""
    if role is Role.OPERATOR and asking(request).role is not Role.OPERATOR:
        raise HTTPException(403, "only an operator may do this")
