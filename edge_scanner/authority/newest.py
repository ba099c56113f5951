"""The newest of each list that was used on this machine, so that nobody puts an older one back, or a register cut off.

A list of boxes or of revoked mandates is signed, but so was every list before it: whoever carries one from machine to
machine can bring last month's again, in which nobody was revoked. What was used last is kept outside the folder that
the lists lie in, in the user's state folder, by the key that signs them; of a register it is the number of its lines.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from edge_scanner.authority import files
from edge_scanner.core.errors import BadDataError, RefusedError

NAME = "newest.json"


def path() -> Path:
    """Where it is kept: $XDG_STATE_HOME, by default ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state else Path.home() / ".local" / "state") / "edge-authority" / NAME


def check(kind: str, signer: str, mark: int, *, where: str) -> None:
    """Raise RefusedError for a list with a lower `mark` (version or date) than one that was used; keep a higher one.

    `signer` names the key that signs such lists, or the one place of a register. Raises BadDataError, StorageError.
    """
    kept = path()
    known = _read(kept)
    name = f"{kind} {signer}"
    last = known.get(name, 0)
    if mark < last:
        raise RefusedError(
            "older than the one last used on this machine",
            code="older",
            where=where,
            hint=f"get the newest from whoever signs it; {kept} remembers the last",
        )
    if mark > last:
        document = json.dumps({**known, name: mark}, indent=1, sort_keys=True)
        files.write(kept, document.encode() + b"\n", replace=True)


def _read(kept: Path) -> dict[str, int]:
    if not kept.exists():
        return {}
    try:
        known = json.loads(files.read(kept))
        return {str(name): int(mark) for name, mark in known.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadDataError(
            "what was used last cannot be read", where=str(kept), hint="fix or delete it; compare your lists first"
        ) from error
