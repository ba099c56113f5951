"""The files around the box's database: whose they are, who may write, which numbers were given, what was set aside.

Beside `log.db` (with SQLite's `-wal` and `-shm`) lie

* `log.db.lock`: locked (flock) by the one program that writes, so that two daemons cannot number the same segments;
* `log.db.numbers`: the highest segment and boot number committed. It is written after the commit, so it never runs
  ahead; it is read when the database is damaged, missing or older than it should be, so that a number that was
  published is never given again and the hole shows in the chain;
* `log.db.damaged-20261124T203000Z`: a damaged database, set aside and never deleted by this program.

A file that is not ours, or that others may read, is refused rather than mended: a program that silently repairs rights
hides the mistake that made them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.errors import DiskFullError, InUseError, NotOursError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE_FILES = ("-wal", "-shm")
"""What SQLite keeps beside a database in WAL mode."""

_OURS = (".lock", ".numbers", ".damaged")
"""What we keep beside it. None of them is opened through a link: root may run a command in the service's folder."""

MAX_SET_ASIDE = 3
"""A card that damages four databases is broken, and each copy takes up to 130 MB of it."""

NUMBERS_BYTES = 128
"""Two 64-bit numbers as JSON, padded; less than a sector."""

DISK_FULL_BYTES = 1024 * 1024
"""Below this much free space an I/O error is read as a full disk (SQLite reports some of them as plain errors)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The highest numbers that were committed; -1 for none yet."""

    segment: int = -1
    boot: int = -1


def check(path: Path) -> None:
    """Make a missing directory (0700); StorageError where the directory or a file has the wrong owner or rights."""
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_mode(folder, 0o007, "others may enter the directory", f"chmod o-rwx {folder}")
        for side in ("", *SIDE_FILES, *_OURS):
            file = path.with_name(path.name + side)
            # A link counts as there although what it points to is not.
            if not os.path.lexists(file):
                continue
            if not stat.S_ISREG(file.lstat().st_mode):
                raise NotOursError("the database is not a regular file", where=str(file), hint="remove the link")
            _check_mode(file, 0o077, "others may read the database", f"chmod 600 {file}")
    except OSError as error:
        raise translate(error, path) from error


def _check_mode(path: Path, forbidden: int, what: str, mend: str) -> None:
    found = path.stat()
    if found.st_mode & forbidden:
        raise NotOursError(what, where=f"{path} has mode {stat.S_IMODE(found.st_mode):04o}", hint=mend)
    if found.st_uid != os.geteuid() and os.geteuid() != 0:
        raise NotOursError("the database belongs to another user", where=str(path), hint="run as that user")


def create(path: Path) -> None:
    """An empty database file that only its owner may read, its name safe on the disk."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        small_files.sync_folder(path.parent)
    except OSError as error:
        raise translate(error, path) from error


@contextlib.contextmanager
def only_writer(path: Path) -> Iterator[None]:
    """Hold the right to write; StorageError when another process holds it."""
    lock = path.with_name(path.name + ".lock")
    try:
        file = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise translate(error, lock) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InUseError("another program writes this log", where=str(path), hint="stop it first") from error
        yield
    finally:
        os.close(file)


def is_written(path: Path) -> bool:
    """Whether a program writes this log now; touches nothing."""
    try:
        file = os.open(path.with_name(path.name + ".lock"), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def read_numbers(path: Path) -> Numbers:
    """What `write_numbers` left; nothing given yet where the file is missing or unreadable."""
    try:
        raw = json.loads(small_files.head(_numbers(path), NUMBERS_BYTES))
        return Numbers(segment=int(raw["segment"]), boot=int(raw["boot"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return Numbers()


def write_numbers(path: Path, numbers: Numbers) -> None:
    """Overwrite the numbers in place: within one sector, so a power cut leaves old or new, and a full disk has room."""
    file = _numbers(path)
    line = json.dumps(asdict(numbers)).encode().ljust(NUMBERS_BYTES - 1) + b"\n"
    try:
        new = not file.exists()
        handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.pwrite(handle, line, 0)
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            small_files.sync_folder(path.parent)
    except OSError as error:
        raise translate(error, file) from error


def _numbers(path: Path) -> Path:
    return path.with_name(path.name + ".numbers")


def mark_damaged(path: Path) -> None:
    """Tell the next start that a damaged page was met, which its short check may miss."""
    with contextlib.suppress(OSError):
        os.close(os.open(_mark(path), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def marked(path: Path) -> bool:
    """Whether `mark_damaged` was called for the database that is there now."""
    return _mark(path).exists()


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".damaged")


def begin_replacing(path: Path) -> Path:
    """An empty file in which the damaged database's successor is built."""
    new = _successor(path)
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    create(new)
    return new


def finish_replacing(path: Path) -> None:
    """Put a finished successor in its place: it is finished exactly when the damaged database has its new name."""
    try:
        if _successor(path).exists() and not path.exists():
            _mark(path).unlink(missing_ok=True)
            small_files.rename(_successor(path), path)
    except OSError as error:
        raise translate(error, path) from error


def _successor(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def room_for_one_more(path: Path) -> None:
    """StorageError when MAX_SET_ASIDE damaged ones are there already: then the card is the trouble."""
    if len(aside(path)) >= MAX_SET_ASIDE:
        raise StorageError(
            f"the database is damaged and {MAX_SET_ASIDE} damaged ones were set aside before",
            where=str(path),
            hint="replace the card; keep the files for the authority",
        )


def set_aside(path: Path) -> Path:
    """Rename the database and SQLite's side files, stamped with the time; return the new name."""
    stamp = time.time()
    while (target := _aside_name(path, stamp)).exists():
        stamp += 1
    try:
        # The database last: a WAL without its database would be replayed into the next one of that name.
        for side in (*SIDE_FILES, ""):
            with contextlib.suppress(FileNotFoundError):
                small_files.rename(path.with_name(path.name + side), target.with_name(target.name + side))
    except OSError as error:
        raise translate(error, path) from error
    return target


def _aside_name(path: Path, at_s: float) -> Path:
    return path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(at_s))}")


def aside(path: Path) -> tuple[Path, ...]:
    """The damaged databases that were set aside, oldest first."""
    return tuple(sorted(path.parent.glob(f"{path.name}.damaged-*Z")))


def strays(path: Path) -> bool:
    """Whether SQLite's side files lie there without their database."""
    return not path.exists() and any(path.with_name(path.name + side).exists() for side in SIDE_FILES)


PASSING = frozenset({"tmpfs", "ramfs", "overlay", "squashfs"})
"""File systems that forget: a memory disk, or the read-only root's overlay."""


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`, from the mount table; "" when it does not tell."""
    best, kind = "", ""
    with contextlib.suppress(OSError):
        real = str(path.resolve())
        for line in Path("/proc/self/mounts").read_text().splitlines():
            _device, point, found, *_rest = line.split(" ")
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):
                best, kind = point, found
    return kind


def size(path: Path) -> int:
    """Bytes of the database with its side files."""
    names = (path.name, *(path.name + side for side in SIDE_FILES))
    return sum(path.with_name(name).stat().st_size for name in names if path.with_name(name).exists())


def disk_full(path: Path) -> bool:
    """Whether so little space is left that an I/O error means a full disk."""
    try:
        system = os.statvfs(path.parent)
    except OSError:
        return False
    return system.f_bavail * system.f_frsize < DISK_FULL_BYTES


def translate(error: OSError, path: Path, *, what: str = "the log's files") -> StorageError:
    """An operating system's refusal as one line; `what` was to be written."""
    reason = (error.strerror or "I/O error").lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError("the disk is full", where=str(path), hint="free some space")
    hint = "choose a new one" if isinstance(error, FileExistsError) else "check owner, mode and mount"
    return StorageError(f"cannot use {what}: {reason}", where=str(path), hint=hint)
