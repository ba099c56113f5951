"""A box on its own: its file says what was answered, every rule is the settings' own, and nothing missing is hidden."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import settings as parser
from edge_scanner.device.enrolment import standalone
from edge_scanner.device.enrolment.settings_text import render
from edge_scanner.device.settings import Settings

QUESTIONS = {question.option: question for question in standalone.QUESTIONS}
FRESH = standalone.fresh(name="pi", time_zone="Asia/Ho_Chi_Minh", etc="/e", state="/s", runtime="/r", operator="/o")


def answer(option: str, text: str, settings: Settings = FRESH) -> Settings:
    """The settings after one answer."""
    return standalone.accept(settings, QUESTIONS[option], text)


@given(
    names=st.tuples(st.text(max_size=200), st.text(max_size=200)),
    epsilon=st.floats(0.001, 20),
    thresholds=st.tuples(st.integers(1, 90), st.integers(91, 100_000)),
    protocols=st.permutations(("bluezone", "gaen", "tcn")),
)
def test_file_says_what_the_settings_are(
    names: tuple[str, str], epsilon: float, thresholds: tuple[int, int], protocols: list[str]
) -> None:
    """Whatever the settings hold, their text is read back as the same settings."""
    settings = replace(
        FRESH,
        device=replace(FRESH.device, name_vi=names[0], name_en=names[1]),
        radio=replace(FRESH.radio, protocols=tuple(protocols), read_iphones=True),
        counts=replace(FRESH.counts, day_epsilon=epsilon),
        kiosk=replace(FRESH.kiosk, moderate_from=thresholds[0], busy_from=thresholds[1]),
    )

    assert parser.parse(render(settings).encode(), name="x") == settings
    assert parser.parse(standalone.text(settings, name="x").encode(), name="x") == settings


def test_file_holds_no_default_that_nobody_asked_for() -> None:
    """Defaults are left out, so that a later version's better ones take effect; what was asked for always stands."""
    assert render(Settings()) == "\n"
    text = standalone.text(FRESH, name="x")
    assert "retention_days" not in text
    assert all(f"\n{key} = " in text for _table, key in standalone.ALWAYS)
    assert {table for table, _key in standalone.ALWAYS} <= {entry.name for entry in fields(Settings)}


@pytest.mark.parametrize("question", standalone.QUESTIONS, ids=lambda question: question.option)
def test_every_default_is_a_right_answer(question: standalone.Question) -> None:
    """Enter at each prompt changes nothing and is accepted, at a fresh box and with a broker."""
    for settings in (FRESH, answer("broker", "[fe80::1]:9999"), answer("lan", "y")):
        assert standalone.accept(settings, question, question.now(settings)) == settings


@pytest.mark.parametrize(
    ("text", "host", "port", "tls"),
    [
        ("broker.example.vn", "broker.example.vn", 8883, True),
        ("10.0.0.5:8884", "10.0.0.5", 8884, True),
        ("localhost", "localhost", 1883, False),
        ("127.0.0.1:1883", "127.0.0.1", 1883, False),
        ("localhost:8883", "localhost", 8883, True),
        ("::1", "::1", 1883, False),
        ("[2001:db8::1]", "2001:db8::1", 8883, True),
        ("[2001:db8::1]:443", "2001:db8::1", 443, True),
        ("-", "", 8883, True),
        ("", "", 8883, True),
        ("không", "", 8883, True),
    ],
)
def test_broker_in_every_form(text: str, host: str, port: int, tls: bool) -> None:
    """Name, address, with and without a port, none; only a broker on this machine is spoken to in the clear."""
    mqtt = answer("broker", text).mqtt

    assert (mqtt.host, mqtt.port, mqtt.tls) == (host, port, tls)


@pytest.mark.parametrize(
    ("option", "text", "reason"),
    [
        ("name_vi", "", "a name is needed"),
        ("name_vi", "\u3164", "a name is needed, of characters that can be seen"),
        ("name_en", "\x1b[31mred", "a name is needed"),
        ("name_en", "n" * 201, "length <= 200"),
        ("time_zone", "Asia/Hanoi", "is not a time zone"),
        ("moderate_from", "twenty", "a whole number"),
        ("moderate_from", "0", ">= 1"),
        ("moderate_from", "9" * 400, "<= 100000"),
        ("busy_from", "20", "from which the screen says moderate"),
        ("busy_from", "-5", "a whole number"),
        ("busy_from", "٣٠", "a whole number"),
        ("lan", "maybe", "answer y or n"),
        ("broker", "mqtt://broker", "a host name"),
        ("broker", "two words", "a host name"),
        ("broker", "broker:port", "a whole number"),
        ("broker", "broker:99999", "<= 65535"),
        ("broker", "[::1", "a host name"),
        ("broker", ":8883", "a host name"),
    ],
)
def test_wrong_answer_is_one_line(option: str, text: str, reason: str) -> None:
    """What cannot be is refused with one line that says what would do, and the settings stay as they were."""
    with pytest.raises(ConfigurationError) as caught:
        answer(option, text)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_english_name_follows_the_vietnamese_one_until_it_is_its_own() -> None:
    """A fresh box gets both names from one answer; a name that was given apart stays."""
    both = answer("name_vi", "Bến xe")
    assert both.device.name_en == "Bến xe"

    apart = answer("name_en", "Bus station", both)
    assert answer("name_vi", "Trường học", apart).device.name_en == "Bus station"


def test_higher_threshold_makes_room() -> None:
    """A moderate threshold above the busy one lifts that one with it, so the next question has a right default."""
    kiosk = answer("moderate_from", "100").kiosk

    assert (kiosk.moderate_from, kiosk.busy_from) == (100, 300)


def test_what_is_missing_is_named_with_its_path() -> None:
    """A broker with TLS needs three files, none needs none; and what the box does not do is said."""
    tls = answer("broker", "broker.example.vn")

    gaps = [words.en for words in standalone.missing(tls, lambda _path: False, adapter=False)]
    assert [gap.partition(":")[0] for gap in gaps[1:4]] == ["/e/broker-ca.pem", "/s/mqtt.crt", "/s/mqtt.key"]
    assert "Bluetooth" in gaps[0]
    assert not [gap for gap in standalone.missing(FRESH, lambda _path: True, adapter=True) if "PEM" in gap.en]
    assert [words.en for words in standalone.facts(FRESH)] == [
        "No health authority: the box counts and keeps no log.",
        "No broker: counts stay on this box and its page.",
    ]
    sealed = standalone.sealed(tls, etc="/e")
    assert list(standalone.facts(sealed)) == []
    assert {sealed.log.recipients, sealed.log.authority_root, sealed.log.custodian_root} == {
        f"/e/{name}" for name in ("recipients.json", "authority-root.pem", "custodian-root.pem")
    }
