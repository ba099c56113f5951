"""The week's released counts as CSV: one row an hour, device-minutes by figure, exactly what the broker got."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner.device.kiosk import when

if TYPE_CHECKING:
    from edge_scanner.core.snapshot import Snapshot


def week_csv(snapshot: Snapshot | None, utc_offset_s: int) -> str:
    """Columns: start in UTC and in the venue's time, bin length, minutes covered, ε, noise scale, each figure.

    A figure's value is noised device-minutes and may be negative; it is empty where the hour did not have the figure.
    Names of figures are lower-case ASCII and all values are numbers, so no cell can be a spreadsheet formula.
    """
    reports = snapshot.week if snapshot else ()
    names = sorted({name for report in reports for name in report.figures})
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["start_utc", "start_local", "bin_minutes", "minutes_covered", "epsilon_per_device_hour", "noise_scale"]
        + [f"{name}_device_minutes" for name in names]
    )
    for report in reports:
        writer.writerow(
            [
                f"{datetime.fromtimestamp(report.bin_start_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
                f"{when.local(report.bin_start_s, utc_offset_s):%Y-%m-%d %H:%M}",
                report.bin_s // 60,
                report.minutes_covered,
                report.epsilon,
                report.scale,
                *(report.figures.get(name, "") for name in names),
            ]
        )
    return out.getvalue()
