"""What the venue's own broker is told: released figures and health, as Home Assistant's documentation wants it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files

import jsonschema
import pytest

from edge_scanner.core import home_assistant
from edge_scanner.core.counts import intervals
from edge_scanner.core.counts.occupancy import Level, Trend
from edge_scanner.core.health import HealthLight, Light
from tests.support import snapshots
from tests.support.home_assistant import DEVICE_DISCOVERY, DISCOVERY_TOPIC
from tests.support.snapshots import TUESDAY_S, VENUE, hourly

SCHEMA = json.loads(files("edge_scanner.schemas").joinpath("local-state.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("simulated", [False, True])
def test_discovery_is_as_home_assistant_documents_it(simulated: bool) -> None:
    """Only documented keys, in a retained message under the prefix; each entity has a name of its own."""
    message = home_assistant.discovery(
        replace(VENUE, simulated=simulated), prefix="homeassistant", software="1.2", now_s=TUESDAY_S
    )
    body = json.loads(message.payload)

    jsonschema.validate(body, DEVICE_DISCOVERY)
    assert re.fullmatch(DISCOVERY_TOPIC, message.topic)
    assert message.retain
    assert ("simulated" in body["device"]["model"]) == simulated
    assert body["device"]["name"] == VENUE.name_en
    assert len({one["unique_id"] for one in body["components"].values()}) == len(body["components"])
    assert {"level", "phones", "trend", "health", "last_release"} == body["components"].keys()


def test_every_entity_is_a_field_of_the_state() -> None:
    """What the templates read is there, and the options are all that the state can say."""
    body = json.loads(
        home_assistant.discovery(replace(VENUE, limit=9), prefix="ha", software="1", now_s=TUESDAY_S).payload,
    )
    for one in body["components"].values():
        read = re.findall(r"value_json\.(\w+)", one["value_template"] + one.get("json_attributes_template", ""))
        assert read
        assert set(read) <= SCHEMA["properties"].keys()
        if "options" in one:
            assert set(one["options"]) == {word for word in SCHEMA["properties"][read[0]]["enum"] if word}


def test_an_alarm_is_an_entity_where_there_is_a_limit() -> None:
    """On, off, and unknown while the screen has no word."""
    venue = replace(VENUE, limit=15)
    body = json.loads(home_assistant.discovery(venue, prefix="ha", software="1", now_s=TUESDAY_S).payload)
    jsonschema.validate(body, DEVICE_DISCOVERY)
    assert body["components"]["over_limit"]["platform"] == "binary_sensor"
    snapshot = snapshots.snapshot(venue=venue)
    assert home_assistant.local_state(snapshot).over_limit is True
    assert home_assistant.local_state(replace(snapshot, venue=replace(VENUE, limit=9000))).over_limit is False
    assert home_assistant.local_state(replace(snapshot, venue=VENUE)).over_limit is None


@pytest.mark.parametrize(("vi", "en", "called"), [("", "", "K7MP2R9CX4"), ("Bến xe", "", "Bến xe")])
def test_a_device_is_never_without_name(vi: str, en: str, called: str) -> None:
    """English, else Vietnamese, else the label's id."""
    message = home_assistant.discovery(replace(VENUE, name_vi=vi, name_en=en), prefix="ha", software="1", now_s=1)
    assert called in json.loads(message.payload)["device"]["name"]


def test_state_is_the_screens_word_and_the_latest_released_hour() -> None:
    """It follows its schema, is retained, and its figure is that of the release with its interval."""
    snapshot = snapshots.snapshot()
    message = home_assistant.state(snapshot)
    body, latest = json.loads(message.payload), snapshot.week[-1]
    span = intervals.of(latest, "nearby")

    jsonschema.validate(body, SCHEMA)
    assert message.retain
    assert body["level"] == snapshot.crowd.level
    assert span is not None
    assert (body["phones"], body["phones_low"], body["phones_high"]) == (
        round(span.mean),
        round(span.low),
        round(span.high),
    )
    assert body["phones_to"] == "2026-11-24T07:00:00+00:00"
    assert body["last_release"] == "2026-11-24T07:20:00+00:00"
    assert body["health"] == "ok"


def test_a_box_without_figures_says_null() -> None:
    """No word, no figure, no time; an hour of another part of the day is no figure of now."""
    snapshot = snapshots.snapshot(reports=[])
    for week in ((), (hourly(TUESDAY_S // 3600 * 3600 - 5 * 3600, 40),)):
        state = home_assistant.local_state(replace(snapshot, week=week))
        assert (state.level, state.trend, state.phones, state.phones_low, state.last_release) == (None,) * 5
        jsonschema.validate(json.loads(home_assistant.state(replace(snapshot, week=week)).payload), SCHEMA)


def test_an_hour_nobody_listened_to_has_no_figure() -> None:
    """Its time is said, and that nothing is known of it."""
    deaf = replace(hourly(TUESDAY_S // 3600 * 3600 - 3600, 40), minutes_covered=0)
    state = home_assistant.local_state(replace(snapshots.snapshot(), week=(deaf,)))
    assert state.phones is None
    assert state.phones_from is not None


def test_level_and_trend_of_every_kind() -> None:
    """Each word of the screen is said as it is."""
    snapshot = snapshots.snapshot()
    for level in Level:
        for trend in Trend:
            state = home_assistant.local_state(
                replace(snapshot, crowd=replace(snapshot.crowd, level=level, trend=trend))
            )
            assert (state.level or "unknown", state.trend or "unknown") == (level, trend)


def test_health_is_the_worst_light() -> None:
    """A failure outranks a warning, and a box without lights knows nothing."""
    warn, fail = HealthLight(light=Light.WARN, code="RAD-01"), HealthLight(light=Light.FAIL, code="STO-02")
    for changes, expected in (({"radio": warn}, "warn"), ({"radio": warn, "storage": fail}, "fail")):
        snapshot = snapshots.snapshot(health=snapshots.healthy(TUESDAY_S, **changes))
        state = home_assistant.local_state(snapshot)
        assert state.health == expected
        assert state.lights["radio"] == "warn RAD-01"
        assert state.lights["clock"] == "ok"
    bare = replace(snapshots.snapshot(), health=replace(snapshots.healthy(TUESDAY_S), lights={}))
    assert home_assistant.local_state(bare).health == "unknown"


def test_availability() -> None:
    """Retained, on the topic that the discovery names."""
    there = home_assistant.availability("K7MP2R9CX4", online=True, now_s=1)
    gone = home_assistant.availability("K7MP2R9CX4", online=False, now_s=1)
    assert (there.payload, gone.payload) == (b"online", b"offline")
    assert there.retain
    assert gone.retain
    body = json.loads(home_assistant.discovery(VENUE, prefix="ha", software="1", now_s=1).payload)
    assert body["availability_topic"] == there.topic == gone.topic
