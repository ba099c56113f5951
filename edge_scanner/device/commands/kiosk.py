"""COMMAND edge-scanner kiosk: from the settings file to the process that serves the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner.device import settings
from edge_scanner.device.kiosk import KioskSettings, become_kiosk

if TYPE_CHECKING:
    from typing import NoReturn


def run_kiosk(config: Path, *, host: str | None = None, port: int | None = None) -> NoReturn:
    """Become the kiosk of these settings; `host` and `port` go before them. Raises ConfigurationError."""
    chosen = settings.load(config)
    become_kiosk(
        KioskSettings(
            snapshot=Path(chosen.device.runtime_dir) / "snapshot.json",
            host=settings.kiosk_host(chosen.kiosk, host),
            port=port or chosen.kiosk.port,
            ops_pin_file=Path(chosen.kiosk.ops_pin_file),
            ops_on_lan=chosen.kiosk.lan,
            api_origin=chosen.kiosk.api_origin,
            config=config.absolute(),
            operator_dir=Path(chosen.kiosk.operator_dir) if chosen.kiosk.operator_dir else None,
        )
    )
