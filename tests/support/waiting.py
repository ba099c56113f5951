"""Waiting in tests for what other processes and threads do: a condition, and patience with an end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 300.0
"""Ends a wait for what never comes, and decides nothing else: a busy machine may take its time."""


async def eventually(condition: Callable[[], object]) -> None:
    """Return once `condition` holds; TimeoutError when it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 (what is waited for is outside this loop)
            await asyncio.sleep(0.01)


def until(condition: Callable[[], object]) -> None:
    """The same where no loop runs."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
