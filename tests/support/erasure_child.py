"""The process whose memory is searched: `python -m tests.support.erasure_child SEED MINUTES`.

It seals minutes with secrets derived from SEED straight into the writer's buffers, prints each segment's header in
base64, then waits for its standard input to close. With 0 minutes it derives one frame's key from SEED, overwrites it,
and seals nothing.
"""

from __future__ import annotations

import base64
import sys

from edge_scanner.core.log.ratchet import KEY_BYTES, frame_key
from tests.support.sealed_logs import Box


class IntoBuffer:
    """Draw n is the seed's key of frame n, without a copy of it elsewhere, or where no key is asked for, n itself."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._draws = 0

    def __call__(self, buffer: bytearray) -> None:
        """Fill the buffer."""
        if len(buffer) == KEY_BYTES:
            frame_key(self._seed, self._draws, buffer)
        else:
            buffer[:] = self._draws.to_bytes(len(buffer), "big")
        self._draws += 1


def main() -> None:
    """Seal or derive, tell, wait."""
    seed, minutes = bytes.fromhex(sys.argv[1]), int(sys.argv[2])
    if minutes:
        box = Box(entropy=IntoBuffer(seed))
        box.minutes(minutes)
        for row in box.stored.headers:
            sys.stdout.write(base64.b64encode(row.header).decode() + "\n")
    else:
        key = bytearray(KEY_BYTES)
        # Freed after the derivation, so that what comes next reuses their places and not one that it might have left.
        places = [bytes(KEY_BYTES) for _ in range(1000)]
        frame_key(seed, 0, key)
        places.clear()
        for position in range(KEY_BYTES):
            key[position] = 0
    sys.stdout.write("sealed\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
