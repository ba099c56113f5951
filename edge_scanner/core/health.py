"""The box about itself: what the page shows of it and the centre is told, in one place.

Nothing in it moves with who is heard: no rate of advertisements, no drops, no recoveries from mere silence, or it
would be a second, unnoised count. device/health.py looks; the words for a code stand in core/diagnostics.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (msgspec reads the hints at run time)
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_scanner.core import messages
from edge_scanner.core.model import MessageKind

if TYPE_CHECKING:
    from edge_scanner.core.messages import Sender
    from edge_scanner.core.model import Message

LIFE_S = 600
"""Two health periods: an older one describes a box that has since spoken again or is gone."""


class Light(StrEnum):
    """A health light."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLight:
    """One light and the code of what to do (`RAD-01`); the words stand in the page's and the doctor's catalogues."""

    light: Light
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The box at one moment. `lights` has those of core/diagnostics/advice.py, by their names.

    Totals count since the process began. `last_contact_s` is the last PUBACK, UTC, None never.
    """

    at_s: float
    uptime_s: float
    lights: Mapping[str, HealthLight]
    recoveries: Mapping[str, int]
    outbox_rows: int
    outbox_dropped_total: int
    pubacks: Mapping[str, int]
    last_contact_s: float | None
    certificate_expires_s: float | None
    recipients_expire_s: float | None
    oldest_record_s: float | None
    retention_days: int
    loop_lag_ms: float
    rss_mb: float


def to_message(health: Health, *, sender: Sender, seq: int) -> Message:
    """Health for the centre; `seq` counts these messages of this run. QoS 0: the next one follows soon."""
    second = messages.second
    body: dict[str, object] = {
        "seq": seq,
        "uptime_s": int(health.uptime_s),
        "lights": {name: {"light": light.light, "code": light.code} for name, light in health.lights.items()},
        "recoveries": dict(health.recoveries),
        "outbox_rows": health.outbox_rows,
        "outbox_dropped_total": health.outbox_dropped_total,
        "pubacks": dict(health.pubacks),
        "last_contact": second(health.last_contact_s),
        "certificate_expires": second(health.certificate_expires_s),
        "recipients_expire": second(health.recipients_expire_s),
        "oldest_record": second(health.oldest_record_s),
        "retention_days": health.retention_days,
        "loop_lag_ms": round(health.loop_lag_ms, 1),
        "rss_mb": round(health.rss_mb, 1),
    }
    return messages.message(
        MessageKind.HEALTH,
        sender,
        body,
        mark=f"{sender.boot}/{seq}",
        qos=0,
        created_s=health.at_s,
        expires_s=health.at_s + LIFE_S,
    )
