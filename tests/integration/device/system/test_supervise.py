"""A program under systemd: signals, notifications and exit codes, as a real process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device.system import supervise
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import asyncio, sys
from edge_scanner.core import errors
from edge_scanner.device.system import journal, supervise

async def work():
    try:
        supervise.notify("READY=1")
        print("ready", flush=True)
        await asyncio.sleep(30)
    finally:
        print("cleaning up", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print("cleaned up", flush=True)

async def look():
    import os
    journal.get("scanner").warning("a line that goes nowhere")
    print(os.readlink("/proc/self/fd/2"), flush=True)

async def fail(error):
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.sleep(30))
        raise error

journal.set_up()
sys.exit(supervise.run(eval(sys.argv[1])))
"""


def start(expression: str, **environment: str) -> subprocess.Popen[str]:
    """The program above, running `expression`."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, expression],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("signals", [1, 3])
def test_stop_signals_end_in_a_clean_up_and_exit_0(signals: int) -> None:
    """One SIGTERM or three in a row: the clean-up finishes and the exit code is 0."""
    program = start("work()")
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"

    program.send_signal(signal.SIGTERM)
    assert program.stdout.readline() == "cleaning up\n"
    for _ in range(signals - 1):
        program.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    output, _ = program.communicate()

    assert (program.returncode, output) == (0, "cleaned up\n")


def test_systemd_is_told_ready_and_stopping(tmp_path: Path) -> None:
    """READY=1 and STOPPING=1 arrive at the notification socket."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(path))
        channel.settimeout(PATIENCE_S)
        program = start("work()", NOTIFY_SOCKET=str(path))

        ready = channel.recv(100)
        program.send_signal(signal.SIGTERM)
        stopping = channel.recv(100)
        program.communicate()

    assert (ready, stopping) == (b"READY=1", b"STOPPING=1")


def test_abstract_notification_socket_is_understood() -> None:
    """A socket address beginning with @ is an abstract one."""
    name = f"edge-scanner-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name)
        channel.settimeout(PATIENCE_S)
        program = start("work()", NOTIFY_SOCKET="@" + name)

        assert channel.recv(100) == b"READY=1"
        program.send_signal(signal.SIGINT)
        program.communicate()

    assert program.returncode == 0


@pytest.mark.parametrize(
    ("expression", "code", "line"),
    [
        (
            "fail(errors.ConfigurationError('wrong', where='s.toml', hint='mend it'))",
            78,
            "edge-scanner: wrong (s.toml); mend it\n",
        ),
        ("fail(errors.StorageError('disk is full'))", 74, "edge-scanner: disk is full\n"),
    ],
)
def test_our_errors_become_one_line_and_their_exit_code(expression: str, code: int, line: str) -> None:
    """An error of the operator's or the machine's is one line on stderr, out of whichever task it came."""
    _, errors = (program := start(expression)).communicate()

    assert (program.returncode, errors) == (code, line)


def test_crash_tells_type_and_place_and_no_text() -> None:
    """An unexpected exception exits 70 with its type; its text, which may quote data, is not printed."""
    _, errors = (program := start("fail(ValueError('130cea6472130c185d8643df'))")).communicate()

    assert program.returncode == 70
    assert "ValueError at " in errors
    assert "130c" not in errors


TALKER = """
import asyncio, sys
from edge_scanner.device.system import journal, supervise

log = journal.get("scanner")

async def work():
    for number in range(20_000):
        log.warning("a line that nobody reads", number=number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    print("said", flush=True)
    await asyncio.sleep(3600)

journal.set_up()
sys.exit(supervise.run(work()))
"""


def test_a_log_that_nobody_reads_holds_nobody_up() -> None:
    """With stderr full the loop goes on, the stop signal is heard, and the exit code is 0."""
    with subprocess.Popen(
        [sys.executable, "-c", TALKER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "said\n"
        program.send_signal(signal.SIGTERM)

        assert program.wait(PATIENCE_S) == 0


def test_lines_that_were_lost_are_counted() -> None:
    """Whoever reads again later finds how many were dropped: what was said is there or in that number."""
    with subprocess.Popen(
        [sys.executable, "-c", TALKER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline() == "said\n"
        there = lost = 0
        while there + lost < 20_000:
            line = program.stderr.readline()
            if line.startswith("log lines lost"):
                lost += int(line.rpartition(" ")[2])
            else:
                there += "nobody reads" in line
        program.send_signal(signal.SIGTERM)

    assert program.returncode == 0
    assert lost > 0
    assert there + lost == 20_000


def test_a_program_without_stderr_runs() -> None:
    """Closed by whoever started it: it works, and no file that it opens becomes number 2."""
    told = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" "$2" 2>&-', sys.executable, PROGRAM, "look()"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )

    assert (told.returncode, told.stdout) == (0, "/dev/null\n")


@pytest.mark.parametrize("ending", ["as if nothing was", "by an error of its own"])
async def test_a_stop_that_a_library_swallows_is_obeyed(ending: str) -> None:
    """A library may take the stop for the end of its own wait; the side task that called it ends all the same."""
    calls = 0

    async def library() -> None:
        nonlocal calls
        calls += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if ending == "by an error of its own":
                raise OSError("closed") from None

    async def work() -> None:
        while True:
            await library()
            supervise.obey_stop()

    task = asyncio.create_task(supervise.keep_going(work, name="x", failing=lambda _failing: None))
    await eventually(lambda: calls)
    task.cancel()
    await asyncio.wait({task}, timeout=PATIENCE_S)
    assert task.cancelled()
    assert calls == 1
