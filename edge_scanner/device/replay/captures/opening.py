"""From a path to a stream of bytes: standard input, and what Wireshark compressed when it saved.

A compression is told by its first bytes, like a format. Its own damage and the system's read errors become the one line
that names the file and how far it could be read.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from edge_scanner.device.replay.captures.records import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STDIN = "-"

_MAGIC_BYTES = 4
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_OTHERS = {b"\x04\x22\x4d\x18": "lz4", b"BZh": "bzip2", b"\xfd7zX": "xz"}
"""What is not read, and the program that unpacks it."""
DAMAGE: tuple[type[Exception], ...] = (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError)
"""What a decompressor raises for damage, the first of them an OSError."""


class _Pushed(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Bytes read into `buffer`; 0 at the end."""
        data, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        data = data or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def is_stdin(path: Path) -> bool:
    """Whether `-` was given, which is standard input as everywhere; a file of that name is `./-`."""
    return str(path) == _STDIN


@contextmanager
def open_capture(path: Path, utc_offset_s: float = 0.0) -> Iterator[Source]:
    """The bytes of a capture; raises OSError with its name for one that cannot be opened."""
    if is_stdin(path):
        yield _source(sys.stdin.buffer, path, utc_offset_s)
        return
    with path.open("rb") as stream:
        yield _source(stream, path, utc_offset_s)


def _source(stream: BinaryIO, path: Path, utc_offset_s: float) -> Source:
    try:
        head = stream.read(_MAGIC_BYTES)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    whole = cast("BinaryIO", io.BufferedReader(_Pushed(head, stream)))
    for magic, program in _OTHERS.items():
        if head.startswith(magic):
            raise Source(whole, str(path)).damaged(
                f"it is compressed with {program}", 0, hint=f"unpack it with {program} -d first"
            )
    if head.startswith(_GZIP):
        whole = cast("BinaryIO", gzip.GzipFile(fileobj=whole, mode="rb"))
    elif head == _ZSTD:
        whole = cast("BinaryIO", zstd.ZstdFile(whole))
    packed = head.startswith(_GZIP) or head == _ZSTD
    return Source(whole, str(path), utc_offset_s=utc_offset_s, damage=DAMAGE if packed else ())
