"""How installation day writes: every file whole, a private one the service user's, the tests told of each."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.errors import StorageError
from edge_scanner.device.system.pin_file import SERVICE_USER

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.device.enrolment.steps import Box


def write(box: Box, path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Whole or not at all; when we are root a private file is the service user's."""
    box.mark(f"writing {path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        small_files.write(
            path,
            content,
            mode=mode,
            owner=None if mode & 0o077 else _service(),
            half=lambda: box.mark(f"half of {path.name}"),
        )
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=str(path), hint="check the card") from error
    box.mark(f"wrote {path.name}")


def read(path: Path) -> bytes:
    """The content of a small file; raises StorageError, also for one that a damaged card makes endless."""
    try:
        return small_files.content(path)
    except OSError as error:
        raise StorageError(f"cannot read: {error.strerror}", where=str(path), hint="check the card") from error


def own(path: Path) -> None:
    """A private file belongs to the service's user, where there is one and we may; raises StorageError."""
    owner = _service()
    try:
        if owner is not None:
            small_files.own(path, owner)
    except OSError as error:
        raise StorageError("a key file is not one", where=str(path), hint="remove the link") from error


def _service() -> small_files.Owner | None:
    """The service's user with its own group, where there is one and we may give files to it."""
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(SERVICE_USER)
            return user.pw_uid, user.pw_gid
    return None
