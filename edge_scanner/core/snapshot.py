"""The snapshot: the one document the kiosk may read, and all that it can ever show.

The daemon writes `to_json(build(...))` to /run/edge-scanner/snapshot.json every `beat_s` seconds (temporary file, then
rename); the kiosk runs as another user and reads nothing else. `build` takes `Report`s, `Health` and settings, so no
identifier and no raw count has a way in, and a `Snapshot` has room for nothing else.

A file instead of a socket: a kiosk that hangs or is taken over cannot slow down or speak to the scanner. `from_json`
trusts nothing, because the file is the border between two users. Times are UTC seconds of the daemon's clock, which
the simulation runs at `speed`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from edge_scanner.core import json_documents, venue_days
from edge_scanner.core.counts import baseline, calibration
from edge_scanner.core.counts import occupancy as crowd
from edge_scanner.core.counts.baseline import Baseline  # noqa: TC001 (msgspec reads the hints at run time)
from edge_scanner.core.counts.calibration import Counted
from edge_scanner.core.counts.occupancy import Crowd, Point, Thresholds  # noqa: TC001 (msgspec reads the hints at run time)
from edge_scanner.core.errors import BadDataError, ConfigurationError, RefusedError
from edge_scanner.core.health import Health  # noqa: TC001 (msgspec reads the hints at run time)
from edge_scanner.core.messages import Calibration  # noqa: TC001 (msgspec reads the hints at run time)
from edge_scanner.core.model import Report  # noqa: TC001 (msgspec reads the hints at run time)
from edge_scanner.core.text import is_web_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_scanner.core.counts.calibration import HandCount

VERSION = 1

# A full week of hours with a dozen figures, a day of bins twice and twenty pulls is about 60 kB.
MAX_BYTES = 256 * 1024
# After this many beats without a new snapshot nobody may take the page's figure for current.
MISSED_BEATS = 3
# Viet Nam has one zone, UTC+7, and no summer time.
VIET_NAM_OFFSET_S = 7 * 3600
# The operator sees the latest answered requests; the count in `opened_count` is complete.
_MAX_PULLS = 20
_MAX_OFFSET_S = 14 * 3600
_MAX_BEAT_S = 3600.0

_NOTHING_COUNTED = Counted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """What the settings say about the place; `notice_url` and `app_url` are https addresses or empty.

    `opening` and `holidays` are texts of venue_days.py. `help` is the staff's telephone, shown when nobody knows how
    busy it is; `limit` the alarm's, or 0. `app_name`, `app_vi` and `app_en` are the app's name and a sentence about it.
    `word` says what the thresholds are: phones, people, or quantiles of the usual; `learns` whether the nights' phones
    are subtracted, `spoken` whether the page may be read aloud. `beat_s` is the wall time between two snapshots.
    `simulated` marks a demonstration, whose clock runs at `speed`.
    """

    device: str
    name_vi: str
    name_en: str
    thresholds: Thresholds
    notice_url: str = ""
    theme: Literal["auto", "day", "night"] = "auto"
    opening: tuple[str, ...] = ()
    holidays: tuple[str, ...] = ()
    help: str = ""
    limit: int = 0
    app_url: str = ""
    app_name: str = ""
    app_vi: str = ""
    app_en: str = ""
    word: str = "phones"
    spoken: bool = False
    learns: bool = True
    utc_offset_s: int = VIET_NAM_OFFSET_S
    beat_s: float = 5.0
    simulated: bool = False
    speed: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One request of a health authority that this box answered: its case number, the hours it got, and when."""

    case: str
    from_s: float
    to_s: float
    answered_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that the kiosk knows.

    `today` is the curve since midnight; while there is no `usual` day, that of the last 24 hours.
    `opened_count` is how many requests were answered and exports made since installation, sealed ones too, None while
    the trail cannot be read; `pulls` are the latest of them without those whose order is still sealed (30 days at
    most). `week` holds the released hourly broker reports, oldest first. `recipients_changed_s` is when it last
    changed who can open the log, None if it never did. `baseline` is what is always here by the nights, `calibration`
    the line by the counts by hand, which are `counted`; the thresholds in `venue` are those that the word went by.
    """

    v: int = VERSION
    written_s: float
    venue: Venue
    clock_sure: bool
    crowd: Crowd
    today: tuple[Point, ...]
    usual: tuple[Point, ...]
    health: Health
    opened_count: int | None
    pulls: tuple[Pull, ...]
    week: tuple[Report, ...]
    recipients_changed_s: float | None
    baseline: Baseline | None = None
    calibration: Calibration | None = None
    counted: Counted = _NOTHING_COUNTED


def build(
    *,
    venue: Venue,
    display: Sequence[Report],
    broker: Sequence[Report],
    health: Health,
    clock_sure: bool,
    pulls: Sequence[Pull] = (),
    opened_count: int | None = None,
    recipients_changed_s: float | None = None,
    counted: Counted | None = None,
    now_s: float,
) -> Snapshot:
    """The snapshot at `now_s`.

    `display` is every stored release of the display ledger (three weeks give a usual day that is worth showing),
    `broker` those of the broker ledger; older than a week are left out here.
    """
    counted = counted or Counted()
    learnt = baseline.learn(display, venue.utc_offset_s, now_s, since_s=counted.forgotten_s) if venue.learns else None
    line = None
    with contextlib.suppress(RefusedError):
        line = calibration.factor(counted, learnt, now_s)
    thresholds = _thresholds(venue, calibration.nobody(counted, learnt, now_s), line)
    if venue.word == "usual":
        thresholds = baseline.usual(display, thresholds, now_s)
    venue = replace(venue, thresholds=thresholds)
    usual = crowd.usual_day(_of_usual_days(display, venue), venue.thresholds, venue.utc_offset_s, now_s)
    return Snapshot(
        written_s=now_s,
        venue=venue,
        clock_sure=clock_sure,
        crowd=crowd.read(display, venue.thresholds, now_s),
        today=crowd.today(display, venue.thresholds, venue.utc_offset_s, now_s)
        if usual
        else crowd.since(display, venue.thresholds, now_s - crowd.DAY_S, now_s),
        usual=usual,
        health=health,
        opened_count=opened_count,
        recipients_changed_s=recipients_changed_s,
        baseline=learnt,
        calibration=line,
        counted=counted,
        pulls=tuple(sorted(pulls, key=lambda pull: pull.answered_s))[-_MAX_PULLS:],
        week=tuple(
            sorted(
                (r for r in broker if now_s - crowd.WEEK_S < r.bin_start_s <= now_s),
                key=lambda report: report.bin_start_s,
            )
        ),
    )


def _of_usual_days(display: Sequence[Report], venue: Venue) -> Sequence[Report]:
    """Those of no holiday."""
    holidays = venue_days.days_of(venue.holidays)
    if not holidays:
        return display
    return [
        r for r in display if datetime.fromtimestamp(r.bin_start_s + venue.utc_offset_s, UTC).date() not in holidays
    ]


def _thresholds(venue: Venue, empty: HandCount | None, line: Calibration | None) -> Thresholds:
    """The thresholds with what is subtracted and multiplied."""
    if venue.word == "people" and line is not None:
        return replace(venue.thresholds, offset=line.empty, per_device=line.people_per_device)
    return replace(venue.thresholds, offset=max(empty.devices, 0.0) if empty is not None else 0.0)


def to_json(snapshot: Snapshot) -> bytes:
    """The snapshot as compact UTF-8 JSON of `Snapshot`."""
    return json_documents.dumps(snapshot)


def from_json(data: bytes) -> Snapshot:
    """The snapshot in `data`; raises BadDataError, naming the field but never its content, for anything else."""
    snapshot = json_documents.loads(Snapshot, data, max_bytes=MAX_BYTES)
    venue = snapshot.venue
    problems = {
        "v": snapshot.v != VERSION,
        "venue.beat_s": not 0 < venue.beat_s <= _MAX_BEAT_S,
        "venue.speed": venue.speed <= 0,
        "venue.opening": not _holds(venue_days.check_opening, venue.opening),
        "venue.holidays": not _holds(venue_days.check_holidays, venue.holidays),
        "venue.limit": venue.limit < 0,
        "venue.utc_offset_s": abs(venue.utc_offset_s) > _MAX_OFFSET_S,
        "venue.notice_url": not _web_address(venue.notice_url),
        "venue.app_url": not _web_address(venue.app_url),
        "venue.thresholds": not 0 < venue.thresholds.moderate_from < venue.thresholds.busy_from,
        "venue.thresholds.per_device": not venue.thresholds.per_device > 0,
        "counted": not calibration.sound(snapshot.counted),
        "crowd.position": snapshot.crowd.position is not None and not 0 <= snapshot.crowd.position <= 100,  # noqa: PLR2004 (the bar's ends)
        "written_s": snapshot.written_s < 0,
    }
    for name, wrong in problems.items():
        if wrong:
            raise BadDataError("a value is out of range", where=f"document.{name}")
    return snapshot


def _holds(check: Callable[[Sequence[str]], None], texts: Sequence[str]) -> bool:
    try:
        check(texts)
    except ConfigurationError:
        return False
    return True


def _web_address(text: str) -> bool:
    return not text or is_web_address(text)
