"""The file with the hash of the operator's PIN: private to the scanner's user, which hands it to the page's.

systemd gives the page's unit the hash as a credential: `edge-scanner-pin.service` reads it (docs/operator.md). Root
reads nothing here: in a folder that is the scanner's, a link would lead root anywhere.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from edge_scanner.core import operator_pin
from edge_scanner.core.errors import BadDataError, ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

SERVICE_USER = "edge-scanner"
_MAX_BYTES = 512


def read(path: Path) -> str:
    """The line; raises BadDataError for what is no hash, OSError. A pipe there is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BadDataError("not a PIN hash")
        line = os.read(descriptor, _MAX_BYTES).decode("ascii", "replace")
    finally:
        os.close(descriptor)
    operator_pin.check(line)
    return line


def usable(path: Path) -> bool:
    """Whether the scanner's user can hand the hash to the page; a box without one has no operator's page."""
    try:
        read(path)
    except FileNotFoundError:
        return True
    except (OSError, BadDataError):
        return False
    return True


def line(path: Path) -> str:
    """The line, "" where no PIN was set; raises ConfigurationError for a file that cannot be used."""
    try:
        return read(path)
    except FileNotFoundError:
        return ""
    except (OSError, BadDataError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no PIN hash"
        raise ConfigurationError(
            f"the operator's PIN file cannot be used: {reason}",
            where=str(path),
            hint="set it: edge-scanner ops-pin FILE",
        ) from None
