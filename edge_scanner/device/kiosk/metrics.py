"""`/metrics` for a Prometheus on the box or the venue's network: health, and what was released.

Labels are lights, reason codes and levels from closed lists, so none can carry an identifier. There is no gauge of
what is heard: an unnoised number beside the noised ones would undo them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.occupancy import Level
from edge_scanner.core.counts.release import NEARBY
from edge_scanner.core.diagnostics.advice import LIGHTS
from edge_scanner.core.diagnostics.codes import PUBACKS
from edge_scanner.core.health import Light
from edge_scanner.device.kiosk import api
from edge_scanner.device.kiosk.watch import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from edge_scanner.core.health import Health
    from edge_scanner.device.kiosk.watch import View

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LIGHT_VALUES = {Light.OK: 0, Light.WARN: 1, Light.FAIL: 2, Light.UNKNOWN: 3}
_LEVELS = ("scanner", "power", "reset", "restart")


def exposition(view: View, streams: int) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(view, streams))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, view: View, streams: int) -> None:
        self._view = view
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        view = self._view
        yield GaugeMetricFamily("edge_scanner_kiosk_streams", "Pages that are open on this kiosk.", value=self._streams)
        yield GaugeMetricFamily(
            "edge_scanner_snapshot_fresh",
            "1 while the daemon writes its snapshot in time.",
            value=view.state is State.FRESH,
        )
        if view.snapshot is None:
            return
        yield GaugeMetricFamily("edge_scanner_snapshot_age_seconds", "Age of the newest snapshot.", value=view.age_s)
        yield GaugeMetricFamily("edge_scanner_clock_synced", "1 while UTC is sure.", value=view.snapshot.clock_sure)
        if (opened := view.snapshot.opened_count) is not None:
            yield CounterMetricFamily(
                "edge_scanner_pulls_answered", "Requests of health authorities answered.", value=opened
            )
        yield from _of_crowd(view)
        yield from _of_health(view.snapshot.health, view.now_s)


def _of_crowd(view: View) -> Iterator[Metric]:
    """The word on the screen, and the newest released bin with its interval."""
    level = api.level(view).level
    yield _gauge("edge_scanner_level", "0 quiet, 1 moderate, 2 busy, 3 not known.", list(Level).index(level))
    newest = view.snapshot.week[-1] if view.snapshot is not None and view.snapshot.week else None
    found = intervals.of(newest, NEARBY) if newest is not None and NEARBY in newest.figures else None
    if newest is None or found is None:
        return
    yield _gauge("edge_scanner_phones", "Phones present on average in the newest released bin.", found.mean)
    yield _gauge("edge_scanner_phones_low", "Lower end of its 95 % interval.", found.low)
    yield _gauge("edge_scanner_phones_high", "Upper end of its 95 % interval.", found.high)
    yield _gauge("edge_scanner_phones_bin_start_seconds", "When that bin began, UTC.", newest.bin_start_s)


def _of_health(health: Health, now_s: float) -> Iterator[Metric]:
    lights = GaugeMetricFamily("edge_scanner_light", "0 ok, 1 warning, 2 fault, 3 not known.", labels=["light"])
    for name in LIGHTS:
        if name in health.lights:
            lights.add_metric([name], _LIGHT_VALUES[health.lights[name].light])
    yield lights
    yield _gauge("edge_scanner_outbox_rows", "Messages that wait for the broker.", health.outbox_rows)
    yield CounterMetricFamily(
        "edge_scanner_outbox_dropped",
        "Messages dropped: the outbox was full, or they had expired.",
        value=health.outbox_dropped_total,
    )
    pubacks = CounterMetricFamily("edge_scanner_mqtt_puback", "Answers of the broker by reason.", labels=["code"])
    for name in PUBACKS:
        pubacks.add_metric([name], health.pubacks.get(name, 0))
    yield pubacks
    recoveries = CounterMetricFamily(
        "edge_scanner_scan_recoveries", "Times the radio was restarted, by level.", labels=["level"]
    )
    for level in _LEVELS:
        recoveries.add_metric([level], health.recoveries.get(level, 0))
    recoveries.add_metric(["other"], sum(total for name, total in health.recoveries.items() if name not in _LEVELS))
    yield recoveries
    for name, text, until_s in (
        ("edge_scanner_cert_expiry_seconds", "Until the broker certificate expires.", health.certificate_expires_s),
        ("edge_scanner_recipients_expiry_seconds", "Until the authority's keys expire.", health.recipients_expire_s),
    ):
        if until_s is not None:
            yield _gauge(name, text, until_s - now_s)
    if health.oldest_record_s is not None:
        yield _gauge(
            "edge_scanner_retention_oldest_seconds", "Age of the oldest record.", now_s - health.oldest_record_s
        )
    yield _gauge("edge_scanner_uptime_seconds", "Since the daemon began.", health.uptime_s)
    yield _gauge("edge_scanner_loop_lag_seconds", "Lag of the daemon's event loop.", health.loop_lag_ms / 1000)
    yield _gauge("edge_scanner_rss_bytes", "Resident memory of the daemon.", health.rss_mb * 1_000_000)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
