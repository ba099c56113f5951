"""The settings that a box gets on installation day: what the fleet and the venue's line of `sites.csv` decide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from edge_scanner.core.counts.occupancy import ThresholdUnit
from edge_scanner.core.text import is_web_address, only_drawn
from edge_scanner.device.enrolment.settings_text import render
from edge_scanner.device.settings import Device, Kiosk, Log, Mqtt, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.enrolment.documents import Assignment, Manifest

_DECIDED = tuple(
    (table, key)
    for table, keys in {
        "device": ("id", "site", "name_vi", "name_en", "contact", "time_zone", "state_dir"),
        "log": ("recipients", "authority_root", "custodian_root"),
        "mqtt": ("host", "port", "protocol", "ca", "certificate", "key"),
        "kiosk": ("ops_pin_file", "moderate_from", "busy_from"),
    }.items()
    for key in keys
)
"""What stands in the settings even at its default."""
PIN_FILE = "ops-pin"
_WORDS: dict[str, ThresholdUnit] = {word: word for word in get_args(ThresholdUnit)}
"""A word that this version does not know is its default."""


def text(assignment: Assignment, manifest: Manifest, *, etc: Path, state: Path) -> str:
    """`scanner.toml` for this box; config/scanner.toml explains every key."""
    settings = Settings(
        device=Device(id=assignment.device_id, state_dir=str(state)),
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
        kiosk=Kiosk(ops_pin_file=str(etc / PIN_FILE)),
    )
    return _render(at_site(settings, assignment), manifest.batch)


def moved(current: Settings, assignment: Assignment, manifest: Manifest) -> str:
    """`scanner.toml` of a box that goes to another site: the venue's settings are new, an operator's others stay."""
    return _render(at_site(current, assignment), manifest.batch)


def at_site(settings: Settings, assignment: Assignment) -> Settings:
    """The settings with what the venue decides; where it decides nothing, with the defaults.

    Names come from a signed manifest but may hold anything.
    """
    usual = Settings()
    device = replace(
        settings.device,
        site=assignment.site,
        name_vi=only_drawn(assignment.name_vi),
        name_en=only_drawn(assignment.name_en),
        contact=only_drawn(assignment.contact),
        time_zone=only_drawn(assignment.time_zone) or usual.device.time_zone,
    )
    kiosk = replace(
        settings.kiosk,
        notice_url=assignment.notice_url if is_web_address(assignment.notice_url) else "",
        moderate_from=assignment.moderate_from or usual.kiosk.moderate_from,
        busy_from=assignment.busy_from or usual.kiosk.busy_from,
        word=_WORDS.get(assignment.word, usual.kiosk.word),
    )
    return replace(settings, device=device, kiosk=kiosk)


def _render(settings: Settings, batch: str) -> str:
    head = f"Written by edge-scanner enrol for batch {batch}.\n"
    return render(settings, head=f"{head}Every key: /usr/share/doc/edge-scanner/scanner.toml", always=_DECIDED)
