"""The four tasks of docs/tasks.md: every block of the page is run as it is written, and does what the page says."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device import settings
from tests.support.guides import DOCS
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS = re.findall(r"^```\n(.*?)^```", (DOCS / "tasks.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
SETUP, RUN, KIOSK, THRESHOLD, MONTH, SENSOR = BLOCKS
ROOT = Path(__file__).parents[3]
PROGRAM = f'#!/bin/sh\nexec {sys.executable} -m edge_scanner.device.cli "$@"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one's own, with the program in the way of commands and the box set up by the first block."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "edge-scanner").write_text(PROGRAM)
    (tmp_path / "bin" / "edge-scanner").chmod(0o755)
    assert "/ops: " in typed(tmp_path, SETUP)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """A person's, whose terminal is English."""
    return os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "LC_ALL": "en_US"}


def typed(folder: Path, block: str) -> str:
    """What a block says that ends by itself."""
    done = subprocess.run(
        ["sh", "-euc", block], cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextlib.contextmanager
def running(folder: Path, *blocks: str) -> Iterator[None]:
    """Blocks of one program each, until the test has seen enough."""
    programs = [
        subprocess.Popen(["sh", "-c", f"exec {block}"], cwd=folder, env=environment(folder), stderr=subprocess.DEVNULL)
        for block in blocks
    ]
    try:
        yield
    finally:
        for program in programs:
            program.terminate()
        assert [program.wait(PATIENCE_S) for program in programs] == [0] * len(programs)


def level(port: int) -> str:
    """What the page's own interface says of how full it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/api/v1/level")
        return str(json.loads(connection.getresponse().read()).get("level"))
    except (OSError, ValueError):
        return ""
    finally:
        connection.close()


def test_the_first_word_is_on_the_wall_and_then_in_the_month_s_file(folder: Path) -> None:
    """Set up, run, look; the released hours are in the file that a spreadsheet opens."""
    config, port = folder / "box" / "scanner.toml", free_port()
    config.write_text(config.read_text().replace("[kiosk]\n", f"[kiosk]\nport = {port}\n"))

    with running(folder, RUN, KIOSK):
        deadline = time.monotonic() + PATIENCE_S
        while level(port) not in {"quiet", "moderate", "busy"}:
            assert time.monotonic() < deadline, level(port)
            time.sleep(0.2)
    typed(folder, MONTH)

    rows = (folder / "month.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(rows) > 1


def test_a_threshold_is_changed_and_nothing_else(folder: Path) -> None:
    """The old file is kept beside the new one."""
    before = settings.load(folder / "box" / "scanner.toml")

    typed(folder, THRESHOLD)

    after = settings.load(folder / "box" / "scanner.toml")
    assert (after.kiosk.moderate_from, after.kiosk.busy_from) == (30, 90)
    assert (after.device, after.mqtt) == (before.device, before.mqtt)


def test_the_venue_s_broker_is_named(folder: Path) -> None:
    """A table is added, and the settings are good."""
    typed(folder, SENSOR)

    after = settings.load(folder / "box" / "scanner.toml")
    assert (after.local_mqtt.host, after.mqtt.host) == ("homeassistant.local", "")
