"""Adverts in, batches out: nothing lost, nothing twice, whatever the clock or the store does."""

from __future__ import annotations

import gc
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import protocols
from edge_scanner.core import pipeline as pipeline_module
from edge_scanner.core.advertising import parse
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.log.writer import LogState, SealedLog
from edge_scanner.core.messages import Calibration, Sender
from edge_scanner.core.model import Advert, Batch, ClockQuality, ClockReading, MessageKind
from edge_scanner.core.pipeline import Pipeline
from tests.support.recipients import fill, parties

START_S = 1_790_000_040.0 - 1_790_000_040 % 3600
BLUEZONE = parse(bytes.fromhex("0201020FFFB522130CEA6472130C185D8643DF0303564E"))


def reading(offset_s: float, *, step_s: float = 0.0) -> ClockReading:
    """Both clocks `offset_s` after the start, UTC stepped by `step_s`."""
    return ClockReading(utc_s=START_S + offset_s + step_s, monotonic_s=offset_s, quality=ClockQuality.NTP)


def pipeline(*, sealed: bool = True) -> Pipeline:
    """A run that begins on a full hour."""
    known = protocols.load(["bluezone", "gaen"])
    counter = Counter(known)
    log = None
    if sealed:
        log = SealedLog(
            device="K7MP2R9CX4",
            identity=Ed25519PrivateKey.generate(),
            boot_number=1,
            recipients=parties(START_S).recipients,
            state=LogState(),
            clock=reading(0),
            entropy=fill,
        )
    return Pipeline(
        protocols=known,
        counter=counter,
        ledger=Ledger(figures=counter.figures, sensitivity=counter.sensitivity),
        log=log,
        sender=Sender(device="K7MP2R9CX4", site="test", boot=1),
        clock=reading(0),
    )


def hear(run: Pipeline, at_s: float) -> None:
    """One Bluezone phone at `at_s` after the start."""
    run.feed(
        Advert(
            data=BLUEZONE,
            address_tag=b"12345678",
            first_s=START_S + at_s,
            last_s=START_S + at_s,
            rssi_sum=-60,
            rssi_max=-60,
        )
    )


def play(run: Pipeline, minutes: int) -> None:
    """A phone that is heard every 10 s for `minutes`, with a tick a second."""
    for second in range(minutes * 60 + 4):
        if second % 10 == 0:
            hear(run, second)
        run.tick(reading(second), listening=True)


def test_minute_closes_after_its_stragglers() -> None:
    """A minute is closed two and a half seconds after its end, and says so."""
    run = pipeline()

    assert not run.tick(reading(62), listening=True)
    assert run.tick(reading(63), listening=True)
    assert len(run.peek().rows.frames) == 1
    assert run.progress.minutes == 1


def test_peek_repeats_until_forgotten() -> None:
    """Two peeks give the same batch, a forgotten batch is gone, and later rows stay."""
    run = pipeline()
    play(run, 2)
    first = run.peek()
    assert run.peek() == first
    play_later = reading(183)
    run.tick(play_later, listening=True)

    run.forget(first)

    rest = run.peek()
    assert len(first.rows.frames) == 2
    assert [frame.number for frame in rest.rows.frames] == [2]
    assert (rest.rows.headers, rest.rows.boots, rest.messages) == ((), (), ())


def test_hour_gives_counts_checkpoint_and_a_leaf() -> None:
    """After an hour the batch holds 60 frames and an END, the leaf, one noised broker count and a checkpoint."""
    run = pipeline()
    play(run, 65)

    batch = run.peek()

    kinds = [message.kind for message in batch.messages]
    assert len(batch.rows.leaves) == 1
    assert kinds.count(MessageKind.BOOT) == kinds.count(MessageKind.CHECKPOINT) == kinds.count(MessageKind.COUNTS) == 1
    counts = next(message for message in batch.messages if message.kind is MessageKind.COUNTS)
    body = json.loads(counts.payload)
    assert body["minutes_covered"] == 60
    assert body["link"]["segment"] == 1
    assert {release.ledger for release in batch.releases} == {"broker", "display"}


def test_report_is_made_once() -> None:
    """A bin that is still waiting to be committed is not noised again, and is forgotten with its release."""
    run = pipeline(sealed=False)
    play(run, 65)
    first = run.peek()
    run.tick(reading(67 * 60), listening=True)
    again = run.peek()

    assert set(first.releases) <= set(again.releases)
    assert len({(release.ledger, release.bin_start_s) for release in again.releases}) == len(again.releases)
    run.forget(again)
    assert run.peek() == Batch()


def test_calibration_and_drops_are_passed_on() -> None:
    """The site's calibration is in every counts message; what the log had no room for is added up."""
    run = pipeline()
    run.calibration = Calibration(people_per_device=1.3, low=1.1, high=1.6, measured_s=START_S)
    # Minutes that can no longer be written: each of these bursts is dropped at the next close.
    for minute in (1, 2):
        hear(run, minute * 60 - 7200)
        run.tick(reading(minute * 60 + 3), listening=True)
    assert run.progress.encounters_dropped == 2
    for second in range(130, 70 * 60):
        run.tick(reading(second), listening=True)
    counts = [json.loads(one.payload) for one in run.peek().messages if one.kind is MessageKind.COUNTS]

    assert counts
    assert all(body["calibration"]["people_per_device"] == 1.3 for body in counts)


def test_what_waits_for_a_failing_store_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours without a commit: the newest reports and messages stay, older messages are counted as dropped."""
    kept = pipeline()
    play(kept, 190)
    monkeypatch.setattr(pipeline_module, "MAX_PENDING", 3)
    run = pipeline()
    play(run, 190)

    assert run.progress.reports == kept.progress.reports > 3
    assert [one.bin_start_s for one in run.peek().releases] == [one.bin_start_s for one in kept.peek().releases[-3:]]
    assert [one.kind for one in run.peek().messages] == [one.kind for one in kept.peek().messages[-3:]]
    assert kept.progress.messages_dropped == 0
    assert run.progress.messages_dropped == len(kept.peek().messages) - 3


def test_no_identifier_is_in_a_batch() -> None:
    """The planted identifier, in any spelling, is in no row and no message."""
    run = pipeline()
    play(run, 65)
    run.finish()

    everything = repr(run.peek())

    planted = bytes.fromhex("130CEA6472130C185D8643DF")
    assert repr(planted)[2:-1] not in everything
    assert planted.hex() not in everything.lower()


def test_without_recipients_counting_goes_on() -> None:
    """Without a sealed log there are counts and no rows."""
    run = pipeline(sealed=False)
    play(run, 65)
    run.finish()

    batch = run.peek()

    assert batch.rows.frames == ()
    assert [message.kind for message in batch.messages].count(MessageKind.COUNTS) == 2


def test_deaf_minutes_are_not_covered() -> None:
    """A bin whose minutes the radio did not listen to says that it covers none of them; an open one is not told."""
    run = pipeline(sealed=False)
    play(run, 1)
    for second in range(64, 125 * 60):
        run.tick(reading(second), listening=False)
    run.finish()

    counts = [json.loads(m.payload) for m in run.peek().messages if m.kind is MessageKind.COUNTS]
    assert [(body["bin_start"], body["minutes_covered"]) for body in counts] == [(START_S, 1), (START_S + 3600, 0)]
    assert covered(run, "display") == {0: 1, 1800: 0, 3600: 0, 5400: 0}


def test_stop_keeps_the_open_minute() -> None:
    """Finishing in the middle of a minute seals it, ends the segment and closes the open bins early."""
    run = pipeline()
    play(run, 10)
    hear(run, 610)

    run.finish()

    batch = run.peek()
    assert len(batch.rows.frames) == 12
    assert len(batch.rows.leaves) == 1
    assert [json.loads(m.payload)["minutes_covered"] for m in batch.messages if m.kind is MessageKind.COUNTS] == [10]


@pytest.mark.parametrize("step_s", [-1800.0, 86400.0])
def test_clock_step_closes_the_minute_and_goes_on(step_s: float) -> None:
    """UTC that jumps closes the open minute; the minutes skipped are not invented."""
    run = pipeline()
    play(run, 5)
    before = len(run.peek().rows.frames)

    run.tick(reading(305, step_s=step_s), listening=True)
    run.tick(reading(400, step_s=step_s), listening=True)

    assert before == 5
    assert run.progress.minutes == 7


@pytest.mark.parametrize("step_s", [-1800.0, 86400.0])
def test_who_is_heard_after_a_clock_step_is_counted_in_that_minute(step_s: float) -> None:
    """The counter starts anew when the clock steps, not a minute later: the first minute keeps what was heard in it."""
    run = pipeline()
    play(run, 5)
    run.tick(reading(305, step_s=step_s), listening=True)
    hear(run, 306 + step_s)
    run.tick(reading(363, step_s=step_s), listening=True)

    assert run.progress.minutes == 7
    assert len(run._counter._identifiers) == 1


def covered(run: Pipeline, ledger: str) -> dict[float, int]:
    """Minutes covered of each released bin, by the second after the start with which it begins."""
    found = [release for release in run.peek().releases if release.ledger == ledger]
    told = {release.bin_start_s - START_S: json.loads(release.body)["minutes_covered"] for release in found}
    assert len(told) == len(found)
    return told


def test_a_leap_of_the_clock_releases_no_future_hours() -> None:
    """Three years ahead for ten minutes, and back: the bins that were lived through, and none in between.

    The first minute was decided before the leap, the five minutes after each leap are not.
    """
    three_years = 3 * 365 * 86400.0
    run = pipeline()
    play(run, 5)
    for second in range(305, 905):
        run.tick(reading(second, step_s=three_years), listening=True)
    assert (covered(run, "display"), covered(run, "broker")) == ({0: 1}, {0: 1})

    for second in range(905, 2 * 3600 + 605):
        run.tick(reading(second), listening=True)

    assert covered(run, "display") == {0: 1, three_years: 6, 600: 15, 1800: 30, 3600: 30, 5400: 30}
    assert covered(run, "broker") == {0: 1, three_years: 6, 600: 45, 3600: 60}


def reachable(root: object) -> set[bytes]:
    """Every bytes object that can be reached from `root` without going through modules, classes and functions."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if (
            id(each) in seen
            or isinstance(each, type)
            or type(each).__name__ in {"module", "function", "builtin_function_or_method"}
        ):
            continue
        seen[id(each)] = each
        waiting += gc.get_referents(each)
    return {each for each in seen.values() if isinstance(each, bytes)}


def test_a_sealed_minute_leaves_no_identifier_in_the_tables() -> None:
    """While the minute is open its identifier is there; once it is sealed and stored, counting goes on with a hash."""
    run = pipeline()
    identifier = BLUEZONE.manufacturer_data[0x22B5]

    hear(run, 5)
    while_open = reachable(run)
    run.tick(reading(63), listening=True)
    run.forget(run.peek())

    assert identifier in while_open
    assert identifier not in reachable(run)
    assert len(run._counter._identifiers) == 1
