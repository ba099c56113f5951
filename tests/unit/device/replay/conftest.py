"""Reads bytes as a capture file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.capture_reader import Reader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Reads bytes as a capture file."""
    return Reader(tmp_path / "capture")
