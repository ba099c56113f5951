"""The recipient set that boxes' sets are held against: the file that was sent to them last, believed by both roots.

What a box states of its own set is unsigned, so without this file the only yardstick is what other boxes state.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.central import tasks
from edge_scanner.core.errors import ConfigurationError, LogError
from edge_scanner.core.log import recipients, roots

if TYPE_CHECKING:
    from edge_scanner.central.settings import Fleet

__all__ = ["SignedSet"]


class SignedSet:
    """The set in the settings' files, read again when they change; one that cannot be believed leaves the last."""

    def __init__(self, fleet: Fleet) -> None:
        """Raises ConfigurationError for files that are named and cannot be used."""
        self._paths = tuple(map(Path, filter(None, (fleet.recipients, fleet.authority_root, fleet.custodian_root))))
        self._mark = self._stamp()
        self._version = self._read()

    def version(self) -> int:
        """Its version; 0 where none is named."""
        if (mark := self._stamp()) != self._mark:
            self._mark = mark
            try:
                self._version = self._read()
            except ConfigurationError as error:
                tasks.say(f"edge-central: {error}; the set before it stays the yardstick")
        return self._version

    def _stamp(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in self._paths)

    def _read(self) -> int:
        if not self._paths:
            return 0
        try:
            document, authority, custodian = (small_files.content(path) for path in self._paths)
            return recipients.verify(document.rstrip(b"\n"), roots.read(authority, custodian)).version
        except (OSError, LogError) as error:
            reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            raise ConfigurationError(
                f"the recipient set cannot be used: {reason}",
                where="[fleet] recipients, authority_root, custodian_root",
                hint="take the three files that `edge-provision fleet send` takes",
            ) from error
