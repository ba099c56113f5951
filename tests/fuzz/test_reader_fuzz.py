"""Only named errors, whatever bytes a reader is given."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import READERS, one_input


@settings(max_examples=400, deadline=None)
@given(st.integers(0, READERS - 1), st.sampled_from([b"\0", b"\xff"]), st.binary(max_size=200))
def test_no_input_raises_anything_but_a_log_error(reader: int, mode: bytes, data: bytes) -> None:
    """Hypothesis looks for an input that any reader chokes on, and shrinks it."""
    one_input(bytes([reader]) + mode + data)


def test_thousands_of_damaged_genuine_inputs_raise_nothing_else() -> None:
    """A seeded storm of patches over each reader's genuine input."""
    draw = random.Random(20261124)
    for turn in range(3000):
        one_input(bytes([turn % READERS, 255]) + draw.randbytes(3 * draw.randint(1, 6)))


@pytest.mark.slow
def test_coverage_guided_fuzzing_finds_nothing() -> None:
    """Atheris for a bounded time: the same targets, guided by coverage."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip(
            "atheris is not installed: make test installs it where it has a wheel, x86-64 and Python 3.11 to 3.13"
        )
    command = [sys.executable, "-m", "tests.fuzz.fuzz_reader"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Done" in done.stderr
