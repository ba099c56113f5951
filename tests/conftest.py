"""What every test may ask for, and the rule that CI tolerates no skip."""

from __future__ import annotations

import itertools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


SYSTEM_S = 5000.0
"""Ends a test of the whole system that hangs: under the ninety minutes that CI has."""

LONGEST = (
    "test_real_bluez.py",
    "test_memory.py",
    "test_kiosk_page.py",
    "test_collect.py",
    "test_one_party_commands.py",
    "test_recovery.py",
    "test_installing.py",
    "test_local_mqtt.py",
    "test_kiosk_operator.py",
    "test_daemon.py",
    "test_attacker.py",
    "test_bench_door.py",
    "test_serve.py",
    "test_counting_accuracy.py",
    "test_large_batch.py",
    "test_central_page.py",
    "test_demo.py",
    "test_demo_tracing.py",
    "test_fleet_commands.py",
    "test_canary.py",
)
"""Files that take more than forty seconds, the longest first (`make test PYTEST_ARGS=--durations=60` shows them)."""

SWAYING = (
    "LANGUAGE",
    "TZ",
    "COLUMNS",
    "LINES",
    "FORCE_COLOR",
    "NO_COLOR",
    "PY_COLORS",
    "GITHUB_ACTIONS",
    "CLICOLOR_FORCE",
)
"""Variables beside the locale's that change what a program prints."""

GIVEN = ("NOTIFY_SOCKET", "JOURNAL_STREAM", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY")
"""What systemd gives to a unit: CI may be one, our programs are not that one."""

_NUMBERS = itertools.count()

# Before any test module is imported, because some keep a copy: a program that a test starts speaks English, whatever
# the machine speaks, unless the test gives it another LANG.
for _name in [*os.environ]:
    if _name.startswith(("LC_", "EDGE_PROVISION_", "EDGE_AUTHORITY_", "EDGE_CENTRAL_")) or _name in (*SWAYING, *GIVEN):
        del os.environ[_name]
os.environ["LANG"] = "C.UTF-8"

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What programs remember for their user is remembered for one test only."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / f"state-{next(_NUMBERS)}"))


@pytest.fixture(autouse=True)
def _own_journal() -> Iterator[None]:
    """The journal of a program that a test runs in this process ends with that test."""
    root, ours = logging.getLogger(), logging.getLogger("edge_scanner")
    handlers, levels = root.handlers, (root.level, ours.level)
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    for logger, level in zip((root, ours), levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real captures and official vectors; without one a test is skipped, with a wrong one it fails."""
    folder = os.environ.get("EDGE_SCANNER_DATA", "")
    if not folder:
        pytest.skip("real captures are not shipped: EDGE_SCANNER_DATA=FOLDER names a folder that holds them")
    assert Path(folder).is_dir(), f"EDGE_SCANNER_DATA names no folder: {folder}"
    return Path(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, because they would else run alone at the end; a guest may take its time."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    for item in items:
        if item.get_closest_marker("system"):
            item.add_marker(pytest.mark.timeout(SYSTEM_S))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of the whole system needs root, whoever asks for it."""
    if item.get_closest_marker("system") and os.geteuid() != 0:
        pytest.skip("boots, mounts, installs or repeats a proof at length: `make e2e` runs it, as root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one, an expected failure too: a missing tool must not pass for a green run.

    Only the real captures, which are not ours to ship, may be absent as a whole.
    """
    report = yield
    data = os.environ.get("EDGE_SCANNER_DATA")
    wanted = os.environ.get("EDGE_SCANNER_NO_SKIPS") and (data or "EDGE_SCANNER_DATA" not in str(call.excinfo))
    if report.skipped and wanted:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be skipped: {item.nodeid}: {call.excinfo}"
    return report
