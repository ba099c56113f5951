"""The memory of another process, as somebody who has taken a running box would read it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path


def read_memory(pid: int, *, stack: bool = True) -> bytes:
    """Every writable page of a process, with those of its stack or without."""
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if (match := re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)) and (stack or not line.endswith("[stack]")):
                start, end = (int(edge, 16) for edge in match.groups())
                memory.seek(start)
                with suppress(OSError):  # [vvar] and the like cannot be read
                    while start < end and (block := memory.read(min(end - start, 1 << 20))):
                        found += block
                        start += len(block)
    return bytes(found)
