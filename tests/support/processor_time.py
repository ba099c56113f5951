"""A pytest plugin: processor seconds by folder and by file, `make test PYTEST_ARGS="-p tests.support.processor_time"`.

A test has those of its process since the test before it ended: fixtures, too, and every program that was waited for.
They say more than durations do: most tests wait, and a busy machine makes each of them longer.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "processor_s"
SHOWN = 20
"""The dearest files."""
_before: list[float] = [0.0]
_spent: defaultdict[str, float] = defaultdict(float)


def _now_s() -> float:
    """Of this process and of those that it waited for."""
    return sum(os.times()[:4])


def pytest_collection_finish() -> None:
    """What it took to import the tests is nobody's."""
    _before[0] = _now_s()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Goes with the last report of a test, from a worker to the process that prints."""
    if call.when == "teardown":
        before, _before[0] = _before[0], _now_s()
        item.user_properties.append((NAME, round(_before[0] - before, 3)))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds it up where it is printed."""
    if report.when == "teardown":
        seconds = sum(value for name, value in report.user_properties if name == NAME and isinstance(value, float))
        _spent[report.nodeid.partition("::")[0]] += seconds


def _by_folder(spent: Mapping[str, float]) -> dict[str, float]:
    """`tests/integration/device` and the like."""
    folders: defaultdict[str, float] = defaultdict(float)
    for file, seconds in spent.items():
        folders["/".join(file.split("/")[:-1][:3])] += seconds
    return folders


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Two short tables."""
    terminalreporter.section(f"processor seconds: {sum(_spent.values()):.0f}")
    for spent, shown in ((_by_folder(_spent), None), (_spent, SHOWN)):
        for name, seconds in sorted(spent.items(), key=lambda row: -row[1])[:shown]:
            terminalreporter.write_line(f"{seconds:8.1f}  {name}")
        terminalreporter.write_line("")
