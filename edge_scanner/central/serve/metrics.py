"""The fleet for Prometheus: how many boxes are heard, silent, ill; open alarms; what came in. Nothing about a venue."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE

from edge_scanner.central.serve import questions, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.central.store.reading import Reading

__all__ = ["CONTENT_TYPE", "text"]

DAY_S = 86_400


def text(read: Reading, *, now_s: float, silent_s: int, signed_set: Callable[[], int]) -> bytes:
    """The exposition, made anew for each scrape."""
    registry = CollectorRegistry()
    fleet = [box for box in read.fleet() if box.box.state != "revoked"]
    newest, sets = view.newest(read.software()), questions.newest_set(read, signed_set)
    views = [view.box_view(box, now_s=now_s, newest=newest, recipients=sets, silent_s=silent_s) for box in fleet]
    _gauge(registry, "edge_central_boxes", "Boxes of the signed list that are not revoked", len(views))
    troubles = Counter(trouble for one in views for trouble in one.troubles)
    boxes = Gauge("edge_central_boxes_in_trouble", "Boxes by what is the matter", ["trouble"], registry=registry)
    for trouble in view.Trouble:
        boxes.labels(trouble).set(troubles[trouble])
    lights = Gauge("edge_central_lights", "Boxes by light and its colour", ["light", "colour"], registry=registry)
    for (light, colour), count in Counter((name, shown) for one in views for name, shown in one.lights.items()).items():
        lights.labels(light, colour).set(count)
    _gauge(registry, "edge_central_alarms_open", "Alarms that nobody has seen to", read.open_alarms())
    newest_bin = read.newest_bin()
    if newest_bin is not None:
        _gauge(registry, "edge_central_newest_bin_seconds", "Start of the newest bin, UTC", newest_bin)
    today = int(now_s) // DAY_S * DAY_S
    came = Gauge(
        "edge_central_messages_today", "Messages since midnight UTC by what became of them", ["what"], registry=registry
    )
    for name, count in read.tallies(today, today + DAY_S).items():
        came.labels(name).set(count)
    return generate_latest(registry)


def _gauge(registry: CollectorRegistry, name: str, about: str, value: float) -> None:
    Gauge(name, about, registry=registry).set(value)
