"""Bytes as a capture file, read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.device.replay import captures
from tests.support import captures as make

if TYPE_CHECKING:
    from pathlib import Path


T = make.START_S
EVENT = make.legacy_event(make.legacy_report(make.GAEN))
PACKET = make.on_air(make.pdu(6, make.ADDRESS + make.GAEN))


class Reader:
    """Writes a file and reads its reports; `losses` is of the last file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.losses = captures.Losses()

    def __call__(self, content: bytes) -> list[captures.Report]:
        """All reports of a file with this content."""
        self.path.write_bytes(content)
        self.losses = captures.Losses()
        return list(captures.read(self.path, self.losses))
