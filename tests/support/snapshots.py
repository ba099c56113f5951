"""Snapshots of venues that never existed: made with the real `build` from noise-free releases of a drawn crowd."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from math import exp
from typing import TYPE_CHECKING

from edge_scanner.core import history
from edge_scanner.core import snapshot as document
from edge_scanner.core.counts.hours import Hour
from edge_scanner.core.counts.occupancy import DAY_S, Thresholds
from edge_scanner.core.diagnostics.advice import LIGHTS
from edge_scanner.core.health import Health, HealthLight, Light
from edge_scanner.core.model import Report
from edge_scanner.core.snapshot import Pull, Snapshot, Venue, build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_scanner.core.history import History

# Tuesday 24 November 2026, 14:23 in Viet Nam.
TUESDAY_S = 1_795_504_980
BIN_S = 600

VENUE = Venue(
    device="K7MP2R9CX4",
    name_vi="Bến xe Miền Đông · Cửa 3",
    name_en="Mien Dong Bus Station · Gate 3",
    thresholds=Thresholds(moderate_from=40, busy_from=120),
    notice_url="https://notice.example.vn/k7mp2r9cx4",
    app_url="https://app.example.vn",
    app_name="Bluezone",
    app_vi="Nếu bạn từng ở gần người mắc bệnh, ứng dụng sẽ sớm báo cho bạn.",
    app_en="If you were near someone who is ill, the app warns you early.",
)


def display(at_s: int, devices: float, *, minutes: int = 10, scale: float = 6.0) -> Report:
    """A released display bin in which `devices` were present on average."""
    return Report(
        ledger="display",
        bin_start_s=at_s,
        bin_s=BIN_S,
        minutes_covered=minutes,
        epsilon=1.0,
        scale=scale,
        figures={"nearby": round(devices * minutes)},
    )


def hourly(at_s: int, devices: float) -> Report:
    """A released broker hour."""
    return Report(
        ledger="broker",
        bin_start_s=at_s,
        bin_s=3600,
        minutes_covered=60,
        epsilon=0.25,
        scale=264.0,
        figures={
            "nearby": round(devices * 60),
            "bluezone": round(devices * 18),
            "bluezone_presence": round(devices * 7),
            "gaen": 0,
        },
    )


def bus_station(hour: float) -> float:
    """Devices in a bus station by local hour: a morning peak, a larger evening peak, nearly nobody at night."""
    return (
        8
        + 95 * exp(-(((hour - 7.2) / 1.7) ** 2))
        + 45 * exp(-(((hour - 12) / 2.2) ** 2))
        + 150 * exp(-(((hour - 17.6) / 1.9) ** 2))
    )


def days(
    now_s: int, number: int, shape: Callable[[float], float] = bus_station, offset_s: int = 7 * 3600
) -> list[Report]:
    """Display bins of `number` days up to the last full bin before `now_s`, each day a little different."""
    last = now_s - now_s % BIN_S
    bins = range(last - number * DAY_S, last, BIN_S)
    return [
        display(
            at, shape((at + offset_s) % DAY_S / 3600) * (1 + ((at // DAY_S) % 5 - 2) / 15 + (at // 600 % 7 - 3) / 60)
        )
        for at in bins
    ]


def months(days: int = 40) -> History:
    """Hours of the drawn bus station up to the Tuesday, Sundays at half."""
    found, hour_s = [], TUESDAY_S - TUESDAY_S % 3600
    for number in range(-days * 24, 0):
        at = hour_s + number * 3600
        share = 0.5 if ((at + VENUE.utc_offset_s) // 86400 + 3) % 7 == 6 else 1.0
        found.append(hour(at, bus_station((at + VENUE.utc_offset_s) % 86400 / 3600) * share))
    return history.build(found, TUESDAY_S)


def hour(start_s: int, devices: float, *, minutes: int = 60) -> Hour:
    """A kept hour with so many present."""
    return Hour(start_s=start_s, minutes=minutes, nearby=round(devices * minutes), scale=152.0, parts=2)


def steps(now_s: int, values: Sequence[float]) -> list[Report]:
    """Display bins with these devices present, the last one ending at the last full bin before `now_s`."""
    last = now_s - now_s % BIN_S
    return [display(last - (len(values) - i) * BIN_S, value) for i, value in enumerate(values)]


def healthy(now_s: float, **changes: HealthLight) -> Health:
    """A box with nothing to complain about, except for the lights given."""
    return Health(
        at_s=now_s,
        uptime_s=11 * DAY_S + 7300,
        lights={name: HealthLight(light=Light.OK) for name in LIGHTS} | changes,
        recoveries={"scanner": 2, "power": 0},
        outbox_rows=0,
        outbox_dropped_total=0,
        pubacks={"accepted": 264, "no_subscribers": 3},
        last_contact_s=now_s - 42,
        certificate_expires_s=now_s + 211 * DAY_S,
        recipients_expire_s=now_s + 48 * DAY_S,
        oldest_record_s=now_s - 13.6 * DAY_S,
        retention_days=14,
        loop_lag_ms=1.4,
        rss_mb=41.2,
    )


def cut_off(now_s: float) -> Health:
    """A box that has not reached the centre for more than a day, and whose card is nearly full."""
    lights = {
        "broker": HealthLight(light=Light.FAIL, code="BRK-02"),
        "storage": HealthLight(light=Light.WARN, code="STO-01"),
    }
    return replace(healthy(now_s, **lights), last_contact_s=now_s - 97_000, outbox_rows=39)


def snapshot(
    now_s: int = TUESDAY_S,
    *,
    venue: Venue = VENUE,
    reports: Sequence[Report] | None = None,
    health: Health | None = None,
    clock_sure: bool = True,
    pulls: Sequence[Pull] = (),
) -> Snapshot:
    """A full snapshot of the bus station at `now_s`; `reports` replaces its three weeks of display bins."""
    hour = now_s - now_s % 3600
    week = [hourly(at, bus_station((at + 7 * 3600) % DAY_S / 3600)) for at in range(hour - 7 * DAY_S, hour, 3600)]
    return build(
        venue=venue,
        display=days(now_s, 21) if reports is None else reports,
        broker=week,
        health=healthy(now_s) if health is None else health,
        clock_sure=clock_sure,
        pulls=pulls,
        opened_count=len(pulls),
        now_s=now_s,
    )


def answered(now_s: float) -> tuple[Pull, ...]:
    """Two requests that were answered this month."""
    first = Pull(
        case="HCM-2026-0417", from_s=now_s - 9 * DAY_S, to_s=now_s - 9 * DAY_S + 14_400, answered_s=now_s - 8 * DAY_S
    )
    return (first, replace(first, case="HCM-2026-0431", answered_s=now_s - 2 * DAY_S))


def aged(folder: Path, shown: Snapshot, age_s: float) -> None:
    """Leave a snapshot that nobody has written for so long."""
    path = folder / "snapshot.json"
    path.write_bytes(document.to_json(shown))
    os.utime(path, (time.time() - age_s,) * 2)
