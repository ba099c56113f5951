"""Headquarters and bench read no file without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError
from provisioning import files
from tests.support.disks import without_end

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_without_end_is_one_line(tmp_path: Path) -> None:
    """The largest document may be read, and not a byte more."""
    path = tmp_path / "sites.csv"
    path.write_bytes(bytes(files.MAX_BYTES))
    assert len(files.read(path, hint="x")) == files.MAX_BYTES

    with pytest.raises(BadDataError, match="larger than 8388608 bytes"):
        files.read(without_end(path, "endless"), hint="x")
