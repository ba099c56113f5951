"""The file of what was counted by hand: written by `edge-scanner calibrate`, read by the daemon at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.counts import calibration
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "calibration.json"

MAX_BYTES = 4096


def load(state_dir: Path) -> Counted:
    """What was counted at the site; raises BadDataError for a damaged file, StorageError for one that is none."""
    file = state_dir / FILE_NAME
    try:
        text = small_files.content(file, MAX_BYTES)
    except FileNotFoundError:
        return Counted()
    except OSError as error:
        raise StorageError("the site factor cannot be read", where=str(file)) from error
    return calibration.from_json(text, where=str(file))


def write(file: Path, text: bytes) -> None:
    """All of it or nothing, also when the power fails."""
    try:
        small_files.write(file, text)
    except OSError as error:
        raise StorageError("the site factor cannot be written", where=str(file)) from error
