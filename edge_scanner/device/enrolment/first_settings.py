"""The settings that a box gets on installation day: what the fleet and the venue's line of `sites.csv` decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.device.settings import Device, Kiosk, Log, Mqtt, Settings
from edge_scanner.device.settings_text import render

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.enrolment.documents import Assignment, Manifest

_DECIDED = tuple(
    (table, key)
    for table, keys in {
        "device": ("id", "site", "name_vi", "name_en", "state_dir"),
        "log": ("recipients", "authority_root", "custodian_root"),
        "mqtt": ("host", "port", "protocol", "ca", "certificate", "key"),
        "kiosk": ("ops_pin_file",),
    }.items()
    for key in keys
)
"""What stands in the settings even at its default."""


def text(assignment: Assignment, manifest: Manifest, *, etc: Path, state: Path) -> str:
    """`scanner.toml` for this box; config/scanner.toml explains every key."""
    settings = Settings(
        device=Device(
            id=assignment.device_id,
            site=assignment.site,
            name_vi=_printable(assignment.name_vi),
            name_en=_printable(assignment.name_en),
            state_dir=str(state),
        ),
        log=Log(
            recipients=str(etc / "recipients.json"),
            authority_root=str(etc / "authority-root.pem"),
            custodian_root=str(etc / "custodian-root.pem"),
        ),
        mqtt=Mqtt(
            host=manifest.broker_host,
            port=manifest.broker_port,
            protocol="5",
            ca=str(etc / "broker-ca.pem"),
            certificate=str(state / "mqtt.crt"),
            key=str(state / "mqtt.key"),
        ),
        kiosk=Kiosk(ops_pin_file=str(etc / "ops-pin")),
    )
    head = f"Written by edge-scanner enrol for batch {manifest.batch}.\n"
    return render(settings, head=f"{head}Every key: /usr/share/doc/edge-scanner/scanner.toml", always=_DECIDED)


def _printable(text: str) -> str:
    """Names come from a signed manifest but may hold anything."""
    return "".join(character for character in text if character.isprintable())
