"""The week's released counts as CSV: one row an hour, device-minutes by figure, exactly what the broker got."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner.core.counts.intervals import error
from edge_scanner.device.kiosk import when

if TYPE_CHECKING:
    from edge_scanner.core.model import Report
    from edge_scanner.core.snapshot import Snapshot


def week_csv(snapshot: Snapshot | None, utc_offset_s: int) -> str:
    """Columns: start in UTC and in the venue's time, bin length, minutes covered, ε, noise scale, each figure.

    A figure's value is noised device-minutes and may be negative, beside it half its 95 % interval; both are empty
    where the hour did not have the figure. ε is for an hour of presence in any pattern, the scale that of `nearby`.
    Names of figures are lower-case ASCII and all values are numbers, so no cell can be a spreadsheet formula.
    """
    reports = snapshot.week if snapshot else ()
    names = sorted({name for report in reports for name in report.figures})
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["start_utc", "start_local", "bin_minutes", "minutes_covered", "epsilon_per_device_hour", "noise_scale"]
        + [column for name in names for column in (f"{name}_device_minutes", f"{name}_error_95")]
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
                *(cell for name in names for cell in _cells(report, name)),
            ]
        )
    return out.getvalue()


def _cells(report: Report, name: str) -> tuple[int | str, int | str]:
    return (report.figures[name], round(error(report, name))) if name in report.figures else ("", "")
