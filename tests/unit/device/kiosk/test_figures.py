"""The operator's figures of a month: peaks, the map of the week, comparison, and a CSV without a negative number."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner.core import history
from edge_scanner.core.history import History
from edge_scanner.device.kiosk.figures import HOURS, STEPS, figures_csv, figures_document, load
from edge_scanner.device.kiosk.figures_page import figures_page
from edge_scanner.device.kiosk.watch import State, View
from tests.support import snapshots
from tests.support.snapshots import TUESDAY_S, VENUE, hour, months

if TYPE_CHECKING:
    from pathlib import Path

OFFSET_S = 7 * 3600
HOUR_S = TUESDAY_S // 3600 * 3600


def view() -> View:
    """A look at the Tuesday's snapshot."""
    return View(state=State.FRESH, snapshot=snapshots.snapshot(), age_s=0.0, now_s=float(TUESDAY_S))


def test_month_has_its_days_and_their_peaks() -> None:
    """Each day of the month stands there with the hour of its evening peak and the interval."""
    document = figures_document(view(), months(), month="")

    assert document.month == "2026-11"
    assert [month for month, _ in document.months] == ["2026-11", "2026-10"]
    assert len(document.days) == 24
    assert {day.hours for day in document.days[:-1]} == {"18:00-19:00"}
    assert all(day.peak.low < day.peak.mean < day.peak.high for day in document.days)
    assert "18-19" in document.summary.en


def test_map_of_the_week_has_the_busy_hour_darkest_and_sunday_lighter() -> None:
    """The shade follows the figure; an hour that no week had is empty."""
    document = figures_document(view(), months(), month="2026-10")
    assert document.month == "2026-10"
    assert document.cells[1][18].step == STEPS
    assert document.cells[6][18].step < STEPS
    assert document.cells[1][3].step == 0
    few = figures_document(view(), History(hours=months().hours[-3:]), month="")
    assert sum(cell.figure is not None for row in few.cells for cell in row) == 3


def test_today_beside_yesterday_and_last_week() -> None:
    """Three lines by the hour, today's up to now; a month that is over has none."""
    lines = {line.name: line for line in figures_document(view(), months(), month="").lines}
    assert list(lines) == ["today", "yesterday", "week_ago"]
    assert sum(one is not None for one in lines["today"].hours) == 14
    assert sum(one is not None for one in lines["yesterday"].hours) == HOURS
    assert figures_document(view(), months(), month="2026-10").lines == ()
    assert {line.name for line in figures_document(view(), months(1), month="").lines} == {
        "today",
        "yesterday",
    }


def test_no_figures_and_no_phones_are_said() -> None:
    """The first hour after installation, and a month in which nobody came."""
    assert "no figures" in figures_document(view(), History(), month="1999-01").summary.en
    nobody = History(hours=tuple(hour(HOUR_S - n * 3600, -3.0) for n in range(3)))
    document = figures_document(view(), nobody, month="")
    assert "1 day with figures" in document.summary.en
    assert "<svg" in figures_page(document)
    assert "-3" not in figures_page(document)


def test_page_and_csv_of_a_box_without_snapshot() -> None:
    """Nothing is known, and the page says so without a fault."""
    bare = View(state=State.DOWN, snapshot=None, age_s=0.0, now_s=float(TUESDAY_S))
    assert "Edge Scanner" in figures_page(figures_document(bare, History(), month=""))
    assert len(figures_csv(History(), utc_offset_s=0).splitlines()) == 1


def test_csv_is_what_a_manager_opens() -> None:
    """Local time, phones with their interval, nothing negative, a mark by which Excel knows UTF-8."""
    noisy = History(hours=(hour(HOUR_S, -30.0, minutes=40), *months(1).hours))
    text = figures_csv(noisy, utc_offset_s=OFFSET_S)
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))

    assert text.startswith("\ufeff")
    assert rows[0][0] == "Ngày / Date"
    assert rows[1][:3] == ["2026-11-24", "14:00", "40"]
    assert all(int(cell) >= 0 for row in rows[1:] for cell in row[2:])
    assert all(int(row[4]) <= int(row[3]) <= int(row[5]) for row in rows[1:])


def test_a_file_that_is_none_of_ours_gives_no_figures(tmp_path: Path) -> None:
    """Missing, damaged, a folder, a FIFO: the page comes all the same."""
    good = tmp_path / "history.json"
    good.write_bytes(history.to_json(months(2)))
    assert len(load(good).hours) == 48
    (tmp_path / "damaged").write_text('{"v": 1, "bins": [{"at_s": ')
    (tmp_path / "folder").mkdir()
    for name in ("missing", "damaged", "folder"):
        assert load(tmp_path / name) == History()


def test_a_holiday_beside_the_same_day_of_the_last_one() -> None:
    """Day two of Tet beside day two of last year's, with its date; on no holiday there is no such line."""
    tet = ("Tết 2025-11-10 2025-11-13", "Tết 2026-11-23 2026-11-25")
    last_year_s = int(datetime(2025, 11, 11, tzinfo=UTC).timestamp()) - OFFSET_S
    then = tuple(hour(last_year_s + number * 3600, 500) for number in range(24))
    found = replace(months(), holiday=then)
    festive = replace(view(), snapshot=snapshots.snapshot(venue=replace(VENUE, holidays=tet)))
    document = figures_document(festive, found, month="")
    line = document.lines[-1]
    assert (line.name, line.title.en, line.title.vi) == (
        "holiday",
        "Tết, day 2 (11/11/2025)",
        "Tết, ngày thứ 2 (11/11/2025)",
    )
    assert sum(one is not None for one in line.hours) == HOURS
    assert 'class="line line-holiday"' in figures_page(document)
    assert "2025-11" not in {month for month, _ in document.months}
    assert [one.name for one in figures_document(view(), found, month="").lines] == ["today", "yesterday", "week_ago"]
