"""The file with the hash of the operator's PIN: the scanner's or root's, and readable by the page's own user.

It is no credential of systemd's: `LoadCredential=` reads as root and follows a link, and this folder is the scanner's.
"""

from __future__ import annotations

import grp
import pwd
import stat
from typing import TYPE_CHECKING

from edge_scanner.core import operator_pin
from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    import os
    from pathlib import Path

SERVICE_USER = "edge-scanner"
KIOSK_GROUP = "edge-kiosk"
"""Who serves the page and must read the hash."""

_MAX_CHARACTERS = 512
_UNMAPPED = 65_534
"""What a unit with users of its own (`PrivateUsers=`) sees as the group of a file that is another's."""


def read(path: Path) -> str:
    """The line; raises BadDataError for what is no hash, OSError."""
    try:
        with path.open(encoding="ascii") as file:
            line = file.read(_MAX_CHARACTERS)
    except UnicodeDecodeError:
        raise BadDataError("not a PIN hash") from None
    operator_pin.check(line)
    return line


def usable(path: Path) -> bool:
    """Whether the page can use the file, as far as we may see; a box without one has no operator's page."""
    try:
        if not _page_reads(path.stat()):
            return False
        read(path)
    except (FileNotFoundError, PermissionError):
        return True
    except (OSError, BadDataError):
        return False
    return True


def _page_reads(found: os.stat_result) -> bool:
    """Whether the page's user may read the file of an installed box; elsewhere one user runs both programs."""
    try:
        owners, group = (0, pwd.getpwnam(SERVICE_USER).pw_uid), grp.getgrnam(KIOSK_GROUP).gr_gid
    except KeyError:
        return True
    if found.st_uid not in owners or found.st_mode & stat.S_IROTH:
        return True
    return bool(found.st_mode & stat.S_IRGRP) and found.st_gid in (group, _UNMAPPED)
