"""Every code is somebody's: a code in the guide that nothing ever shows is a promise not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_scanner.core.diagnostics import codes
from edge_scanner.core.diagnostics.codes import Code, DoctorCode

ROOM = Path(codes.__file__).parents[2]
PROGRAMS = "".join(file.read_text() for file in ROOM.rglob("*.py") if file.name != Path(codes.__file__).name)


@pytest.mark.parametrize("code", [*Code, *DoctorCode], ids=str)
def test_a_program_shows_it(code: Code | DoctorCode) -> None:
    """By its name, in a light or in the self-test."""
    assert f"{type(code).__name__}.{code.name}" in PROGRAMS
