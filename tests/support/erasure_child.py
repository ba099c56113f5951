"""The process whose memory is searched: `python -m tests.support.erasure_child SEED MINUTES`.

It seals minutes with secrets derived from SEED straight into the writer's buffers, prints each segment's header in
base64, then waits for its standard input to close.
"""

from __future__ import annotations

import base64
import sys

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.support.sealed_logs import Box


class IntoBuffer:
    """Draw n is HKDF-Expand(seed, n); no copy of it outside the buffer that was asked to be filled."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._draws = 0

    def __call__(self, buffer: bytearray) -> None:
        """Fill the buffer."""
        info = self._draws.to_bytes(4, "big")
        HKDFExpand(SHA256(), len(buffer), info).derive_into(self._seed, buffer)
        self._draws += 1


def main() -> None:
    """Seal, tell, wait."""
    box = Box(entropy=IntoBuffer(bytes.fromhex(sys.argv[1])))
    box.minutes(int(sys.argv[2]))
    for row in box.stored.headers:
        sys.stdout.write(base64.b64encode(row.header).decode() + "\n")
    sys.stdout.write("sealed\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
