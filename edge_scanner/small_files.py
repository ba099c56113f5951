"""Small files written whole or not at all, by every program: keys, documents, settings, the screen's snapshot.

Promise: when `write` returns, the new content stands under its name also after a power cut; before, the old one does.
The content is synced, renamed into place, and the folder is synced: without the last step ext4 may forget the rename
for five seconds, while something else (a database, a bench) has learnt that the file is there.

Whoever keeps a fact about such a file elsewhere writes the file first and the fact second. A cut between the two leaves
a file that nobody has vouched for yet, never a fact without its file.

No link is followed: the folder is opened once, names are taken relative to it, the temporary file is a new one, and its
owner and mode are set on the open file. So root may write in a folder that belongs to a service.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Owner = tuple[int, int]
"""User and group id."""

CONTENT_BYTES = 1 << 20
"""The largest of these files, a recipient set, has 240,000."""


def write(
    path: Path,
    content: bytes,
    *,
    mode: int = 0o600,
    owner: Owner | None = None,
    half: Callable[[], None] = lambda: None,
) -> None:
    """Put `content` in place of `path`, with `mode`, for `owner` (None: whoever writes); raises OSError.

    `half` is called when the content is written and not yet safe: the tests cut the power there.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        temporary = f".{path.name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, mode & 0o700, dir_fd=folder), "wb") as file:
            file.write(content)
            file.flush()
            half()
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(folder)


def rename(source: Path, target: Path) -> None:
    """Give a file whose content is safe its name in the same folder, safe as well when this returns; raises OSError."""
    source.rename(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """What was made, renamed or removed in it stays so after a power cut; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def own(path: Path, owner: Owner) -> None:
    """Give a file or folder to `owner`; a link there is an error, not a way to somebody else's. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "neither a file nor a folder", str(path))
        os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)


def read(path: Path, most: int) -> bytes | None:
    """What a file of another user holds, at most `most` bytes; None when it is not there, OSError for a link."""
    try:
        return content(path, most, flags=os.O_NOFOLLOW)
    except FileNotFoundError:
        return None


def content(path: Path, most: int = CONTENT_BYTES, *, flags: int = 0) -> bytes:
    """What a small file holds. OSError also for one larger than `most` bytes, which a damaged disk may claim to have.

    Nothing waits for whoever would write into a pipe that stands in its place.
    """
    found = head(path, most + 1, flags=flags)
    if len(found) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return found


def check(*paths: Path) -> None:
    """Raises OSError for a file that a library, which is given its name, would read without end or wait for."""
    for path in paths:
        if not content(path):
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), str(path))


def head(path: Path, most: int, *, flags: int = 0) -> bytes:
    """The first `most` bytes of a file; see `content`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        return os.read(descriptor, most)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)
