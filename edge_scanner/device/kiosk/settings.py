"""What the kiosk is told: the snapshot's place, where to listen, the operator's PIN, who may see `/ops`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.core.counts.site_total import SEPARATE

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskSettings:
    """A `host` other than loopback shows `/` on the network; `ops_on_lan` shows it `/ops` and `/metrics` too.

    Without `ops_pin_file` (a line of `core.operator_pin.hash_pin`) there is no operator's page. `api_origin` is the one
    web origin whose pages may read `/api/v1`, empty for none. `config` is the box's settings file and `operator_dir`
    the page's own folder; without both nothing can be set on the page. With a `tls_port`, `host` is served there by
    HTTPS with the certificate in `operator_dir`, and plain HTTP only to the box itself. `gates` are the lines of the
    site's other boxes (device/gates.py), `gate_name` this one's, `hall_rule` what they add up to.
    """

    snapshot: Path
    host: str = "127.0.0.1"
    port: int = 8080
    ops_pin_file: Path | None = None
    ops_on_lan: bool = False
    api_origin: str = ""
    config: Path | None = None
    operator_dir: Path | None = None
    tls_port: int = 0
    gates: tuple[str, ...] = ()
    gate_name: str = ""
    hall_rule: str = SEPARATE


def to_arguments(settings: KioskSettings) -> list[str]:
    """The settings as program arguments, for `from_arguments` on the other side of an exec."""
    return [
        f"--snapshot={settings.snapshot}",
        f"--host={settings.host}",
        f"--port={settings.port}",
        *([f"--ops-pin-file={settings.ops_pin_file}"] if settings.ops_pin_file else []),
        *(["--ops-on-lan"] if settings.ops_on_lan else []),
        *([f"--api-origin={settings.api_origin}"] if settings.api_origin else []),
        *([f"--config={settings.config}"] if settings.config else []),
        *([f"--operator-dir={settings.operator_dir}"] if settings.operator_dir else []),
        *([f"--tls-port={settings.tls_port}"] if settings.tls_port else []),
        *(f"--gate={line}" for line in settings.gates),
        f"--gate-name={settings.gate_name}",
        f"--hall-rule={settings.hall_rule}",
    ]


def from_arguments(arguments: Sequence[str]) -> KioskSettings:
    """The settings that `to_arguments` wrote."""
    parser = argparse.ArgumentParser(prog="edge-scanner kiosk", allow_abbrev=False)
    parser.add_argument("--snapshot", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--ops-pin-file", type=Path)
    parser.add_argument("--ops-on-lan", action="store_true")
    parser.add_argument("--api-origin", default="")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--operator-dir", type=Path)
    parser.add_argument("--tls-port", type=int, default=0)
    parser.add_argument("--gate", action="append", default=[], dest="gates")
    parser.add_argument("--gate-name", default="")
    parser.add_argument("--hall-rule", default=SEPARATE)
    found = vars(parser.parse_args(arguments))
    return KioskSettings(**{**found, "gates": tuple(found["gates"])})
