"""Files of the authority's desk: bounded reads, private writes that are whole or absent, and errors of ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.errors import BadDataError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 4 << 20
"""Documents are kilobytes; a larger one is the wrong file."""


def read(path: Path, *, limit: int = MAX_BYTES) -> bytes:
    """The content of at most `limit` bytes; raises StorageError, BadDataError for a larger file."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise StorageError("cannot be read", where=str(path), hint=error.strerror or "") from error
    if len(data) > limit:
        raise BadDataError(f"larger than {limit} bytes", where=str(path), hint="is this the right file?")
    return data


def check_new(path: Path) -> None:
    """Raise StorageError where something is there already: before work that must not be done in vain."""
    if path.exists():
        raise StorageError("exists already", where=str(path), hint="choose another name; nothing was overwritten")


def write(path: Path, data: bytes, *, mode: int = 0o600, replace: bool = False) -> None:
    """Write whole or not at all; an existing file is kept unless `replace`. Raises StorageError."""
    if not replace:
        check_new(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        small_files.write(path, data, mode=mode)
    except OSError as error:
        raise StorageError("cannot be written", where=str(path), hint=error.strerror or "") from error


def shred(path: Path) -> None:
    """Overwrite once and unlink; raises StorageError.

    Flash and journalling file systems may keep old blocks, so what is shredded should have been ciphertext, too.
    """
    try:
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            for start in range(0, size, 1 << 20):
                file.write(os.urandom(min(1 << 20, size - start)))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except OSError as error:
        raise StorageError("cannot be destroyed", where=str(path), hint=error.strerror or "") from error
