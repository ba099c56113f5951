"""What a box tells the venue's own broker: Home Assistant's discovery of it, its state, whether it is there.

Everything is made from the snapshot of the venue's screen, hence from releases and health alone. The discovery is Home
Assistant's device-based one (its MQTT integration, since 2024.11); the state is one JSON object for whoever reads MQTT.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edge_scanner.core import json_documents
from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.capacity import over_limit
from edge_scanner.core.counts.occupancy import Level, Trend
from edge_scanner.core.counts.release import NEARBY
from edge_scanner.core.health import Light
from edge_scanner.core.model import Message, MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_scanner.core.health import HealthLight
    from edge_scanner.core.model import Report
    from edge_scanner.core.snapshot import Snapshot, Venue

ONLINE, OFFLINE = "online", "offline"
EVERY_S = 60.0
"""The state is said again so often, also unchanged."""
EXPIRES_S = 300
"""Home Assistant calls a figure unknown that was not said for so long."""
_STALE_BINS = 2
"""A released bin that ended more than so many of its lengths ago says nothing about now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalState:
    """The state as the venue's systems read it (schemas/local-state.schema.json); times are ISO 8601, UTC.

    `phones` is the average of the latest released hour (`phones_from` to `phones_to`), between `phones_low` and
    `phones_high` with 95 %; all are null when there is none of the last hours. `health` is that of the worst light.
    """

    level: Level | None
    level_at: str | None
    trend: Trend | None
    phones: int | None
    phones_low: int | None
    phones_high: int | None
    phones_from: str | None
    phones_to: str | None
    last_release: str | None
    over_limit: bool | None
    health: Light
    lights: Mapping[str, str]
    simulated: bool


def topic(device: str, what: str) -> str:
    """Where a box says `what` ("state", "availability") on the venue's broker."""
    return f"edge-scanner/v1/local/{device}/{what}"


def availability(device: str, *, online: bool, now_s: float) -> Message:
    """Whether the box is there: said at every connection, and by the broker as our will."""
    return _message(topic(device, "availability"), (ONLINE if online else OFFLINE).encode(), now_s)


def state(snapshot: Snapshot) -> Message:
    """The state, retained: who subscribes later has it at once."""
    return _message(
        topic(snapshot.venue.device, "state"), json_documents.dumps(local_state(snapshot)), snapshot.written_s
    )


def local_state(snapshot: Snapshot) -> LocalState:
    """What the snapshot means for the venue's systems."""
    crowd, now_s = snapshot.crowd, snapshot.written_s
    report = _latest(snapshot.week, now_s)
    span = intervals.of(report, NEARBY) if report is not None else None
    ends = [end for end in (crowd.at_s, _end_s(report) if report else None) if end]
    return LocalState(
        level=None if crowd.level is Level.UNKNOWN else crowd.level,
        level_at=_iso(crowd.at_s),
        trend=None if crowd.trend is Trend.UNKNOWN else crowd.trend,
        phones=round(span.mean) if span else None,
        phones_low=round(span.low) if span else None,
        phones_high=round(span.high) if span else None,
        phones_from=_iso(report.bin_start_s) if report else None,
        phones_to=_iso(_end_s(report)) if report else None,
        last_release=_iso(max(ends)) if ends else None,
        over_limit=over_limit(snapshot.venue.limit, crowd.level, snapshot.today),
        health=_worst(snapshot.health.lights.values()),
        lights={
            name: f"{light.light} {light.code}" if light.code else str(light.light)
            for name, light in snapshot.health.lights.items()
        },
        simulated=snapshot.venue.simulated,
    )


def discovery(venue: Venue, *, prefix: str, software: str, now_s: float) -> Message:
    """The device and its entities, retained under Home Assistant's discovery prefix."""
    device = venue.device
    body: dict[str, Any] = {
        "device": {
            "identifiers": [f"edge-scanner-{device}"],
            "name": venue.name_en or venue.name_vi or f"Edge Scanner {device}",
            "manufacturer": "Edge Scanner",
            "model": "Edge Scanner (simulated)" if venue.simulated else "Edge Scanner",
            "serial_number": device,
            "sw_version": software,
        },
        "origin": {"name": "Edge Scanner", "sw_version": software},
        "availability_topic": topic(device, "availability"),
        "state_topic": topic(device, "state"),
        "qos": 1,
        "components": {
            name: _component(device, name, about) for name, about in _ENTITIES.items() if name != LIMIT or venue.limit
        },
    }
    return _message(f"{prefix}/device/edge-scanner-{device}/config", json_documents.dumps(body), now_s)


def _enum(*options: str) -> dict[str, Any]:
    return {"device_class": "enum", "options": list(options)}


LIMIT = "over_limit"
_DIAGNOSTIC = {"entity_category": "diagnostic"}
_ENTITIES: dict[str, dict[str, Any]] = {
    "level": {
        "name": "Crowd level",
        "icon": "mdi:account-group",
        **_enum(Level.QUIET, Level.MODERATE, Level.BUSY),
        "_attributes": ("level_at", "simulated"),
    },
    "phones": {
        "name": "Phones",
        "icon": "mdi:cellphone-wireless",
        "unit_of_measurement": "phones",
        "state_class": "measurement",
        "_attributes": ("phones_low", "phones_high", "phones_from", "phones_to"),
    },
    "trend": {"name": "Trend", "icon": "mdi:trending-up", **_enum(Trend.UP, Trend.DOWN, Trend.FLAT)},
    "health": {
        "name": "Health",
        "icon": "mdi:heart-pulse",
        **_enum(Light.OK, Light.WARN, Light.FAIL, Light.UNKNOWN),
        **_DIAGNOSTIC,
        "_attributes": ("lights",),
    },
    LIMIT: {
        "platform": "binary_sensor",
        "name": "Over the limit",
        "device_class": "safety",
        "value_template": "{{ value_json.over_limit | iif('ON', 'OFF', 'None') }}",
    },
    "last_release": {"name": "Last release", "device_class": "timestamp", **_DIAGNOSTIC},
}
"""Each entity is one field of the state; `_attributes` are the fields shown beside it."""


def _component(device: str, field: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """One sensor. A null in the state is Home Assistant's "unknown"."""
    options = {name: value for name, value in about.items() if not name.startswith("_")}
    if beside := about.get("_attributes", ()):
        pairs = ", ".join(f"'{name}': value_json.{name}" for name in beside)
        options["json_attributes_topic"] = topic(device, "state")
        options["json_attributes_template"] = f"{{{{ {{{pairs}}} | tojson }}}}"
    return {
        "platform": "sensor",
        "unique_id": f"edge-scanner-{device}-{field}",
        "value_template": f"{{{{ value_json.{field} }}}}",
        "expire_after": EXPIRES_S,
        **options,
    }


def _latest(reports: Iterable[Report], now_s: float) -> Report | None:
    """The newest released bin, unless it is from another part of the day."""
    newest = max(reports, key=_end_s, default=None)
    return newest if newest is not None and now_s - _end_s(newest) <= _STALE_BINS * newest.bin_s else None


def _end_s(report: Report) -> int:
    return report.bin_start_s + report.bin_s


def _worst(lights: Iterable[HealthLight]) -> Light:
    shown = {light.light for light in lights}
    return next((light for light in (Light.FAIL, Light.WARN, Light.OK) if light in shown), Light.UNKNOWN)


def _iso(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat()


def _message(where: str, payload: bytes, now_s: float) -> Message:
    return Message(kind=MessageKind.STATUS, topic=where, payload=payload, key=where, retain=True, created_s=now_s)
