"""The bench as files on the boot partition, for a box that is installed without one (`edge-provision card`).

The laptop chose the id and made the MQTT key beforehand, because nobody is there to sign what the box makes. So that
key has been on a FAT partition; the box makes its log identity itself, as always, and takes the key off the card.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.enrolment.documents import Manifest, public_key
from edge_scanner.core.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class CardLink:
    """Answers as `bench_client.BenchLink` does, from a folder. Every method raises StorageError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def signer(self) -> Ed25519PublicKey:
        """The fleet's key."""
        return public_key(self._read("fleet.pub").decode("ascii", "replace").strip())

    def manifest(self) -> bytes:
        """The batch's signed manifest."""
        return self._read("manifest.json")

    def time(self, _manifest: Manifest) -> float | None:
        """None: a card has no clock."""
        return None

    def enrol(self, _request: bytes) -> bytes:
        """The signed assignment."""
        return self._read("assignment.json")

    def key(self) -> bytes | None:
        """The MQTT key that was made for this card."""
        return self._read("mqtt.key")

    def report(self, _report: bytes) -> None:
        """Nobody listens."""

    def wipe(self) -> None:
        """Overwrite and remove the key; a flash card may keep the old cells all the same."""
        path = self._folder / "mqtt.key"
        with contextlib.suppress(OSError):
            with path.open("r+b") as file:
                file.write(bytes(min(path.stat().st_size, small_files.CONTENT_BYTES)))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()

    def _read(self, name: str) -> bytes:
        try:
            return small_files.content(self._folder / name)
        except OSError as error:
            raise StorageError(
                f"the card's folder is incomplete: {error.strerror}", where=name, hint="write the card again"
            ) from error
