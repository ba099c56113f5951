"""What a program owes systemd: signals, sd_notify, exit codes.

The first SIGTERM or SIGINT cancels the main task; from then on both are ignored, because a second one would cut the
clean-up short, silently and with exit code 0. A plain signal handler is used, not the loop's: the loop restores the
default action when it closes, and a third signal would then kill the exit.

sd_notify is thirty lines here: the packages that offer it swallow every error or need a C compiler.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING, Any, NoReturn

from edge_scanner import terminal
from edge_scanner.core.errors import EXIT_CRASH, DamagedError, EdgeScannerError
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

PAUSE_S = 60.0
"""Before a side task that failed is tried again: its cause is a disk or a mistake of ours, neither gone in a second."""
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_log = journal.get("supervise")


def run(
    main: Coroutine[Any, Any, None], new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
) -> int:
    """Run a program to its end; the exit code, 0 after a stop signal. Errors become one line on stderr."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_until_signal(main))
    except BaseExceptionGroup as group:
        return _report(group)
    except Exception as error:  # noqa: BLE001 (the outermost frame: everything becomes an exit code here)
        return _report(error)
    finally:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    return 0


async def _until_signal(main: Coroutine[Any, Any, None]) -> None:
    """Await `main` in a task of its own; a stop signal cancels it, and that cancellation is the orderly end."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(main, name="main")
    stopped = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        notify("STOPPING=1")
        loop.call_soon_threadsafe(task.cancel)

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise


def obey_stop() -> None:
    """Go on with a stop that a library took for the end of its own wait; for who loops around such a library."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def keep_going(
    work: Callable[[], Awaitable[None]], *, name: str, failing: Callable[[bool], None], pause_s: float = PAUSE_S
) -> NoReturn:
    """Run a side task for ever: what it raises ends one try of it, never the program; one line a minute says so.

    `failing` is told at each end and, a pause later, that it goes on. A damaged database is not the task's: opening it
    again is what mends it, so that goes through.
    """
    while True:
        try:
            await work()
        except DamagedError:
            raise
        except Exception as error:  # noqa: BLE001 (a side task must not end the recorder, whatever is wrong with it)
            obey_stop()
            failing(True)
            if isinstance(error, EdgeScannerError):
                _log.error("side task failed, it is tried again", task=name, reason=str(error))
            else:
                _log.critical("side task crashed, it is tried again", task=name, crash=journal.crash(error))
        await asyncio.sleep(pause_s)
        failing(False)


def _report(error: BaseException) -> int:
    """One line per error that has a sentence, one crash line for the rest; the exit code of the gravest."""
    leaves = list(_leaves(error))
    known = [leaf for leaf in leaves if isinstance(leaf, EdgeScannerError)]
    unknown = [leaf for leaf in leaves if not isinstance(leaf, EdgeScannerError)]
    for ours in known:
        terminal.say(f"edge-scanner: {ours}", stderr=True)
    if unknown:
        for leaf in unknown:
            journal.get("supervise").critical("program crashed", crash=journal.crash(leaf))
        return EXIT_CRASH
    return max(ours.exit_code for ours in known)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside nested groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def notify(state: str) -> None:
    """Tell systemd, e.g. `READY=1` or `WATCHDOG=1`; nothing happens outside systemd (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), address)
        except OSError as error:
            journal.get("supervise").warning("systemd did not take a notification", reason=error.strerror)
