"""The snapshot document: written by the daemon, distrusted by the kiosk."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core import snapshot
from edge_scanner.core.counts import occupancy
from edge_scanner.core.counts.calibration import Counted, HandCount
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.json_documents import MAX_ITEMS, MAX_NAMES
from tests.support import snapshots
from tests.support.snapshots import TUESDAY_S, VENUE, answered, hourly

GOOD = snapshot.to_json(snapshots.snapshot(pulls=answered(TUESDAY_S)))


def document(**changes: Any) -> dict[str, Any]:
    """A good document as plain JSON objects, with top-level fields replaced."""
    good: dict[str, Any] = json.loads(GOOD)
    return good | changes


def refused(value: object) -> str:
    """The message with which the document is refused."""
    with pytest.raises(BadDataError) as caught:
        snapshot.from_json(json.dumps(value).encode())
    return str(caught.value)


def test_round_trip() -> None:
    """What the daemon writes is what the kiosk reads."""
    written = snapshots.snapshot(pulls=answered(TUESDAY_S))
    assert snapshot.from_json(snapshot.to_json(written)) == written


def test_a_new_boxs_round_trip() -> None:
    """So is the snapshot of a box in its first minute."""
    written = snapshots.snapshot(reports=[])
    assert snapshot.from_json(snapshot.to_json(written)) == written


@pytest.mark.parametrize("name", [one.name for one in fields(snapshot.Snapshot) if one.default is MISSING])
def test_a_missing_field_is_refused(name: str) -> None:
    """What has no default must be there, and the refusal names it."""
    shorter = document()
    del shorter[name]
    assert name in refused(shorter)


def test_build_bounds_what_it_is_given() -> None:
    """The week ends seven days ago and in the present; of many pulls the latest twenty are listed, oldest first."""
    now = TUESDAY_S
    pulls = [replace(answered(now)[0], case=f"C{i}", answered_s=now - i) for i in range(30)]
    got = snapshot.build(
        venue=VENUE,
        display=(),
        broker=[hourly(at, 50) for at in (now + 1, now, now - occupancy.WEEK_S + 1, now - occupancy.WEEK_S)],
        health=snapshots.healthy(now),
        clock_sure=True,
        pulls=pulls,
        opened_count=30,
        now_s=now,
    )
    assert [report.bin_start_s for report in got.week] == [now - occupancy.WEEK_S + 1, now]
    assert [pull.case for pull in got.pulls] == [f"C{i}" for i in range(19, -1, -1)]


def test_three_weeks_fit() -> None:
    """The fullest honest document stays below a quarter of the limit."""
    assert len(snapshot.to_json(snapshots.snapshot(pulls=answered(TUESDAY_S) * 10))) < snapshot.MAX_BYTES / 4


def test_unknown_fields_are_passed_over_and_lost() -> None:
    """A newer daemon may write more; the kiosk keeps nothing that it does not know."""
    more = document(canary="CANARY")
    more["health"]["canary"] = "CANARY"
    assert b"CANARY" not in snapshot.to_json(snapshot.from_json(json.dumps(more).encode()))


def test_optional_fields_may_be_missing() -> None:
    """A field with a default, such as the simulation's speed, may be absent."""
    shorter = document()
    del shorter["venue"]["speed"]
    assert snapshot.from_json(json.dumps(shorter).encode()).venue.speed == 1.0


def test_too_large_is_not_even_parsed() -> None:
    """A byte over the limit is refused before the parser sees it."""
    assert "too large" in refused("x" * snapshot.MAX_BYTES)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"v":1,"wri', b"\xff\xfe\x00", b"[" * 100_000, b"1" * 5000, b"NaN", b"null", b"[]", b"7"]
)
def test_not_our_document(data: bytes) -> None:
    """Empty, truncated, binary, deeply nested and foreign files are refused with one error."""
    with pytest.raises(BadDataError):
        snapshot.from_json(data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("v", 2),
        ("v", True),
        ("written_s", "now"),
        ("written_s", -1),
        ("written_s", True),
        ("written_s", 1e300),
        ("clock_sure", 1),
        ("opened_count", 1.5),
        ("opened_count", 10**13),
        ("crowd", None),
        ("crowd.level", "packed"),
        ("crowd.level", 3),
        ("crowd.position", 101),
        ("crowd.position", -1),
        ("today", {}),
        ("today", [{"at_s": 0, "devices": "<10"}]),
        ("today", [{"at_s": 0, "devices": 1}] * (MAX_ITEMS + 1)),
        ("health.lights", []),
        ("health.lights", {"radio": {"light": "green"}}),
        ("health.lights", {"<script>": {"light": "ok"}}),
        ("health.recoveries", {f"n{i}": 1 for i in range(MAX_NAMES + 1)}),
        ("health.pubacks", {"0": "many"}),
        ("venue.name_vi", "x" * 201),
        ("venue.name_vi", "line\nbreak"),
        ("venue.name_vi", "right\u202eleft"),
        ("venue.beat_s", 0),
        ("venue.beat_s", 3601),
        ("venue.speed", 0),
        ("venue.utc_offset_s", 60_000),
        ("venue.app_url", "javascript:alert(1)"),
        ("venue.app_url", "http://bluezone.example"),
        ("venue.notice_url", "https://a b"),
        ("venue.thresholds.moderate_from", 0),
        ("venue.thresholds.busy_from", 40),
    ],
)
def test_wrong_values(path: str, value: object) -> None:
    """Each wrong value is refused, and the message names the field but never repeats the content."""
    bad = document()
    target = bad
    *parents, last = path.split(".")
    for name in parents:
        target = target[name]
    target[last] = value
    message = refused(bad)
    assert f"document.{path.split('.', maxsplit=1)[0]}" in message
    assert "script" not in message
    assert "alert" not in message


def test_half_a_character_is_no_json() -> None:
    """A lone surrogate has no UTF-8 form, so the document is none."""
    named = document()
    named["venue"]["name_vi"] = "\ud800"
    assert "not JSON" in refused(named)


def test_infinity_is_no_number() -> None:
    """JSON's 1e999 parses as infinity and is refused."""
    data = json.dumps(document()).replace(str(document()["written_s"]), "1e999", 1).encode()
    with pytest.raises(BadDataError):
        snapshot.from_json(data)


def test_script_in_a_site_name_is_only_text() -> None:
    """Angle brackets are legal text in a name; escaping is the page's business."""
    named = document()
    named["venue"]["name_vi"] = "<script>alert(1)</script>"
    assert snapshot.from_json(json.dumps(named).encode()).venue.name_vi.startswith("<script>")


@given(st.binary(max_size=400))
def test_arbitrary_bytes(data: bytes) -> None:
    """Arbitrary bytes are refused with the one error."""
    with pytest.raises(BadDataError):
        snapshot.from_json(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(st.sampled_from([one.name for one in fields(snapshot.Snapshot)]), _JSON)
def test_arbitrary_field(name: str, value: object) -> None:
    """Arbitrary JSON in one field of a good document is refused with the one error or read as a snapshot."""
    try:
        got = snapshot.from_json(json.dumps(document(**{name: value})).encode())
    except BadDataError:
        return
    assert isinstance(got, snapshot.Snapshot)


def seen(
    word: str = "phones", counted: Counted | None = None, *, learns: bool = True, fixed: float = 30
) -> snapshot.Snapshot:
    """What a venue shows that had `fixed` devices on it for three weeks, and 50 more from noon to three."""
    now_s = snapshots.TUESDAY_S
    bins = snapshots.days(now_s, 21, lambda hour: fixed + (50 if 12 <= hour < 15 else 0))
    return snapshot.build(
        venue=replace(snapshots.VENUE, word=word, learns=learns),
        display=bins,
        broker=(),
        health=snapshots.healthy(now_s),
        clock_sure=True,
        counted=counted,
        now_s=now_s,
    )


def test_what_is_always_here_is_subtracted() -> None:
    """Thirty things and fifty phones are 80 of 120 with nothing learnt, and 50 of 120 by the nights."""
    raw, learnt = seen(learns=False), seen()
    assert raw.baseline is None
    assert learnt.baseline is not None
    assert learnt.venue.thresholds.offset == learnt.baseline.devices == pytest.approx(30, abs=6)
    assert raw.crowd.position is not None
    assert learnt.crowd.position is not None
    assert raw.crowd.position > learnt.crowd.position
    # The document holds all of it, by its schema and back.
    assert snapshot.from_json(snapshot.to_json(learnt)) == learnt


def test_counts_by_hand_go_before_the_nights() -> None:
    """Counted empty, 10 are subtracted; with many counted, too, and the word set to people, there is a line."""
    nobody = HandCount(people=0, devices=10.0, deviation=1.0, measured_s=0.0)
    many = HandCount(people=100, devices=60.0, deviation=1.0, measured_s=0.0)
    assert seen(counted=Counted(empty=nobody)).venue.thresholds.offset == 10
    for word, per_device in (("phones", 1.0), ("people", 2.0)):
        shown = seen(word, Counted(empty=nobody, full=many))
        assert (shown.venue.thresholds.offset, shown.venue.thresholds.per_device) == (10, per_device)
        assert shown.calibration is not None
    # Noise could be all of a count of few: no line is better than a wrong one, and the word goes by phones.
    few = HandCount(people=3, devices=11.0, deviation=1.0, measured_s=0.0)
    doubtful = seen("people", Counted(empty=nobody, full=few))
    assert (doubtful.calibration, doubtful.venue.thresholds.per_device) == (None, 1.0)
    # Nights before the request are forgotten, and nobody has counted people.
    forgotten = seen("people", Counted(forgotten_s=snapshots.TUESDAY_S))
    assert (forgotten.baseline, forgotten.venue.thresholds.per_device) == (None, 1.0)


def test_thresholds_by_the_venues_own_weeks() -> None:
    """A place whose fullest hours have 50 phones calls them busy where the usual counts."""
    usual = seen("usual")
    assert usual.venue.thresholds.busy_from < snapshots.VENUE.thresholds.busy_from


def test_a_holiday_makes_no_usual_day() -> None:
    """A Tuesday of Tết, as empty as it was, is left out of what a Tuesday usually is."""
    bins = [r for r in snapshots.days(TUESDAY_S, 15) if r.bin_start_s >= TUESDAY_S - 15 * occupancy.DAY_S]
    quiet_from = TUESDAY_S - TUESDAY_S % 86400 - 7 * 3600 - 7 * 86400
    bins = [replace(r, figures={"nearby": 0}) if quiet_from <= r.bin_start_s < quiet_from + 86400 else r for r in bins]
    told = snapshots.snapshot(venue=replace(VENUE, holidays=("Tết 2026-11-17",)), reports=bins)
    silent = snapshots.snapshot(reports=bins)
    assert max(point.devices or 0 for point in told.usual) > 1.5 * max(point.devices or 0 for point in silent.usual)


@pytest.mark.parametrize(
    ("field", "value"), [("theme", "pink"), ("opening", ["25:00-26:00"]), ("holidays", ["2026-02-30"])]
)
def test_what_the_operator_may_say_is_checked(field: str, value: object) -> None:
    """The page takes no theme, hours or holidays that the settings would refuse."""
    wrong = document()
    wrong["venue"][field] = value
    assert f"venue.{field}" in refused(wrong)
