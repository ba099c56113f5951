"""Asking for the clock and granting it: two processes, one file, and no clock of this machine is touched."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.device.enrolment import set_clock
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NS = 1_000_000_000


class Machine:
    """A clock that is off and can be set, above the real monotonic one."""

    def __init__(self, off_s: float) -> None:
        self.base_s = time.time() + off_s - time.monotonic()
        self.sets = 0

    def now(self) -> float:
        """UTC seconds as this machine believes."""
        return self.base_s + time.monotonic()

    def set_to(self, utc_ns: int) -> None:
        """What clock_settime does."""
        self.sets += 1
        self.base_s = utc_ns / NS - time.monotonic()


def _service(folder: Path, machine: Machine, *, delay_s: float, stop: Callable[[], bool]) -> None:
    """edge-scanner-clock.path and its service: starts late, as a slow Pi does."""
    while not stop():
        if (folder / set_clock.FILE).exists():
            time.sleep(delay_s)
            set_clock.grant(folder / set_clock.FILE, set_to=machine.set_to)
        time.sleep(0.01)


@pytest.mark.parametrize("off_s", [-20 * 365 * 86400.0, -3.0, 7200.0])
def test_a_slow_service_still_sets_the_right_time(tmp_path: Path, off_s: float) -> None:
    """The file is read 1.5 s after it was written, and the clock is right all the same; the file is gone."""
    machine, over = Machine(off_s), threading.Event()
    service = threading.Thread(target=_service, args=(tmp_path, machine), kwargs={"delay_s": 1.5, "stop": over.is_set})
    service.start()
    try:
        assert set_clock.ask(tmp_path, time.time(), wait_s=PATIENCE_S, now=machine.now)
    finally:
        over.set()
        service.join()

    assert abs(machine.now() - time.time()) < 1
    assert (machine.sets, list(tmp_path.iterdir())) == (1, [])


def test_twice_is_once(tmp_path: Path) -> None:
    """A service that was cut off between setting and taking the file away does it again, to the same time."""
    machine, wish = Machine(-1e6), f"{time.time_ns() - time.monotonic_ns()}\n"
    seen = []
    for _ in range(2):
        (tmp_path / "clock").write_text(wish)
        set_clock.grant(tmp_path / "clock", set_to=machine.set_to)
        seen.append(machine.now() - time.time())
        time.sleep(1.5)

    assert all(abs(off_s) < 1 for off_s in seen)


def test_nobody_comes(tmp_path: Path) -> None:
    """Without the service the asker says no, and takes its wish back: it is not granted an hour later."""
    machine = Machine(-3600)

    assert not set_clock.ask(tmp_path, time.time(), wait_s=0.3, now=machine.now)
    assert list(tmp_path.iterdir()) == []


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    """Where the unit's folder is missing, one sentence says so."""
    with pytest.raises(StorageError, match="cannot write"):
        set_clock.ask(tmp_path / "absent", time.time())


@pytest.mark.parametrize(
    "text",
    ["", "soon", "1e18", "9" * 40, "0", str(4_200_000_000 * NS), str(-4_200_000_000 * NS)],
    ids=["empty", "word", "fraction", "long", "1970", "2103", "negative"],
)
def test_what_is_no_time_is_refused_and_not_kept(tmp_path: Path, text: str) -> None:
    """A broken or absurd wish sets nothing and is gone: the path unit does not start the service for ever."""
    path, machine = tmp_path / "clock", Machine(0)
    path.write_text(text)

    with pytest.raises(BadDataError):
        set_clock.grant(path, set_to=machine.set_to)

    assert (machine.sets, path.exists()) == (0, False)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Whoever may write the folder cannot make the service read another file."""
    (tmp_path / "other").write_text(f"{time.time_ns() - time.monotonic_ns()}")
    (tmp_path / "clock").symlink_to(tmp_path / "other")
    machine = Machine(0)

    with pytest.raises(StorageError):
        set_clock.grant(tmp_path / "clock", set_to=machine.set_to)

    assert machine.sets == 0
    assert (tmp_path / "other").exists()


def test_a_process_that_may_not_says_so(tmp_path: Path) -> None:
    """The kernel's refusal becomes False for who sets by hand and an error for the service."""

    def refuse(_utc_ns: int) -> None:
        raise PermissionError(1, os.strerror(1))

    (tmp_path / "clock").write_text(f"{time.time_ns() - time.monotonic_ns()}")
    with pytest.raises(StorageError, match="the clock was not set"):
        set_clock.grant(tmp_path / "clock", set_to=refuse)


def test_the_services_program(tmp_path: Path) -> None:
    """As the unit starts it: a broken wish ends with 65 and one line, and is taken away."""
    path = tmp_path / "clock"
    path.write_text("soon")

    done = subprocess.run(
        [sys.executable, "-m", "edge_scanner.device.enrolment.set_clock", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, path.exists()) == (65, "", False)
    assert done.stderr == f"edge-scanner: no time is written there ({path})\n"
