"""What every route needs: the store, the clock, and who asks."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from fastapi import HTTPException
from fastapi.concurrency import run_in_threadpool

from edge_scanner.central.serve import questions
from edge_scanner.central.serve.access import Access, Person, Role
from edge_scanner.central.serve.questions import Place, Week
from edge_scanner.central.serve.stream import Streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

    from edge_scanner.central.store.reading import Reading
    from edge_scanner.central.store.store import Store

__all__ = ["Centre", "asking", "centre", "needs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Centre:
    """The program: `now` is UTC seconds, `signed_set` the version of the recipient set that we were given, or 0."""

    store: Store
    access: Access
    now: Callable[[], float]
    silent_s: int
    time_zone: str
    signed_set: Callable[[], int] = lambda: 0
    streams: Streams = field(default_factory=Streams)
    week: Week = field(default_factory=Week)
    passwords: Executor = field(default_factory=partial(ThreadPoolExecutor, 1, "passwords"))
    """Where passwords are checked, one at a time and apart from the threads that make pages."""

    @property
    def read(self) -> Reading:
        """Its questions."""
        return self.store.read

    async def place(self, site: str, days: int) -> Place:
        """One venue over time, for the page and the API; 404 for one that is not on the signed list."""
        found = await run_in_threadpool(
            questions.place, self.read, site,
            now_s=self.now(), days=days, silent_s=self.silent_s, signed_set=self.signed_set,
        )  # fmt: skip
        if found is None:
            raise HTTPException(404, "no such site on the signed list")
        return found

    async def check(self, work: Callable[..., Person | None], *words: str) -> Person | None:
        """Whom a password belongs to; waits for its turn."""
        return await asyncio.get_running_loop().run_in_executor(self.passwords, work, *words)


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
