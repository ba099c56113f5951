"""COMMAND edge-scanner kiosk: from the settings file to the process that serves the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.device import settings
from edge_scanner.device.kiosk import KioskSettings, become_kiosk, shown_certificate

if TYPE_CHECKING:
    from typing import NoReturn


def run_kiosk(config: Path, *, host: str | None = None, port: int | None = None) -> NoReturn:
    """Become the kiosk of these settings; `host` and `port` go before them. Raises ConfigurationError."""
    chosen = settings.load(config)
    folder = Path(chosen.kiosk.operator_dir) if chosen.kiosk.operator_dir else None
    become_kiosk(
        KioskSettings(
            snapshot=Path(chosen.device.runtime_dir) / "snapshot.json",
            host=settings.kiosk_host(chosen.kiosk, host),
            port=port or chosen.kiosk.port,
            ops_pin_file=Path(chosen.kiosk.ops_pin_file),
            ops_on_lan=chosen.kiosk.lan,
            api_origin=chosen.kiosk.api_origin,
            config=config.absolute(),
            operator_dir=folder,
            tls_port=chosen.kiosk.tls_port,
            gates=chosen.gates.others,
            gate_name=chosen.gates.name,
            hall_rule=chosen.gates.hall_rule,
        )
    )


def run_page_certificate(config: Path, *, as_json: bool) -> None:
    """Show the fingerprint of the page's certificate; raises BadDataError, ConfigurationError, StorageError."""
    chosen = settings.load(config).kiosk
    found = shown_certificate(Path(chosen.operator_dir))
    if as_json:
        terminal.say_json({"sha256": found.fingerprint, "until": found.until.isoformat(), "port": chosen.tls_port})
    else:
        terminal.say(f"SHA-256 {found.fingerprint}")
        terminal.say(f"until {found.until:%Y-%m-%d}, port {chosen.tls_port}")
