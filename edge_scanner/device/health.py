"""How the box is: what the running parts know about themselves -> `Health`, once every few seconds.

Nothing here acts. A light is one look at one part; the codes stand in core/diagnostics/codes.py and mqtt/brokerlink.py.
"""

from __future__ import annotations

import asyncio
import os
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_scanner import small_files
from edge_scanner.core import certificates
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.health import Health, HealthLight, Light
from edge_scanner.core.model import ClockQuality
from edge_scanner.device.radio.recovery import Fault
from edge_scanner.device.system import pin_file, unhurried

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.core.counts.estimator import Counter
    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.log.writer import SealedLog
    from edge_scanner.core.model import ClockReading
    from edge_scanner.mqtt.brokerlink import BrokerState

SOON_S = 14 * 86400
"""A certificate that ends within two weeks needs somebody now: renewal had months."""
RECIPIENTS_SOON_S = 35 * 86400
"""Four weeks before the last weekly key of a recipient set begins: making the next set takes two parties."""
LOW_BYTES = 500 * 1024 * 1024
"""Less free space than this is five times the largest log: time to look, long before anything is lost."""
LATE_SHOWN_S = 3600.0
"""How long the light tells of minutes that the box was too busy to listen to: as long as a published bin has them."""
LAG_STEP_MS = 100.0
MEMORY_STEP_MB = 10.0
"""A device that is counted takes 250 bytes."""
OFFLINE_FAIL_S = 86400.0
"""A venue may be offline for a night; after a day somebody should look at the cable."""


class SourceCounters(Protocol):
    """What a source counts since it was opened."""

    @property
    def recoveries(self) -> Mapping[str, int]:
        """Recoveries by level."""


class Source(Protocol):
    """What hears: the radio, or what stands in for it."""

    @property
    def counters(self) -> SourceCounters:
        """A snapshot."""

    @property
    def listening(self) -> bool:
        """Whether the adapter listens by its own state, whoever is heard or not."""

    @property
    def punctual(self) -> bool:
        """Whether what it hands on was heard just now, by this machine's load alone, whoever is heard or not."""

    @property
    def fault(self) -> object | None:
        """What is wrong with the adapter, None when nothing is."""


@dataclass(slots=True, kw_only=True)
class BoxState:
    """Written by the parts of the daemon as they go, read by `examine`.

    `late_at`: when the box was last too busy to listen in time, monotonic seconds;
    `standby`: why there is no store (standby.py); `passing`: what is stored ends with a restart; `runtime`: whether the
    page's snapshot can be written; `pin_file`: the operator's PIN, None in a demonstration; `authority`: why nothing is
    sealed, or which of its files was passed over; `failing` names side tasks that failed and are tried again;
    `refusing`: the broker does not take what the outbox offers.
    """

    log: SealedLog | None
    recipients: RecipientSet | None
    retention_days: int
    state_dir: Path
    keeps_log: bool = True
    certificate: Path | None = None
    counter: Counter | None = None
    source: Source | None = None
    listened: bool = False
    late_at: float | None = None
    outbox_rows: int = 0
    outbox_dropped: int = 0
    outbox_expired: int = 0
    pubacks: dict[str, int] = field(default_factory=dict)
    refusing: bool = False
    last_contact_s: float | None = None
    broker: BrokerState | None = None
    oldest_record_s: float | None = None
    storage: Code = Code.WELL
    standby: Code = Code.WELL
    passing: bool = False
    clock_doubted: bool = False
    runtime: Code = Code.WELL
    pin_file: Path | None = None
    authority: Code = Code.WELL
    trail_full: bool = False
    failing: set[str] = field(default_factory=set)
    loop_lag_ms: float = 0.0
    started_s: float = 0.0


def examine(box: BoxState, clock: ClockReading) -> Health:
    """The box at this moment."""
    certificate_expires_s = certificate_end(box.certificate)
    recipients_expire_s = float(box.recipients.not_after_s) if box.recipients else None
    return Health(
        at_s=clock.utc_s,
        uptime_s=clock.monotonic_s - box.started_s,
        lights={
            "radio": _radio(box),
            "log": _log(box, clock.utc_s),
            "broker": _broker(box, clock.utc_s),
            "clock": _clock(box, clock.quality),
            "storage": _storage(box),
            "certificate": _certificate(box, certificate_expires_s, clock.utc_s),
            "counts": _counts(box, clock.monotonic_s),
        },
        recoveries=box.source.counters.recoveries if box.source else {},
        outbox_rows=box.outbox_rows,
        outbox_dropped_total=box.outbox_dropped + box.outbox_expired,
        pubacks=dict(box.pubacks),
        last_contact_s=box.last_contact_s,
        certificate_expires_s=certificate_expires_s,
        recipients_expire_s=recipients_expire_s,
        oldest_record_s=box.oldest_record_s,
        retention_days=box.retention_days,
        # In steps that no phone and no hundred phones move.
        loop_lag_ms=_in_steps(box.loop_lag_ms, LAG_STEP_MS),
        rss_mb=_in_steps(_rss_mb(), MEMORY_STEP_MB),
    )


def certificate_end(path: Path | None) -> float | None:
    """When the certificate in a PEM file ends, UTC seconds; None without one that can be read."""
    if path is None:
        return None
    try:
        return certificates.read(small_files.content(path)).not_valid_after_utc.timestamp()
    except (OSError, BadDataError):
        return None


async def measure_lag(box: BoxState, period_s: float = 1.0) -> None:
    """Keep the event loop's worst lateness of the last minute in `box`."""
    loop = asyncio.get_running_loop()
    while True:
        worst_s = 0.0
        for _ in range(int(60 / period_s)):
            due = loop.time() // period_s * period_s + period_s
            await unhurried.beat(period_s)
            worst_s = max(worst_s, loop.time() - due)
            box.loop_lag_ms = max(box.loop_lag_ms, worst_s * 1000)
        box.loop_lag_ms = worst_s * 1000


def _radio(box: BoxState) -> HealthLight:
    if box.source is None:
        return HealthLight(light=Light.UNKNOWN, code=Code.RADIO_STARTING)
    if box.source.listening:
        box.listened = True
        return HealthLight(light=Light.OK)
    passing = Code.RADIO_FAULT if box.listened else Code.RADIO_STARTING
    return HealthLight(light=Light.FAIL, code=FAULTS.get(box.source.fault, passing))


FAULTS: Mapping[object, Code] = {
    Fault.NO_BUS: Code.RADIO_NO_BUS,
    Fault.NO_BLUETOOTHD: Code.RADIO_NO_BLUETOOTHD,
    Fault.DENIED: Code.RADIO_DENIED,
    Fault.NO_ADAPTER: Code.RADIO_NO_ADAPTER,
    Fault.BLOCKED: Code.RADIO_BLOCKED,
    Fault.REFUSED: Code.RADIO_REFUSED,
}
"""What the radio knows to be wrong; other faults end by themselves within seconds, or the radio is just starting."""

_STOPPED = {
    "recipients-expired": Code.LOG_RECIPIENTS_EXPIRED,
    "backlog-full": Code.LOG_BACKLOG,
}


def _log(box: BoxState, now_s: float) -> HealthLight:
    if not box.keeps_log:
        return HealthLight(light=Light.UNKNOWN, code=Code.LOG_NOT_CONFIGURED)
    if box.log is None or box.recipients is None:
        return HealthLight(light=Light.FAIL, code=box.standby or box.authority or Code.LOG_NO_RECIPIENTS)
    if box.log.stopped:
        return HealthLight(light=Light.FAIL, code=_STOPPED[box.log.stopped])
    if now_s > box.recipients.not_after_s - RECIPIENTS_SOON_S:
        return HealthLight(light=Light.WARN, code=Code.LOG_RECIPIENTS_END_SOON)
    if trouble := Code.LOG_TRAIL_FULL if box.trail_full else box.authority:
        return HealthLight(light=Light.WARN, code=trouble)
    return HealthLight(light=Light.OK)


def _broker(box: BoxState, now_s: float) -> HealthLight:
    if box.broker is None:
        return HealthLight(light=Light.UNKNOWN, code=Code.BROKER_NOT_CONFIGURED)
    if box.failing:
        return HealthLight(light=Light.FAIL, code=Code.TASK_FAILING)
    if box.broker.connected and box.refusing:
        return HealthLight(light=Light.FAIL, code=Code.BROKER_REFUSES_OURS)
    if box.broker.connected:
        light = Light.WARN if box.broker.trouble else Light.OK
        return HealthLight(light=light, code=box.broker.trouble)
    long_gone = box.last_contact_s is not None and now_s - box.last_contact_s > OFFLINE_FAIL_S
    return HealthLight(light=Light.FAIL if long_gone else Light.WARN, code=box.broker.trouble)


def _clock(box: BoxState, quality: ClockQuality) -> HealthLight:
    if box.clock_doubted:
        return HealthLight(light=Light.WARN, code=Code.CLOCK_LEAPT)
    if quality is ClockQuality.NTP:
        return HealthLight(light=Light.OK)
    if quality is ClockQuality.RTC:
        return HealthLight(light=Light.WARN, code=Code.CLOCK_NOT_KEPT)
    return HealthLight(light=Light.FAIL, code=Code.CLOCK_UNSET)


def _storage(box: BoxState) -> HealthLight:
    if trouble := box.standby or box.storage:
        return HealthLight(light=Light.FAIL, code=trouble)
    if box.passing:
        return HealthLight(light=Light.FAIL, code=Code.STORAGE_PASSING)
    if trouble := box.runtime or _pin(box):
        return HealthLight(light=Light.WARN, code=trouble)
    try:
        disk = os.statvfs(box.state_dir)
    except OSError:
        return HealthLight(light=Light.FAIL, code=Code.STORAGE_FAILING)
    if disk.f_bavail * disk.f_frsize < LOW_BYTES:
        return HealthLight(light=Light.WARN, code=Code.STORAGE_LOW)
    return HealthLight(light=Light.OK)


def _pin(box: BoxState) -> Code:
    return Code.WELL if box.pin_file is None or pin_file.usable(box.pin_file) else Code.PIN_UNUSABLE


def _certificate(box: BoxState, expires_s: float | None, now_s: float) -> HealthLight:
    if box.certificate is None:
        return HealthLight(light=Light.UNKNOWN, code=Code.CERTIFICATE_NONE)
    if expires_s is None:
        missing = not box.certificate.exists()
        return HealthLight(light=Light.FAIL, code=Code.CERTIFICATE_NONE if missing else Code.CERTIFICATE_DAMAGED)
    if expires_s < now_s:
        return HealthLight(light=Light.FAIL, code=Code.CERTIFICATE_EXPIRED)
    if expires_s < now_s + SOON_S:
        return HealthLight(light=Light.WARN, code=Code.CERTIFICATE_ENDS_SOON)
    return HealthLight(light=Light.OK)


def _counts(box: BoxState, now_s: float) -> HealthLight:
    """Whether this run counts; no threshold on what is counted may stand here, it would be a count without noise."""
    if box.late_at is not None and now_s - box.late_at < LATE_SHOWN_S:
        return HealthLight(light=Light.WARN, code=Code.COUNTS_LATE)
    return HealthLight(light=Light.OK if box.counter else Light.UNKNOWN)


def _in_steps(value: float, step: float) -> float:
    return step * round(value / step)


def _rss_mb() -> float:
    """Resident memory now (proc(5) statm, in pages)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
