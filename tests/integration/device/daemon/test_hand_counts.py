"""The operator's count by hand, as the scanner takes it: by its own releases, once, and never over a newer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core.counts import calibration
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.device import operator_settings, settings, site_factor
from edge_scanner.device.daemon.operator import HandCounts
from edge_scanner.device.operator_settings import Asked
from tests.support.snapshots import TUESDAY_S, hourly

if TYPE_CHECKING:
    from pathlib import Path

HOUR_S = TUESDAY_S - TUESDAY_S % 3600
NOW_S = float(HOUR_S + 600)
REPORTS = [hourly(HOUR_S - 3600, 140)]


def box(tmp_path: Path) -> HandCounts:
    """A scanner's eyes on the operator's folder."""
    text = f'[device]\nstate_dir = "{tmp_path}"\n[kiosk]\noperator_dir = "{tmp_path}"\n'
    return HandCounts(settings.parse(text.encode(), name="scanner.toml"))


def ask(folder: Path, people: int | None, at_s: float = NOW_S) -> None:
    """What the page writes."""
    operator_settings.ask_count(folder, Asked(people=people, at_s=at_s))


def take(counts: HandCounts, before: Counted, now_s: float = NOW_S) -> Counted:
    """One look."""
    return counts.take(before, REPORTS, lambda _since_s: None, now_s)


def test_a_count_is_kept_and_outlives_a_restart(tmp_path: Path) -> None:
    """It is in use at once, stands in the box's own file, and is not taken twice."""
    counts = box(tmp_path)
    assert take(counts, Counted()) == Counted()
    ask(tmp_path, 70)
    found = take(counts, Counted())
    assert found.full is not None
    assert (found.full.people, found.full.devices, found.full.measured_s) == (70, 140.0, NOW_S)
    assert site_factor.load(tmp_path) == found
    assert take(box(tmp_path), found, NOW_S + 60) == found


def test_what_was_counted_at_the_box_meanwhile_stays(tmp_path: Path) -> None:
    """The command writes the same file: its empty count is kept beside ours, and its newer one goes before ours."""
    before = calibration.take(Counted(), 0, [hourly(HOUR_S - 3600, 12)], None, NOW_S - 60)[0]
    site_factor.write(tmp_path / site_factor.FILE_NAME, calibration.to_json(before))
    ask(tmp_path, 70)
    found = take(box(tmp_path), Counted())
    assert (found.empty, found.full is None) == (before.empty, False)
    ask(tmp_path, 99, NOW_S - 30)
    assert take(box(tmp_path), found) == found


def test_nothing_is_believed_that_cannot_be(tmp_path: Path) -> None:
    """A count that noise explains, one from the future, one of an hour without figures, and rubbish change nothing."""
    for people, at_s in ((70, NOW_S + 7200), (70, NOW_S - 86_400), (-5, NOW_S)):
        ask(tmp_path, people, at_s)
        assert take(box(tmp_path), Counted()) == Counted()
    (tmp_path / operator_settings.COUNT).write_text('{"people": "many", "at_s": 1}')
    assert take(box(tmp_path), Counted()) == Counted()
    ask(tmp_path, 70)
    assert box(tmp_path).take(Counted(), [hourly(HOUR_S - 3600, 1)], lambda _s: None, NOW_S) == Counted()
    assert not (tmp_path / site_factor.FILE_NAME).exists()


def test_forgetting(tmp_path: Path) -> None:
    """The counts go, and the nights before teach nothing more."""
    counts = box(tmp_path)
    ask(tmp_path, 70)
    found = take(counts, Counted())
    ask(tmp_path, None, NOW_S + 5)
    assert take(counts, found, NOW_S + 5) == Counted(forgotten_s=NOW_S + 5) == site_factor.load(tmp_path)


def test_a_disk_that_refuses_is_said_and_changes_nothing(tmp_path: Path) -> None:
    """The count is not in use where it cannot be kept."""
    text = f'[device]\nstate_dir = "{tmp_path / "none"}"\n[kiosk]\noperator_dir = "{tmp_path}"\n'
    ask(tmp_path, 70)
    counts = HandCounts(settings.parse(text.encode(), name="scanner.toml"))
    assert take(counts, Counted()) == Counted()
