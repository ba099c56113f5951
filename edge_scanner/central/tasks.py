"""A long-running program of the centre: stop signals, and errors as one line with an exit code."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from edge_scanner import terminal

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, or SIGTERM or SIGINT ends it in order; of a task group's errors the first one is raised."""
    try:
        asyncio.run(_until_signal(main))
    except BaseExceptionGroup as group:
        raise _first(group) from group


def say(line: str) -> None:
    """One line for the journal: a fixed phrase and figures, no payload."""
    terminal.say(line, stderr=True)


async def _until_signal(main: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    if task.cancelled() and not stopped:
        raise asyncio.CancelledError


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
