"""What the commands about cases need: the options about case files as one value, and the packages of a laptop."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from edge_scanner.authority import files
from edge_scanner.authority.match import cases, exports
from edge_scanner.core.errors import UnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def need_extra() -> None:
    """Raise UnavailableError where numpy is not installed."""
    if find_spec("numpy") is None:
        raise UnavailableError(
            "numpy is not installed", hint="install all wheels of laptop.lock: docs/authority.md, Install"
        )


def trust_of(public_key: Path | None, rotations: int | None, *, unsigned_ok: bool, chain_lag: bool) -> cases.Trust:
    """The options about case files as one value. Raises BadParameter for other rotations than 96 and 144."""
    if rotations is not None and rotations not in cases.ROTATIONS:
        raise typer.BadParameter("96 or 144", param_hint="--max")
    key = None
    if public_key is not None:
        key = exports.load_public_key(files.read(public_key, limit=64 * 1024), str(public_key))
    return cases.Trust(public_key=key, unsigned_ok=unsigned_ok, rotations=rotations or 0, chain_lag=int(chain_lag))
