"""The public document: what a passer-by's page is given. Words and places on a bar, never a number of devices.

The curves' points are places on the bar (0..100), not devices, so that nothing more exact than the word can be read
out of the page's source either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_scanner.core import venue_days
from edge_scanner.core.counts.occupancy import Level, Trend, position
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.device.kiosk import outlook, when
from edge_scanner.device.kiosk.translations import say
from edge_scanner.device.kiosk.watch import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from edge_scanner.core.counts.occupancy import Point, Thresholds
    from edge_scanner.core.snapshot import Snapshot
    from edge_scanner.device.kiosk.watch import View

_MINUTE_S, _HOUR_S = 60, 3600
_DAY_FROM, _NIGHT_FROM = 6, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One point of a curve: minutes after the chart's left edge and place on the bar (None is a gap)."""

    minute: int
    place: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDocument:
    """All that `/` and its event stream show; `level` is unknown unless the state is fresh.

    `chart_from` is the minute of the local day at the chart's left edge: midnight, or, while there is no usual day to
    compare with, the full hour from which 24 hours reach to now.

    Seconds do not stand in it: the stream's beats carry the time, so that an unchanged document stays equal.
    """

    state: str
    level: str
    trend: str
    position: int | None
    theme: str
    simulated: bool
    clock_sure: bool
    site: Words
    date: Words
    time: str
    word: Words
    why: Words
    trend_words: Words
    warning: Words
    chart_from: int
    chart_title: Words
    chart_today: Words
    chart_usual: Words
    chart_hint: Words
    today: tuple[Spot, ...]
    usual: tuple[Spot, ...]
    chart_forecast: Words
    forecast: tuple[Spot, ...]
    help: Words
    has_app: bool
    app_title: Words
    app_text: Words
    has_notice: bool
    spoken: bool
    records_what: Words
    records: Words
    opened: Words
    opened_rule: Words


def public_document(view: View, theme: str = "auto") -> PublicDocument:
    """What may be said in public about `view`; `theme` day or night goes before the venue's."""
    snapshot = view.snapshot
    theme = theme if theme != "auto" else view.theme
    offset_s = view.utc_offset_s
    state, level = _state_and_level(view)
    known = level is not Level.UNKNOWN
    hour = when.local(view.now_s, offset_s).hour
    is_day = _DAY_FROM <= hour < _NIGHT_FROM
    bare = PublicDocument(
        state=state,
        level=level,
        trend=snapshot.crowd.trend if snapshot and known else Trend.UNKNOWN,
        position=snapshot.crowd.position if snapshot and known else None,
        theme=theme if theme != "auto" else "day" if is_day else "night",
        simulated=False,
        clock_sure=True,
        site=Words(vi="Edge Scanner"),
        date=when.date(view.now_s, offset_s),
        time=when.clock(view.now_s, offset_s),
        word=say(f"level.{level}") if known else say(f"state.{state}"),
        why=_why(view, state),
        trend_words=say(f"trend.{snapshot.crowd.trend}") if snapshot and known else Words(),
        warning=Words(),
        chart_from=0,
        chart_title=say("chart.title"),
        chart_today=say("chart.today"),
        chart_usual=Words(),
        chart_hint=Words(),
        today=(),
        usual=(),
        chart_forecast=Words(),
        forecast=(),
        help=Words(),
        has_app=False,
        app_title=Words(),
        app_text=Words(),
        has_notice=False,
        spoken=False,
        records_what=say("records.what"),
        records=say("records.at_most"),
        opened=say("opened.unknown"),
        opened_rule=say("opened.rule"),
    )
    return bare if snapshot is None else _filled(bare, snapshot, view)


def _filled(bare: PublicDocument, snapshot: Snapshot, view: View) -> PublicDocument:
    """The parts that need a snapshot."""
    venue, offset_s = snapshot.venue, view.utc_offset_s
    log, oldest_s = snapshot.health.lights.get("log"), snapshot.health.oldest_record_s
    if log is not None and log.code == Code.LOG_NOT_CONFIGURED and oldest_s is None:
        bare = replace(bare, records_what=say("records.no_log"), opened_rule=say("opened.no_authority"))
        records, opened = say("records.nothing"), say("opened.no_log")
    else:
        records = say("records.how_long", days=snapshot.health.retention_days)
        opened = _opened(snapshot, offset_s)
        if snapshot.recipients_changed_s is not None:
            changed = say("opened.changed", date=when.day(snapshot.recipients_changed_s, offset_s))
            rule = bare.opened_rule
            bare = replace(bare, opened_rule=Words(vi=f"{rule.vi} {changed.vi}", en=f"{rule.en} {changed.en}"))
    begins_s = _chart_begins_s(view, compared=bool(snapshot.usual))
    usual = _spots(snapshot.usual, venue.thresholds, begins_s)
    today, minute = _spots(snapshot.today, venue.thresholds, begins_s), int(view.now_s - begins_s) // _MINUTE_S
    ahead = outlook.forecast(today, usual, minute) if bare.state == State.FRESH else ()
    return replace(
        bare,
        simulated=venue.simulated,
        clock_sure=snapshot.clock_sure,
        site=Words(vi=venue.name_vi, en=venue.name_en),
        warning=_warning(snapshot),
        chart_from=when.minute(begins_s, offset_s),
        chart_title=say("chart.title" if usual else "chart.title.first"),
        chart_today=say("chart.today" if usual else "chart.last_day"),
        chart_usual=say("chart.usual", weekday=when.weekday(view.now_s, offset_s)) if usual else say("chart.first"),
        chart_hint=outlook.hint(usual, minute),
        today=today,
        usual=usual,
        chart_forecast=say("chart.forecast") if ahead else Words(),
        forecast=tuple(Spot(minute=at, place=place) for at, place in ahead),
        help=say("why.help", number=venue.help) if venue.help else Words(),
        has_app=bool(venue.app_url and venue.app_name),
        app_title=say("app.title", name=venue.app_name) if venue.app_name else Words(),
        app_text=Words(vi=venue.app_vi, en=venue.app_en),
        has_notice=bool(venue.notice_url),
        spoken=venue.spoken,
        records=records,
        opened=opened,
    )


def _state_and_level(view: View) -> tuple[str, Level]:
    """The page's state: that of the file, `closed`, or `measuring` while a healthy box has no figure."""
    if view.state is not State.FRESH or view.snapshot is None:
        return view.state, Level.UNKNOWN
    if not venue_days.is_open(view.snapshot.venue.opening, when.local(view.now_s, view.utc_offset_s)):
        return "closed", Level.UNKNOWN
    level = view.snapshot.crowd.level
    return (view.state, level) if level is not Level.UNKNOWN else ("measuring", level)


def _why(view: View, state: str) -> Words:
    """The line under the word: how old the figure is, or why there is none."""
    snapshot = view.snapshot
    if snapshot is None:
        return say("why.down")
    if state == "closed":
        return _opens(snapshot.venue.opening, when.local(view.now_s, view.utc_offset_s))
    if state != State.FRESH or snapshot.crowd.at_s is None:
        return say(f"why.{state}", time=when.clock(snapshot.written_s, view.utc_offset_s))
    at = when.clock(snapshot.crowd.at_s, view.utc_offset_s)
    minutes = int(view.now_s - snapshot.crowd.at_s) // _MINUTE_S
    return say("why.fresh", time=at, minutes=minutes) if minutes > 0 else say("why.now", time=at)


def _opens(opening: Sequence[str], now: datetime) -> Words:
    """When a closed venue opens; nothing for one that does not within a week."""
    found = venue_days.next_opening(opening, now)
    if found is None:
        return Words()
    days, minute = found
    time = f"{minute // 60:02}:{minute % 60:02}"
    if days <= 1:
        return say("why.opens.tomorrow" if days else "why.opens.today", time=time)
    return say("why.opens", time=time, weekday=say(f"weekday.{(now.weekday() + days) % venue_days.WEEKDAYS}"))


def _warning(snapshot: Snapshot) -> Words:
    if not snapshot.clock_sure:
        return say("warning.clock")
    return say("warning.simulated") if snapshot.venue.simulated else Words()


def _chart_begins_s(view: View, *, compared: bool) -> int:
    """The time at the chart's left edge: the local midnight, or 24 hours before the next full hour."""
    if not compared:
        return int(view.now_s // _HOUR_S + 1) * _HOUR_S - 24 * _HOUR_S
    return int(view.now_s) - int(view.now_s + view.utc_offset_s) % (24 * _HOUR_S)


def _spots(points: tuple[Point, ...], thresholds: Thresholds, begins_s: int) -> tuple[Spot, ...]:
    spots = []
    for point in points:
        minute = (point.at_s - begins_s) // _MINUTE_S
        place = None if point.devices is None else position(max(0, point.devices), thresholds)
        if minute >= 0:
            spots.append(Spot(minute=minute, place=place))
    return tuple(sorted(spots, key=lambda spot: spot.minute))


def _opened(snapshot: Snapshot, offset_s: int) -> Words:
    """The transparency line: how often, and when last unless an opening is not public yet."""
    if snapshot.opened_count is None:
        return say("opened.unknown")
    if not snapshot.opened_count:
        return say("opened.none")
    if len(snapshot.pulls) < snapshot.opened_count:
        return say("opened.some", count=snapshot.opened_count)
    last_s = max(pull.answered_s for pull in snapshot.pulls)
    key = "opened.once" if snapshot.opened_count == 1 else "opened.times"
    return say(key, count=snapshot.opened_count, date=when.day(last_s, offset_s))
