"""Waiting in tests for what other processes and threads do: a condition, and patience with an end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 10.0


async def eventually(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Return once `condition` holds; TimeoutError when it never does."""
    async with asyncio.timeout(patience_s):
        while not condition():  # noqa: ASYNC110 (what is waited for is outside this loop)
            await asyncio.sleep(0.01)
