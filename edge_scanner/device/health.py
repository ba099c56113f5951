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

from cryptography import x509

from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.model import ClockQuality, Health, HealthLight, Light
from edge_scanner.device.radio.recovery import Fault

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
OFFLINE_FAIL_S = 86400.0
"""A venue may be offline for a night; after a day somebody should look at the cable."""
_ROUND = (1, 2, 5)


class SourceCounters(Protocol):
    """What a source counts since it was opened."""

    @property
    def dropped(self) -> int:
        """Adverts that found no room."""

    @property
    def recoveries(self) -> Mapping[str, int]:
        """Recoveries by rung."""


class Source(Protocol):
    """What hears: the radio or one of its twins."""

    @property
    def counters(self) -> SourceCounters:
        """A snapshot."""

    @property
    def listening(self) -> bool:
        """Whether zeros may be believed."""

    @property
    def fault(self) -> object | None:
        """What is wrong with the adapter, None when nothing is."""


@dataclass(slots=True, kw_only=True)
class Vitals:
    """Written by the parts of the daemon as they go, read by `examine`.

    `standby`: why there is no store (standby.py); `passing`: what is stored ends with a restart; `runtime`: whether the
    page's snapshot can be written; `authority`: why nothing is sealed, or which of its files was passed over; `failing`
    names side tasks that failed and are tried again; `refusing`: the broker
    does not take what the outbox offers.
    """

    log: SealedLog | None
    recipients: RecipientSet | None
    retention_days: int
    state_dir: Path
    keeps_log: bool = True
    certificate: Path | None = None
    counter: Counter | None = None
    source: Source | None = None
    adverts: int = 0
    encounters_dropped: int = 0
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
    authority: Code = Code.WELL
    failing: set[str] = field(default_factory=set)
    loop_lag_ms: float = 0.0
    started_s: float = 0.0
    counted_at_s: float = 0.0
    counted: int = 0
    per_minute: int = 0


def examine(vitals: Vitals, clock: ClockReading) -> Health:
    """The box at this moment."""
    certificate_expires_s = certificate_end(vitals.certificate)
    recipients_expire_s = float(vitals.recipients.not_after_s) if vitals.recipients else None
    return Health(
        at_s=clock.utc_s,
        uptime_s=clock.monotonic_s - vitals.started_s,
        lights={
            "radio": _radio(vitals),
            "log": _log(vitals, clock.utc_s),
            "broker": _broker(vitals, clock.utc_s),
            "clock": _clock(vitals, clock.quality),
            "storage": _storage(vitals),
            "certificate": _certificate(vitals, certificate_expires_s, clock.utc_s),
            "counts": _counts(vitals),
        },
        adverts_per_minute=_rate(vitals, clock.monotonic_s),
        dropped_total=vitals.encounters_dropped
        + (vitals.source.counters.dropped if vitals.source else 0)
        + (vitals.counter.dropped_total if vitals.counter else 0),
        recoveries=vitals.source.counters.recoveries if vitals.source else {},
        outbox_rows=vitals.outbox_rows,
        outbox_dropped_total=vitals.outbox_dropped + vitals.outbox_expired,
        pubacks=dict(vitals.pubacks),
        last_contact_s=vitals.last_contact_s,
        certificate_expires_s=certificate_expires_s,
        recipients_expire_s=recipients_expire_s,
        oldest_record_s=vitals.oldest_record_s,
        retention_days=vitals.retention_days,
        loop_lag_ms=vitals.loop_lag_ms,
        rss_mb=_rss_mb(),
    )


def coarse(count: float) -> int:
    """The nearest of 0, 1, 2, 5, 10, 20, 50, … at or below `count`: a rate that is no second count of phones."""
    if count < 1:
        return 0
    power = 1
    while power * 10 <= count:
        power *= 10
    return max(step * power for step in _ROUND if step * power <= count)


def certificate_end(path: Path | None) -> float | None:
    """When the certificate in a PEM file ends, UTC seconds; None without one that can be read."""
    if path is None:
        return None
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


async def measure_lag(vitals: Vitals, period_s: float = 1.0) -> None:
    """Keep the event loop's worst lateness of the last minute in `vitals`."""
    loop = asyncio.get_running_loop()
    while True:
        worst_s = 0.0
        for _ in range(int(60 / period_s)):
            due = loop.time() + period_s
            await asyncio.sleep(period_s)
            worst_s = max(worst_s, loop.time() - due)
            vitals.loop_lag_ms = max(vitals.loop_lag_ms, worst_s * 1000)
        vitals.loop_lag_ms = worst_s * 1000


def _rate(vitals: Vitals, monotonic_s: float) -> int:
    """Adverts a minute over the last whole minute, coarse."""
    passed_s = monotonic_s - vitals.counted_at_s
    if passed_s >= 60:  # noqa: PLR2004 (a minute)
        vitals.per_minute = coarse((vitals.adverts - vitals.counted) * 60 / passed_s)
        vitals.counted, vitals.counted_at_s = vitals.adverts, monotonic_s
    elif not vitals.per_minute:
        return coarse(vitals.adverts)
    return vitals.per_minute


def _radio(vitals: Vitals) -> HealthLight:
    if vitals.source is None:
        return HealthLight(light=Light.UNKNOWN, code=Code.RADIO_STARTING)
    if vitals.source.listening:
        return HealthLight(light=Light.OK)
    if (fault := vitals.source.fault) is not None:
        passing = Code.RADIO_FAULT if vitals.adverts else Code.RADIO_STARTING
        return HealthLight(light=Light.FAIL, code=FAULTS.get(fault, passing))
    return HealthLight(light=Light.WARN, code=Code.RADIO_SILENT)


FAULTS: Mapping[object, Code] = {
    Fault.NO_BUS: Code.RADIO_NO_BUS,
    Fault.NO_BLUETOOTHD: Code.RADIO_NO_BLUETOOTHD,
    Fault.NO_ADAPTER: Code.RADIO_NO_ADAPTER,
    Fault.BLOCKED: Code.RADIO_BLOCKED,
    Fault.REFUSED: Code.RADIO_REFUSED,
}
"""What the radio knows to be wrong; other faults end by themselves within seconds, or the radio is just starting."""

_STOPPED = {
    "recipients-expired": Code.LOG_RECIPIENTS_EXPIRED,
    "backlog-full": Code.LOG_BACKLOG,
}


def _log(vitals: Vitals, now_s: float) -> HealthLight:
    if not vitals.keeps_log:
        return HealthLight(light=Light.UNKNOWN, code=Code.LOG_NOT_CONFIGURED)
    if vitals.log is None or vitals.recipients is None:
        return HealthLight(light=Light.FAIL, code=vitals.standby or vitals.authority or Code.LOG_NO_RECIPIENTS)
    if vitals.log.stopped:
        return HealthLight(light=Light.FAIL, code=_STOPPED[vitals.log.stopped])
    if now_s > vitals.recipients.not_after_s - RECIPIENTS_SOON_S:
        return HealthLight(light=Light.WARN, code=Code.LOG_RECIPIENTS_END_SOON)
    if vitals.authority:
        return HealthLight(light=Light.WARN, code=vitals.authority)
    return HealthLight(light=Light.OK)


def _broker(vitals: Vitals, now_s: float) -> HealthLight:
    if vitals.broker is None:
        return HealthLight(light=Light.UNKNOWN, code=Code.BROKER_NOT_CONFIGURED)
    if vitals.failing:
        return HealthLight(light=Light.FAIL, code=Code.TASK_FAILING)
    if vitals.broker.connected and vitals.refusing:
        return HealthLight(light=Light.FAIL, code=Code.BROKER_REFUSES_OURS)
    if vitals.broker.connected:
        light = Light.WARN if vitals.broker.trouble else Light.OK
        return HealthLight(light=light, code=vitals.broker.trouble)
    long_gone = vitals.last_contact_s is not None and now_s - vitals.last_contact_s > OFFLINE_FAIL_S
    return HealthLight(light=Light.FAIL if long_gone else Light.WARN, code=vitals.broker.trouble)


def _clock(vitals: Vitals, quality: ClockQuality) -> HealthLight:
    if vitals.clock_doubted:
        return HealthLight(light=Light.WARN, code=Code.CLOCK_LEAPT)
    if quality is ClockQuality.NTP:
        return HealthLight(light=Light.OK)
    if quality is ClockQuality.RTC:
        return HealthLight(light=Light.WARN, code=Code.CLOCK_NOT_KEPT)
    return HealthLight(light=Light.FAIL, code=Code.CLOCK_UNSET)


def _storage(vitals: Vitals) -> HealthLight:
    if trouble := vitals.standby or vitals.storage:
        return HealthLight(light=Light.FAIL, code=trouble)
    if vitals.passing:
        return HealthLight(light=Light.FAIL, code=Code.STORAGE_PASSING)
    if vitals.runtime:
        return HealthLight(light=Light.WARN, code=vitals.runtime)
    try:
        disk = os.statvfs(vitals.state_dir)
    except OSError:
        return HealthLight(light=Light.FAIL, code=Code.STORAGE_FAILING)
    if disk.f_bavail * disk.f_frsize < LOW_BYTES:
        return HealthLight(light=Light.WARN, code=Code.STORAGE_LOW)
    return HealthLight(light=Light.OK)


def _certificate(vitals: Vitals, expires_s: float | None, now_s: float) -> HealthLight:
    if vitals.certificate is None:
        return HealthLight(light=Light.UNKNOWN, code=Code.CERTIFICATE_NONE)
    if expires_s is None:
        missing = not vitals.certificate.exists()
        return HealthLight(light=Light.FAIL, code=Code.CERTIFICATE_NONE if missing else Code.CERTIFICATE_DAMAGED)
    if expires_s < now_s:
        return HealthLight(light=Light.FAIL, code=Code.CERTIFICATE_EXPIRED)
    if expires_s < now_s + SOON_S:
        return HealthLight(light=Light.WARN, code=Code.CERTIFICATE_ENDS_SOON)
    return HealthLight(light=Light.OK)


def _counts(vitals: Vitals) -> HealthLight:
    """Whether two independent estimates of the last hour agree; only the light leaves the box."""
    light = vitals.counter.cross_check().light if vitals.counter else Light.UNKNOWN
    return HealthLight(light=light, code=Code.COUNTS_DISAGREE if light is Light.WARN else Code.WELL)


def _rss_mb() -> float:
    """Resident memory now (proc(5) statm, in pages)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
