"""The estimator on phones placed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from edge_scanner.core.counts import estimator
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.model import Kind, PhoneClass
from tests.support.hearings import FIGURES, PLAIN, ROTATING, START_S, counts, heard, steady


def test_figures() -> None:
    """One cell per protocol and kind it can give, one for other devices, one for passers-by."""
    assert Counter((ROTATING, PLAIN)).figures == FIGURES


def test_one_phone_that_stays() -> None:
    """On air from 0:05 to 9:55 of ten minutes, a phone is one in each of them."""
    assert counts(steady(START_S + 5, START_S + 595, identifier=b"a"), 10) == [1] * 10


def test_arrival_and_departure() -> None:
    """Second 30 decides: there from 1:40 to 6:20 it is counted in minutes 2 to 5."""
    assert counts(steady(START_S + 100, START_S + 380, identifier=b"a"), 9) == [0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_a_change_of_identifier_counts_once() -> None:
    """Twenty phones change identifier between two hearings 10 s apart: never fewer, and at most 1.5 more on average.

    Counting the identifiers heard in that minute would say up to forty.
    """
    in_the_minute = []
    for second in range(0, 60, 5):
        change = START_S + 300 + second
        events = []
        for phone in range(20):
            jitter = phone / 2
            events += steady(change - 290 + jitter, change - 10 + jitter, identifier=b"old%d" % phone)
            events += steady(change + jitter, change + 290, identifier=b"new%d" % phone)
        result = counts(events, 10)[2:8]
        assert min(result) == 20
        in_the_minute.append(result[3])
    assert sum(in_the_minute) / 12 <= 21.5


def test_silence_within_the_grace_is_presence() -> None:
    """A phone not heard for 59 s never left; one not heard for five minutes did."""
    short = [
        *steady(START_S + 5, START_S + 200, identifier=b"a"),
        *steady(START_S + 254, 595 + START_S, identifier=b"a"),
    ]
    assert counts(short, 10) == [1] * 10
    long = [
        *steady(START_S + 5, START_S + 185, identifier=b"a"),
        *steady(START_S + 485, 595 + START_S, identifier=b"a"),
    ]
    assert counts(long, 10) == [1, 1, 1, 0, 0, 0, 0, 0, 1, 1]


def test_declared_grace_for_a_radio_that_listens_at_times() -> None:
    """Heard 4 s in every 240 s, with a grace of 300 s, a phone that stays is one all the time it can be."""
    scans = [heard(START_S + at, until_s=START_S + at + 4, identifier=b"a") for at in (120, 360, 600)]
    assert counts(scans, 14, grace_s=300) == [1] * 12 + [0, 0]


def test_passers_by_are_a_figure_of_their_own() -> None:
    """An identifier of 80 s passes; the same within 45 s of a quarter hour may be a piece of a stay, so it counts."""
    passer = steady(START_S + 60, START_S + 140, identifier=b"a")
    assert counts(passer, 5) == [0] * 5
    assert counts(passer, 5, "passing") == [0, 1, 0, 0, 0]
    quarter_s = START_S + 840
    piece = steady(quarter_s + 20, quarter_s + 100, identifier=b"a")
    assert counts(piece, 5, begin=quarter_s) == [1, 1, 0, 0, 0]
    assert counts(piece, 5, "passing", begin=quarter_s) == [0] * 5


def test_placeholder_from_several_phones() -> None:
    """An identifier alternating between two addresses 20 dB apart belongs to nobody; the same RSSI is one phone."""
    near = steady(START_S + 5, START_S + 595, identifier=b"p", tag=b"address1", rssi=-50)
    far = steady(START_S + 8, START_S + 595, identifier=b"p", tag=b"address2", rssi=-70)
    alike = steady(START_S + 8, START_S + 595, identifier=b"p", tag=b"address2", rssi=-53)
    unknown = steady(START_S + 8, START_S + 595, identifier=b"p", tag=b"address2", rssi=None)
    assert counts([*near, *far], 10) == [0] * 10
    assert counts([*near, *alike], 10) == [1] * 10
    assert counts([*near, *unknown], 10) == [1] * 10


def test_address_changed_under_one_identifier() -> None:
    """A phone that takes a new address every 30 s, RSSI and all, is no placeholder: the old address never returns."""
    events = []
    for window in range(20):
        begin = START_S + window * 30
        events += steady(begin, begin + 15, identifier=b"a", tag=b"address%d" % window, rssi=-50 - window % 2 * 30)
    assert counts(events, 10) == [1] * 10


def test_no_identifier_lives_longer_than_half_an_hour() -> None:
    """What never changes is not a rotating identifier: it stops counting after 30 minutes."""
    result = counts(steady(START_S + 5, START_S + 2995, identifier=b"a"), 50)
    assert result[:24] == [1] * 24
    assert result[32:] == [0] * 18


def test_presence_is_counted_by_address() -> None:
    """An iPhone that shows only that it runs the app counts as presence, its other adverts as nothing more."""
    events = [
        *steady(START_S + 5, START_S + 595, kind=Kind.PRESENCE),
        *steady(START_S + 8, START_S + 595),
    ]
    assert counts(events, 10, "rotating_presence") == [1] * 10
    assert counts(events, 10, "unknown") == [0] * 10


def test_presence_that_passes() -> None:
    """A phone known by its address for 80 s passes; a device of no protocol for 80 s is not counted at all."""
    assert counts(steady(START_S + 60, START_S + 140, kind=Kind.PRESENCE), 5, "passing") == [0, 1, 0, 0, 0]
    assert counts(steady(START_S + 60, START_S + 140), 5, "passing") == [0] * 5
    assert counts(steady(START_S + 60, START_S + 140), 5, "unknown") == [0] * 5


def test_tags_change_on_the_quarter_hour() -> None:
    """At the quarter hour every tag changes: an iPhone that stays is one before, through and after."""
    quarter_s = START_S + 840
    events = [
        *steady(quarter_s - 295, quarter_s - 5, kind=Kind.PRESENCE, tag=b"address1"),
        *steady(quarter_s + 5, quarter_s + 295, kind=Kind.PRESENCE, tag=b"address2"),
    ]
    assert counts(events, 10, "rotating_presence", begin=quarter_s - 300) == [1] * 10


def test_iphone_hint_is_a_figure_of_its_own() -> None:
    """The background bit may be another app's: it is counted apart, and as presence once the phone shows itself."""
    assert counts(steady(START_S + 5, START_S + 595, kind=Kind.HINT, phone_class=PhoneClass.IPHONE), 10) == [0] * 10
    events = [
        *steady(START_S + 5, START_S + 295, kind=Kind.HINT, phone_class=PhoneClass.IPHONE),
        *steady(START_S + 305, START_S + 595, kind=Kind.PRESENCE),
    ]
    total = [counts(events, 10, figure) for figure in ("rotating_hint", "rotating_presence")]
    assert [sum(pair) for pair in zip(*total, strict=True)] == [1] * 10
    assert total[1][5:] == [1] * 5


def test_android_hint_adds_nothing() -> None:
    """The second advertisement of an identified Android, under another address, is not another device."""
    events = [
        *steady(START_S + 5, START_S + 595, identifier=b"a", tag=b"address1"),
        *steady(START_S + 5, START_S + 595, kind=Kind.HINT, phone_class=PhoneClass.ANDROID, tag=b"address2"),
    ]
    assert [sum(counts(events, 10, figure)[i] for figure in FIGURES) for i in range(10)] == [1] * 10


def test_identified_address_is_not_counted_again() -> None:
    """A phone counted by its identifier is not counted by its address too, in whatever order the two were heard."""
    events = [
        *steady(START_S + 5, START_S + 595, kind=Kind.PRESENCE),
        *steady(START_S + 8, START_S + 595, identifier=b"a"),
    ]
    assert counts(events, 10) == [1] * 10
    assert counts(events, 10, "rotating_presence") == [0] * 10


def test_undeclared_kind_counts_as_unknown() -> None:
    """A sighting of a kind its protocol did not declare is a Bluetooth device like any other."""
    events = steady(START_S + 5, START_S + 595, kind=Kind.PRESENCE, protocol=PLAIN)
    assert counts(events, 10, "unknown") == [1] * 10


def test_two_protocols_may_use_the_same_bytes() -> None:
    """Identifiers of two protocols are two identifiers."""
    events = [
        *steady(START_S + 5, START_S + 595, identifier=b"a"),
        *steady(START_S + 5, START_S + 595, identifier=b"a", protocol=PLAIN),
    ]
    assert counts(events, 10, "plain") == counts(events, 10) == [1] * 10


@pytest.mark.parametrize("identifier", [b"a", b""])
def test_an_advert_without_a_packet_proves_the_half_minute_before(identifier: bytes) -> None:
    """BlueZ forgets a device 30 s late; a presence heard to 4:50 of a phone gone at 4:20 is not one at 4:30."""
    what = {"identifier": identifier} if identifier else {"kind": Kind.PRESENCE}
    events = [
        *steady(START_S + 5, START_S + 255, **what),
        *steady(START_S + 260, START_S + 290, count=0, rssi=None, **what),
    ]
    figure = "rotating" if identifier else "rotating_presence"
    assert counts(events, 7, figure) == [1, 1, 1, 1, 0, 0, 0]
    alone = steady(START_S + 5, START_S + 595, count=0, rssi=None, **what)
    assert counts(alone, 10, figure)[1:9] == [1] * 8


def test_bursts_out_of_order() -> None:
    """Bursts that come in late extend what is known: in order and shuffled within 20 s give the same counts."""
    events = steady(START_S + 5, START_S + 595, identifier=b"a")
    counter = Counter((ROTATING,))
    shuffled = [event for pair in zip(events[1::2], events[::2], strict=True) for event in pair]
    tallies = []
    for minute in range(10):
        for advert, sightings in shuffled[minute * 6 : minute * 6 + 6]:
            counter.add(advert, sightings)
        tallies.append(counter.close(START_S + minute * 60))
    tallies += counter.finish()
    assert [tally.figures["rotating"] for tally in tallies if tally.listened_s] == [1] * 10


def test_an_earlier_burst_after_a_gap_is_ignored() -> None:
    """A burst from before the grace of what is known does not make the phone's stay longer."""
    counter = Counter((ROTATING,))
    for event in steady(START_S + 305, START_S + 595, identifier=b"a"):
        counter.add(*event)
    counter.add(*heard(START_S + 5, identifier=b"a"))
    known = counter._identifiers.get(hash((9, b"a")))
    assert known is not None
    assert known.began == START_S + 305


def test_forgotten_when_silent() -> None:
    """Five minutes after its last word, and as many until that is decided, nothing of a phone is kept."""
    counter = Counter((ROTATING,))
    for event in [*steady(START_S, START_S + 180, identifier=b"a"), *steady(START_S, START_S + 180, tag=b"address2")]:
        counter.add(*event)
    for minute in range(16):
        counter.close(START_S + minute * 60)
    assert not counter._identifiers
    assert not counter._tags


def test_tables_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds the tables full is counted as dropped; what is known already still counts."""
    monkeypatch.setattr(estimator, "LIVE_LIMIT", 2)
    counter = Counter((ROTATING,))
    for number in range(3):
        counter.add(*heard(START_S, identifier=b"a%d" % number))
        counter.add(*heard(START_S, tag=b"address%d" % number))
    counter.add(*heard(START_S + 1, identifier=b"a0"))
    counter.add(*heard(START_S + 1, tag=b"address0"))
    assert counter.dropped_total == 2


@pytest.mark.parametrize("kind", ["identifier", "tag"])
def test_a_stay_that_had_to_make_room_counts_in_its_undecided_minutes(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A phone that changed its identifier in a flood is turned out before its last minutes are decided: they count."""

    def named(name: bytes) -> dict[str, Any]:
        return {kind: name}

    monkeypatch.setattr(estimator, "LIVE_LIMIT", 2)
    counter = Counter((ROTATING,))
    # Two stay until second 205, one longer; a stranger is first too early, then heard twice again and takes a place.
    for name in (b"address1", b"address2"):
        for event in steady(START_S, START_S + 205, **named(name)):
            counter.add(*event)
    for event in steady(START_S + 205, START_S + 300, **named(b"address2")):
        counter.add(*event)
    for second in (220, 230, 256, 258):
        counter.add(*heard(START_S + second, **named(b"address3")))
    # The one turned out comes back and asks twice for the place of the stranger, who has fallen silent by then.
    for second in (330, 331, 332):
        counter.add(*heard(START_S + second, **named(b"address1")))
    cell = "rotating" if kind == "identifier" else "unknown"
    counts = [counter.close(START_S + minute * 60).figures[cell] for minute in range(8)]

    assert counts[counter.lag_minutes : counter.lag_minutes + 3] == [2, 2, 2]
    assert max(counts) == 2
    assert not counter._identifiers_out
    assert not counter._tags_out


def test_a_short_visit_that_had_to_make_room_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """An invented identifier that was repeated for ten seconds leaves nothing behind when its place is taken."""
    monkeypatch.setattr(estimator, "LIVE_LIMIT", 1)
    counter = Counter((ROTATING,))
    for second in (0, 5, 10):
        counter.add(*heard(START_S + second, identifier=b"invented"))
    for second in (70, 75):
        counter.add(*heard(START_S + second, identifier=b"newcomer"))

    assert [key for key, _ in counter._identifiers] == [hash((9, b"newcomer"))]
    assert not counter._identifiers_out


def test_a_tag_heard_seldom_is_there_all_the_time() -> None:
    """A phone at the edge of reach is heard every four minutes under one address: it counts in each minute between."""
    events = [heard(START_S + at, tag=b"address2") for at in range(20, 880, 240)]
    assert counts(events, 14, "unknown") == [1] * 12 + [0] * 2
    # Six minutes of silence are an absence.
    events = [heard(START_S + at, tag=b"address2") for at in (20, 160, 560, 700)]
    assert counts(events, 12, "unknown") == [1, 1, 1, *[0] * 6, 1, 1, 1]
