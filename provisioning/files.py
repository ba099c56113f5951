"""Small files written whole or not at all, so that a pulled plug leaves the old one or the new one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edge_scanner.core.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace `path`, making its folder; safe on the disk when this returns. Raises StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(
            f"cannot write: {error.strerror}",
            where=str(path),
            hint="check owner, mode and disk",
        ) from error


def read(path: Path, *, hint: str) -> bytes:
    """The file's content; raises StorageError with `hint`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read: {error.strerror}", where=str(path), hint=hint) from error
