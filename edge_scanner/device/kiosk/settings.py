"""What the kiosk is told: the snapshot's place, where to listen, the operator's PIN, who may see `/ops`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskSettings:
    """A `host` other than loopback shows `/` on the network; `ops_on_lan` shows it `/ops` and `/metrics` too.

    Without `ops_pin_file` (a line of `core.pin.hash_pin`) there is no operator's page. `theme` auto is day from six to
    eighteen o'clock local time.
    """

    snapshot: Path
    host: str = "127.0.0.1"
    port: int = 8080
    ops_pin_file: Path | None = None
    ops_on_lan: bool = False
    theme: Literal["auto", "day", "night"] = "auto"
