"""The tests hold on a machine of any language: what its locale says does not reach the programs that they start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"
PROGRAM = (sys.executable, "-m", "edge_scanner.device.cli", "check-config", "no-such-folder/scanner.toml")
NOTHING = dict.fromkeys(("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"), "")
VIETNAMESE = {**NOTHING, "LC_ALL": "vi_VN.UTF-8", "LANGUAGE": "vi", "LANG": "vi_VN.UTF-8"}
STARTED = "import os, runpy, sys; runpy.run_path(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
"""What pytest does before any test: conftest.py first, then a program."""


def _said(machine: dict[str, str], *first: str) -> str:
    """What the program says of a missing file on a machine of that language."""
    done = subprocess.run([*first, *PROGRAM], capture_output=True, text=True, check=False, env=os.environ | machine)
    assert done.returncode == 78, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "machine",
    [
        {**NOTHING, "LANG": "vi_VN.UTF-8"},
        {**VIETNAMESE, "FORCE_COLOR": "1", "GITHUB_ACTIONS": "true"},
        {**NOTHING, "LC_ALL": "C"},
        NOTHING,
    ],
    ids=["vietnamese", "all vietnamese, in colours", "posix", "nothing"],
)
def test_a_program_that_a_test_starts_speaks_english(machine: dict[str, str]) -> None:
    """Whatever pytest was started with, and without colours."""
    said = _said(machine, sys.executable, "-c", STARTED, str(CONFTEST))
    assert "cannot read the settings" in said
    assert "\x1b" not in said


def test_else_it_would_speak_the_machines_language() -> None:
    """The yardstick: the same program, started by nobody's test."""
    assert "không đọc được cấu hình" in _said(VIETNAMESE)
