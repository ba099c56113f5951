"""Small files written whole or not at all, so that a pulled plug leaves the old one or the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.errors import BadDataError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 8 << 20
"""A sync file of 500 boxes is the largest of these documents; a larger file is the wrong one."""


def write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace `path`, making its folder; safe on the disk when this returns. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        small_files.write(path, content, mode=mode)
    except OSError as error:
        raise StorageError(
            f"cannot write: {error.strerror}",
            where=str(path),
            hint="check owner, mode and disk",
        ) from error


def read(path: Path, *, hint: str, limit: int = MAX_BYTES) -> bytes:
    """The file's content; raises StorageError with `hint`, BadDataError for one larger than `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise StorageError(f"cannot read: {error.strerror}", where=str(path), hint=hint) from error
    if len(data) > limit:
        raise BadDataError(f"larger than {limit} bytes", where=str(path), hint="is this the right file?")
    return data
