"""The kiosk's texts: both languages complete, no number in public, the right words for each state."""

from __future__ import annotations

import re
import string
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core import json_documents
from edge_scanner.core.counts.baseline import Baseline
from edge_scanner.core.counts.occupancy import Thresholds
from edge_scanner.core.diagnostics import advice
from edge_scanner.core.diagnostics.advice import LIGHTS
from edge_scanner.core.diagnostics.codes import Code
from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.health import HealthLight, Light
from edge_scanner.core.messages import Calibration
from edge_scanner.device.kiosk import pages, when
from edge_scanner.device.kiosk.choices import CHOICES, shown
from edge_scanner.device.kiosk.forms import DONE
from edge_scanner.device.kiosk.operator import operator_document
from edge_scanner.device.kiosk.other_boxes import Problem
from edge_scanner.device.kiosk.public import public_document
from edge_scanner.device.kiosk.releases import week_csv
from edge_scanner.device.kiosk.translations import catalogue, say
from edge_scanner.device.kiosk.watch import State, View
from edge_scanner.device.settings import Kiosk, Settings
from edge_scanner.mqtt.brokerlink import Trouble
from tests.support import snapshots
from tests.support.snapshots import TUESDAY_S, VENUE

if TYPE_CHECKING:
    from edge_scanner.core.snapshot import Snapshot

VIETNAMESE = "ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ"


def placeholders(text: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def view(snapshot: Snapshot | None, state: State = State.FRESH, later_s: float = 0.0) -> View:
    """A look at a snapshot `later_s` after it was written."""
    now_s = (snapshot.written_s if snapshot else TUESDAY_S) + later_s
    return View(state=state, snapshot=snapshot, age_s=later_s, now_s=now_s)


def test_each_text_has_both_languages_and_the_same_placeholders() -> None:
    """Whoever adds a text adds it in both languages, with the same blanks."""
    assert [key for key, text in catalogue().items() if bool(text.vi) != bool(text.en)] == []
    assert [key for key, text in catalogue().items() if placeholders(text.vi) != placeholders(text.en)] == []


def test_vietnamese_is_written_with_its_marks() -> None:
    """Every Vietnamese text of three words or more has diacritics, and no English text has any."""
    plain = [
        key
        for key, text in catalogue().items()
        if len(re.findall(r"[^\W\d]{2,}", re.sub(r"{.*?}", "", text.vi))) > 2
        and key != "ops.days"
        and not set(VIETNAMESE) & set(text.vi.lower())
    ]
    assert plain == []
    assert not set(VIETNAMESE) & set("".join(text.en for text in catalogue().values()).lower())


def test_every_text_a_template_names_exists_and_every_text_is_used() -> None:
    """No template asks for a missing text, and no catalogue keeps one that nobody shows."""
    source = "".join(
        entry.read_text(encoding="utf-8")
        for folder in ("edge_scanner.device.kiosk.www", "edge_scanner.device.kiosk")
        for entry in files(folder).iterdir()
        if entry.name.endswith((".html", ".py", ".js"))
    )
    named = set(re.findall(r"\{\{(?:vi|en)\.([a-z0-9_.]+)\}\}", source))
    assert named <= catalogue().keys()
    families = (
        "level.",
        "state.",
        "why.",
        "trend.",
        "weekday.",
        "month.",
        "span.",
        "says.",
        "summary.",
        "fact.name.",
        "figure.",
    )
    named |= {
        f"set.{name}{end}"
        for name in (*shown(Settings()).texts, "pin", "new", "again", "people")
        for end in ("", ".hint")
    }
    named |= {f"set.{name}.{one}" for name, choices in CHOICES.items() for one in choices}
    named |= {f"set.done.{done}" for done in DONE}
    named |= {f"gates.problem.{problem}" for problem in Problem} | {
        f"gates.rule.{rule}" for rule in ("separate", "same_hall")
    }
    named |= {f"gates.proof.{proof}" for proof in ("this", "proven", "unproven")}
    unused = [
        key for key in catalogue() if key not in named and f'"{key}"' not in source and not key.startswith(families)
    ]
    assert unused == []


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.STALE, Words(vi="Chưa có số liệu mới", en="No fresh data")),
        (State.DOWN, Words(vi="Chưa có thông tin", en="No information right now")),
        (State.DEAF, Words(vi="Chưa có thông tin", en="No information right now")),
    ],
)
def test_no_word_about_the_crowd_unless_fresh(state: State, word: Words) -> None:
    """A stale, down or deaf scanner shows that instead of a level, a trend or a place on the bar."""
    document = public_document(view(snapshots.snapshot(), state, 60), "auto")
    assert (document.word, document.level, document.trend, document.position) == (word, "unknown", "unknown", None)
    assert document.trend_words == Words()


def test_measuring() -> None:
    """A box in its first minutes says that it measures."""
    document = public_document(view(snapshots.snapshot(reports=[])), "auto")
    assert (document.state, document.word.vi, document.chart_hint) == ("measuring", "Đang đo", Words())
    assert document.chart_usual == say("chart.first")


@pytest.mark.parametrize("minutes", [0, 25, 59])
def test_first_week_shows_the_last_day(minutes: int) -> None:
    """While there is nothing to compare with, the chart reaches 24 hours back over midnight, and its words say so."""
    now_s = TUESDAY_S - TUESDAY_S % 3600 + minutes * 60
    document = public_document(view(snapshots.snapshot(now_s, reports=snapshots.days(now_s, 3))), "auto")

    spots = [spot.minute for spot in document.today]
    assert (document.usual, document.chart_title) == ((), say("chart.title.first"))
    assert document.chart_today == say("chart.last_day")
    assert document.chart_from == (when.local(now_s, 7 * 3600).hour + 1) % 24 * 60
    assert (min(spots), max(spots)) == (0, 1370 + minutes // 10 * 10)
    assert spots == sorted(set(spots))


def test_chart_begins_at_midnight_once_there_is_a_usual_day() -> None:
    """With a usual day both curves begin at the local midnight."""
    document = public_document(view(snapshots.snapshot()), "auto")

    assert (document.chart_from, document.chart_title) == (0, say("chart.title"))
    assert document.today[0].minute == 0
    assert {spot.minute for spot in document.today} <= {spot.minute for spot in document.usual}


def test_no_snapshot_at_all() -> None:
    """Without a snapshot the page still has words in both languages and claims nothing."""
    document = public_document(view(None, State.DOWN), "auto")
    assert document.word == Words(vi="Chưa có thông tin", en="No information right now")
    assert document.opened == say("opened.unknown")
    assert all((document.why.vi, document.why.en, document.records.vi, document.records.en))


def test_age_of_the_figure() -> None:
    """The figure tells its time and its age in minutes."""
    fresh = public_document(view(snapshots.snapshot(TUESDAY_S - 180)), "auto")
    assert fresh.why.vi == "Số liệu lúc 14:20, vừa cập nhật"
    older = public_document(view(snapshots.snapshot(TUESDAY_S)), "auto")
    assert older.why.en == "Figure from 14:20, 3 min ago"


def test_public_document_has_no_number_of_devices() -> None:
    """Ten times the crowd with ten times the thresholds looks the same in public: it holds places, not counts."""
    larger = replace(VENUE, thresholds=Thresholds(moderate_from=400, busy_from=1200))
    reports = snapshots.days(TUESDAY_S, 21, lambda hour: 10 * snapshots.bus_station(hour))
    one = public_document(
        view(snapshots.snapshot(reports=snapshots.days(TUESDAY_S, 21, snapshots.bus_station))), "auto"
    )
    ten = public_document(view(snapshots.snapshot(venue=larger, reports=reports)), "auto")
    assert (one.word, one.trend) == (ten.word, ten.trend)
    assert max(abs((a.place or 0) - (b.place or 0)) for a, b in zip(one.usual, ten.usual, strict=True)) <= 9
    assert {spot.place for spot in ten.usual} <= set(range(101))


def test_busiest_hours() -> None:
    """The drawn bus station is busiest around half past five; the hint says so, and a quiet place has none."""
    document = public_document(view(snapshots.snapshot(TUESDAY_S - 9 * 3600)), "auto")
    assert document.chart_hint == say("chart.hint", first=17, last=19)
    quiet = snapshots.snapshot(reports=snapshots.days(TUESDAY_S, 21, lambda _hour: 15))
    assert public_document(view(quiet), "auto").chart_hint == Words()


@pytest.mark.parametrize(("hour", "theme"), [(5, "night"), (6, "day"), (17, "day"), (18, "night")])
def test_theme_follows_the_venues_hour(hour: int, theme: str) -> None:
    """Day from six to eighteen o'clock in Viet Nam, whatever the browser's zone."""
    at = TUESDAY_S - TUESDAY_S % 86_400 + (hour - 7) * 3600
    assert public_document(view(snapshots.snapshot(at)), "auto").theme == theme
    assert public_document(view(snapshots.snapshot(at)), "night").theme == "night"
    simulated = snapshots.snapshot(at, venue=replace(VENUE, simulated=True, speed=60.0))
    assert public_document(view(simulated), "auto").theme == theme


def test_transparency_line() -> None:
    """Never, once, twice: the count and the latest date in both languages."""
    none, once, twice = (snapshots.snapshot(pulls=snapshots.answered(TUESDAY_S)[:n]) for n in range(3))
    assert public_document(view(none), "auto").opened == say("opened.none")
    assert public_document(view(once), "auto").opened.en == (
        "Handed to the health authority 1 time for tracing, on 16 November 2026."
    )
    assert public_document(view(twice), "auto").opened.vi == (
        "Đã giao cho cơ quan y tế 2 lần để truy vết, gần nhất ngày 22 tháng 11 năm 2026."
    )
    changed = public_document(view(replace(none, recipients_changed_s=snapshots.TUESDAY_S - 86400.0)), "auto")
    assert changed.opened_rule.en.startswith(say("opened.rule").en)
    assert "Who can open the log last changed on " in changed.opened_rule.en
    assert "Danh sách người có thể mở nhật ký thay đổi lần cuối ngày " in changed.opened_rule.vi
    assert public_document(view(none), "auto").opened_rule == say("opened.rule")
    unread = public_document(view(replace(none, opened_count=None)), "auto")
    assert unread.opened == say("opened.unknown") != public_document(view(none), "auto").opened
    uncounted = replace(none, opened_count=3)
    assert public_document(view(uncounted), "auto").opened == say("opened.some", count=3)
    # Also true where there are simply more than the snapshot lists.
    assert say("opened.some", count=30).en.endswith("The details of each are published within 30 days of it.")
    sealed_since = replace(once, opened_count=2)
    assert public_document(view(sealed_since), "auto").opened == say("opened.some", count=2)


def test_box_that_keeps_no_log_claims_none() -> None:
    """Without an authority the page says that nothing is stored; while an old log is still there it does not."""
    alone = snapshots.healthy(TUESDAY_S, log=HealthLight(light=Light.UNKNOWN, code="LOG-00"))
    document = public_document(view(snapshots.snapshot(health=replace(alone, oldest_record_s=None))), "auto")

    assert (document.records_what, document.records) == (say("records.no_log"), say("records.nothing"))
    assert (document.opened, document.opened_rule) == (say("opened.no_log"), say("opened.no_authority"))
    old = public_document(view(snapshots.snapshot(health=alone)), "auto")
    assert (old.records_what, old.records) == (say("records.what"), say("records.how_long", days=14))
    lamp = operator_document(view(snapshots.snapshot(health=alone))).lights["log"]
    assert (lamp.says, lamp.todo) == (say("says.unused"), advice.FIXES["LOG-00"].operator)


def test_no_app_is_advertised_unless_one_is_named() -> None:
    """As it is set the screen names no app, nor where one address is given without a name."""
    plain = Kiosk()
    assert (plain.app_name, plain.app_url, plain.app_vi, plain.app_en, plain.notice_url) == ("",) * 5
    nameless = public_document(view(snapshots.snapshot(venue=replace(VENUE, app_name=""))), "auto")
    assert (nameless.has_app, nameless.app_title) == (False, Words())
    named = public_document(view(snapshots.snapshot()), "auto")
    assert (named.has_app, named.app_title.en, named.app_text.en) == (True, "Install Bluezone", VENUE.app_en)


def test_warnings() -> None:
    """An unsure clock is told before the simulation; a plain box has no warning."""
    simulated = replace(VENUE, simulated=True)
    assert public_document(view(snapshots.snapshot()), "auto").warning == Words()
    assert public_document(view(snapshots.snapshot(clock_sure=False)), "auto").warning == say("warning.clock")
    assert public_document(view(snapshots.snapshot(venue=simulated)), "auto").warning == say("warning.simulated")


def test_every_code_of_the_box_has_its_advice() -> None:
    """Whatever code the daemon can show, the operator reads what to do in both languages."""
    missing = [code for code in (*Code, *Trouble) if code and not ((known := advice.fix(code)) and known.operator)]
    assert missing == []
    health = snapshots.healthy(TUESDAY_S, broker=HealthLight(light=Light.UNKNOWN, code="BRK-00"))
    document = operator_document(view(snapshots.snapshot(health=health)))
    assert (document.lights["broker"].todo, document.summary) == (advice.FIXES["BRK-00"].operator, say("summary.fine"))


@pytest.mark.parametrize("name", LIGHTS)
@pytest.mark.parametrize("light", [Light.WARN, Light.FAIL])
def test_each_bad_light_says_what_to_do(name: str, light: Light) -> None:
    """A yellow or red light has a sentence in both languages, also with a code the catalogue does not know."""
    health = snapshots.healthy(TUESDAY_S, **{name: HealthLight(light=light, code="NEW-99")})
    document = operator_document(view(snapshots.snapshot(health=health)))
    lamp = document.lights[name]
    assert (lamp.todo, lamp.code) == (getattr(LIGHTS[name], light), "NEW-99")
    assert document.summary == say("summary.todo", count=1)


def test_lights_of_a_silent_box_are_unknown() -> None:
    """A green light that is a minute old is not green."""
    document = operator_document(view(snapshots.snapshot(), State.STALE, 20))
    assert {lamp.light for lamp in document.lights.values()} == {"unknown"}
    assert document.summary.en.startswith("The scanner has been silent for 20 s.")


def test_operator_sees_each_figure_with_its_interval() -> None:
    """The week is that of the broker: a figure and how far its noise reaches, nothing where a figure is absent."""
    reports = (snapshots.hourly(TUESDAY_S - 7200, 4), snapshots.hourly(TUESDAY_S - 3600, 52))
    document = operator_document(view(replace(snapshots.snapshot(), week=reports)))
    assert [hour.texts for hour in document.week] == [
        ("0-16", "", "0-14", "0-13", "0-12"),
        ("52 ± 12", "", "16 ± 12", "0-19", "0-12"),
    ]
    assert [hour.nearby for hour in document.week] == [0, 52]


def test_operator_sees_people_and_what_is_always_here() -> None:
    """People with their range once they were counted; what is subtracted, and whether nights or a person say so."""
    line = Calibration(people_per_device=0.5, low=0.4, high=0.6, measured_s=0.0, empty=12.0, empty_error=2.0)
    counted = replace(
        snapshots.snapshot(), week=(snapshots.hourly(TUESDAY_S - 3600, 52),), calibration=line, baseline=None
    )
    document = operator_document(view(counted))
    assert document.week[0].texts[1] == "20 (13-27)"
    at_night = replace(snapshots.snapshot(), baseline=Baseline(devices=43.2, error=2.4, nights=7))
    for found, offset, words in (
        (at_night, 43.2, "43 devices always here, subtracted (± 2, learnt from 7 nights)"),
        (at_night, 12.0, "12 devices when nobody is here, subtracted (counted by hand)"),
        (replace(at_night, baseline=None), 0.0, "none"),
    ):
        edges = replace(found.venue.thresholds, offset=offset)
        shown = operator_document(view(replace(found, venue=replace(found.venue, thresholds=edges))))
        assert (shown.facts["always_here"].en or shown.facts["always_here"].vi) == words


def test_csv_is_what_the_broker_got() -> None:
    """Device-minutes as released with their intervals, in UTC and the venue's time; a missing figure is empty."""
    report = snapshots.hourly(TUESDAY_S - TUESDAY_S % 3600, 2)
    other = replace(report, bin_start_s=report.bin_start_s + 3600, figures={"nearby": -7})
    lines = week_csv(replace(snapshots.snapshot(), week=(report, other)), 7 * 3600).splitlines()
    columns = ("start_utc", "start_local", "bin_minutes", "minutes_covered", "epsilon_per_device_hour", "noise_scale")
    names = ("bluezone", "bluezone_presence", "gaen", "nearby")
    assert lines == [
        ",".join((*columns, *(column for name in names for column in (f"{name}_device_minutes", f"{name}_error_95")))),
        "2026-11-24T07:00:00Z,2026-11-24 14:00,60,60,0.25,264.0,36,747,14,747,0,747,120,747",
        "2026-11-24T08:00:00Z,2026-11-24 15:00,60,60,0.25,264.0,,,,,,,-7,747",
    ]
    assert len(week_csv(None, 0).splitlines()) == 1


def test_markup_in_a_name_is_escaped() -> None:
    """A site called like a script is shown, not run."""
    evil = replace(VENUE, name_vi="<script>alert(1)</script>", name_en='"><img src=x onerror=alert(1)>')
    for page in (
        pages.public_page(public_document(view(snapshots.snapshot(venue=evil)), "auto")),
        pages.operator_page(operator_document(view(snapshots.snapshot(venue=evil)))),
    ):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_templates_have_no_inline_code() -> None:
    """No inline script, style or handler: the policy would block it."""
    for entry in files("edge_scanner.device.kiosk.www").iterdir():
        if entry.name.endswith(".html"):
            text = entry.read_text(encoding="utf-8")
            assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", text), entry.name


def test_spans_and_moments() -> None:
    """Spans are told in the largest unit that gives at least two."""
    assert [when.span(s).en for s in (-5, 59, 119, 120, 7199, 7200, 172_799, 172_800)] == [
        "0 s",
        "59 s",
        "119 s",
        "2 min",
        "119 min",
        "2 h",
        "47 h",
        "2 days",
    ]
    assert when.moment(None, 0) == say("when.never")
    assert when.moment(TUESDAY_S, 7 * 3600).vi == "14:23 +07 ngày 24/11"
    assert when.moment(TUESDAY_S, -9000).en == "04:53 -02:30 on 24/11"
    assert when.date(TUESDAY_S, -9000).en == "Tuesday 24 November (-02:30)"


def test_both_pages_name_the_zone_of_their_times() -> None:
    """The wall screen and the operator's page say beside the clock whose time it is."""
    look = view(snapshots.snapshot())
    assert public_document(look, "auto").date.vi == "Thứ Ba, 24 tháng 11 (+07)"
    assert operator_document(look).date.en == "Tuesday 24 November (+07)"


def test_documents_are_json() -> None:
    """Both documents serialise, also without a snapshot."""
    for look in (view(snapshots.snapshot(pulls=snapshots.answered(TUESDAY_S))), view(None, State.DOWN)):
        assert json_documents.dumps(public_document(look, "auto")).startswith(b"{")
        assert json_documents.dumps(operator_document(look)).startswith(b"{")
