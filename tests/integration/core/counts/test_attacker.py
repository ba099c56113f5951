"""Two worlds that differ by one person, through the real pipeline: what leaves is the same but for noised figures.

The person carries a phone, a watch that speaks like a phone, and an open case of earbuds: seven addresses. The attacker
knows everybody else to the second, and sees every message, health included, its key, size and moment.
"""

from __future__ import annotations

import json
import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner import protocols
from edge_scanner.core import health
from edge_scanner.core.advertising import AdvertisingData, parse
from edge_scanner.core.counts.calibration import calibrate, count
from edge_scanner.core.counts.difference_noise import Chain, cost
from edge_scanner.core.counts.discrete_laplace import Laplace
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.occupancy import Level, Thresholds, read
from edge_scanner.core.counts.privacy_budget import SENSITIVITY, equivalent_scale, presence
from edge_scanner.core.counts.release import DISPLAY, Ledger, from_release
from edge_scanner.core.errors import RefusedError
from edge_scanner.core.log.writer import LogState, SealedLog
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import Advert, ClockQuality, ClockReading
from edge_scanner.core.pipeline import Pipeline
from edge_scanner.device.health import BoxState, examine
from edge_scanner.device.settings import Counts
from tests.support.recipients import fill, parties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_scanner.core.model import Release

START_S = 1_790_000_040.0 - 1_790_000_040 % 3600
HOURS = 2
COME_S, GO_S = 600.0, 600.0 + 3600.0
COUNTED_S = 4800
"""When people are counted by hand: the first hour has been released."""
UNITS = 2
"""Devices that speak like phones: the phone and the watch. The earbuds' five addresses are in no figure."""
DRAW = Counts().budget.draw(SENSITIVITY)


def _shows(text: str) -> AdvertisingData:
    return parse(bytes.fromhex(text))


PHONE = _shows("02011a0aff4c001005031c2f3a4b")
EARBUDS = (_shows("07ff4c0012020003"),) * 3 + (_shows("08ff4c000703010203"),) * 2
EN = "17166ffd%032x11223344"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What left: messages and display bins, in order, with the moment (seconds after the start) of each."""

    seen: tuple[tuple[int, str, dict[str, Any]], ...]

    def without_figures(self) -> list[tuple[int, str, dict[str, Any]]]:
        """All that is not noised; hashes of ciphertext are random to who has no key."""
        hidden = {"figures", "link", "note", "record", "calibration", "extends"}
        return [
            (
                at,
                key,
                {name: what for name, what in body.items() if name not in hidden}
                | {"hashes": len(body.get("extends", {}).get("proof", ()))},
            )
            for at, key, body in self.seen
        ]

    def runs(self, ledger: str, starts: Sequence[int]) -> list[int]:
        """Which run released each bin, by the seconds at which they began."""
        begun = [
            int(body.get("bin_start_s", body.get("bin_start", 0)))
            for _, _, body in self.seen
            if body.get("ledger") == ledger
        ]
        return [sum(at >= START_S + start for start in starts) - 1 for at in begun]

    def nearby(self, ledger: str) -> list[int]:
        """The phones of each bin."""
        return [body["figures"]["nearby"] for _, _, body in self.seen if body.get("ledger") == ledger]


def no_noise(sides: int) -> int:
    """Dice for a draw of 0: asked for part, coin and sign in turn, and any face of a coin of one step ends it."""
    return next(_FACES) % sides


def _faces() -> Iterator[int]:
    while True:
        yield from (0, 1, 0, 1, 0)


_FACES = _faces()


def adverts(others: int, *, person: bool) -> list[tuple[float, AdvertisingData, bytes]]:
    """Moment, content and address tag: `others` stay all the time, half with Exposure Notification."""
    heard = []
    for number in range(others):
        data = PHONE if number % 2 else _shows(EN % number)
        heard += [(at + number / 400, data, b"other%03d" % number) for at in range(3, HOURS * 3600, 20)]
    if person:
        shown = (PHONE, PHONE, *EARBUDS)
        for number, data in enumerate(shown):
            tag = b"mine%04d" % number
            moments = range(int(COME_S), int(GO_S), 10)
            heard += [(at + number / 10, data, tag) for at in moments]
    return sorted(heard, key=lambda one: one[0])


@dataclass(slots=True)
class Adapter:
    """An adapter whose state does not depend on who is heard, as BlueZ tells it (radio/adapter.py)."""

    listening: bool = True
    punctual: bool = True
    fault: object | None = None
    recoveries: Mapping[str, int] = field(default_factory=dict)

    @property
    def counters(self) -> Adapter:
        """What a source counts."""
        return self


def begin(
    log: LogState, identity: Ed25519PrivateKey, boot: int, second: int, releases: Sequence[Release]
) -> tuple[Pipeline, BoxState]:
    """A run of the box, which remembers what it released before, and what its health is read from."""
    known = protocols.load(["bluezone", "gaen"])
    counter = Counter(known)
    clock = ClockReading(utc_s=START_S + second, monotonic_s=float(second), quality=ClockQuality.NTP)
    ledger = Ledger(Counts().budget, figures=counter.figures, sensitivity=counter.sensitivity, randbelow=no_noise)
    ledger.resume(releases)
    sealed = SealedLog(
        device="K7MP2R9CX4",
        identity=identity,
        boot_number=boot,
        recipients=(found := parties(START_S).recipients),
        state=log,
        clock=clock,
        entropy=fill,
    )
    sender = Sender(device="K7MP2R9CX4", site="test", boot=boot)
    box = BoxState(log=sealed, recipients=found, retention_days=14, state_dir=Path("/"), counter=counter)
    box.source = Adapter()
    run = Pipeline(protocols=known, counter=counter, ledger=ledger, log=sealed, sender=sender, clock=clock)
    return run, box


def healthy(box: BoxState, boot: int, second: int) -> tuple[int, str, dict[str, Any]]:
    """The health message of this moment, but for the two figures of this test's own process."""
    clock = ClockReading(utc_s=START_S + second, monotonic_s=float(second), quality=ClockQuality.NTP)
    found = replace(examine(box, clock), rss_mb=0.0, loop_lag_ms=0.0)
    message = health.to_message(found, sender=Sender(device="K7MP2R9CX4", site="test", boot=boot), seq=second // 300)
    return second, message.key, json.loads(message.payload)


RESTARTS = (2100, 4500)
"""Seconds after the start, in the middle of bins: in the stay, and after it."""
FAULT = range(2400, 3000)
"""Ten minutes in which the radio was down."""


def play(others: int, *, person: bool, identity: Ed25519PrivateKey, story: str = "plain") -> World:
    """Two hours of one world, without noise, so that the difference can be seen."""
    global _FACES  # noqa: PLW0603 (each world throws from the beginning)
    _FACES = _faces()
    seen: list[tuple[int, str, dict[str, Any]]] = []
    releases: list[Release] = []
    boot = 1
    run, box = begin(LogState(), identity, boot, 0, releases)

    def take(second: int) -> None:
        batch = run.peek()
        seen.extend((second, message.key, json.loads(message.payload)) for message in batch.messages)
        for release in batch.releases:
            releases.append(release)
            if release.ledger == DISPLAY:
                seen.append((second, f"display {release.bin_start_s}", json.loads(release.body)))
        run.forget(batch)

    events = iter(adverts(others, person=person))
    following = next(events, None)
    for second in range(0, HOURS * 3600 + 600, 5):
        if story == "restarts" and second in RESTARTS:
            run.finish()
            take(second)
            boot += 1
            run, box = begin(LogState(), identity, boot, second, releases)
        if story == "calibration" and second == COUNTED_S:
            reports = [from_release(release) for release in releases if release.ledger == "broker"]
            with suppress(RefusedError):
                run.calibration = calibrate(count(40, reports, START_S + second))
        while following is not None and following[0] <= second:
            at_s, data, tag = following
            if story != "fault" or at_s not in FAULT:
                run.feed(
                    Advert(
                        data=data,
                        address_tag=tag,
                        first_s=START_S + at_s,
                        last_s=START_S + at_s,
                        rssi_sum=-60,
                        rssi_max=-60,
                    )
                )
            following = next(events, None)
        run.tick(
            ClockReading(utc_s=START_S + second, monotonic_s=float(second), quality=ClockQuality.NTP),
            listening=(listening := story != "fault" or second not in FAULT),
        )
        take(second)
        if second % 300 == 0:
            box.source, box.outbox_rows = Adapter(listening=listening), len(seen)
            seen.append(healthy(box, boot, second))
    return World(seen=tuple(seen))


def _released(moved: list[int], runs: Sequence[int]) -> int:
    """By how much all that is released moves: of each run's bins in turn; a run that goes on pays for the bin after."""
    total, begin = 0, 0
    for number, bins in enumerate(runs):
        of_run = [0, *moved[begin : begin + bins]]
        begin += bins
        if number == len(runs) - 1:
            of_run.append(0)
        total += sum(abs(2 * now - before) for before, now in pairwise(of_run))
    return total


DOCUMENT = (Path(__file__).parents[4] / "docs" / "counting.md").read_text(encoding="utf-8")
COLUMNS = ("plain", "restarts", "fault", "calibration")


def stated(head: str, story: str) -> float:
    """What the attacker's table in docs/counting.md says in a row."""
    row = next(line for line in DOCUMENT.splitlines() if line.startswith(f"| {head} |"))
    return float(row.strip("| ").split(" | ")[1 + COLUMNS.index(story)])


STORIES = [(others, story) for others in (0, 1, 10, 200) for story in COLUMNS]


@pytest.mark.parametrize(("others", "story"), STORIES)
def test_one_person_moves_noised_figures_only(others: int, story: str) -> None:
    """Nothing but figures differs, and those by the price of two phones' stay at most, whatever the earbuds show.

    A restart in the stay costs as much as coming again. What messages say of a calibration follows from the figures: in
    the small worlds it is refused, in both.
    """
    identity = Ed25519PrivateKey.generate()
    without, with_person = (play(others, person=person, identity=identity, story=story) for person in (False, True))

    assert without.without_figures() == with_person.without_figures()
    assert sum("lights" in body for _, _, body in without.seen) == (HOURS * 3600 + 600) // 300
    expected = HOURS + (2 if story == "restarts" else 0)
    assert len(without.nearby("broker")) == expected
    restarts = len(RESTARTS) if story == "restarts" else 0
    for ledger in ("broker", "display"):
        pairs = zip(with_person.nearby(ledger), without.nearby(ledger), strict=True)
        moved = [a - b for a, b in pairs]
        # An hour's stay and its ends, but for the minutes in which the radio was down.
        assert UNITS * (42 if story == "fault" else 50) <= sum(map(abs, moved))
        assert sum(map(abs, moved)) <= UNITS * presence(3600, SENSITIVITY)
        starts = [0, *(RESTARTS if story == "restarts" else ())]
        released = _released(moved, [with_person.runs(ledger, starts).count(run) for run in range(len(starts))])
        # A fault cuts the stay in two.
        comings = restarts + (story == "fault")
        claimed = UNITS * (cost(presence(3600, SENSITIVITY), 33) + 66 * comings)
        if ledger == "display":
            assert released <= claimed
            assert stated("ε of the two devices together", story) == round(float(released / DRAW), 2)
            assert stated("claimed for two", story) == round(float(claimed / DRAW), 2)
    display, broker = (with_person.nearby(ledger) for ledger in ("display", "broker"))
    assert sum(broker) == sum(display)
    said = [body["calibration"] for _, _, body in with_person.seen if "calibration" in body]
    assert bool(said) == (story == "calibration" and others == 200)
    if said:
        devices = broker[0] / 60
        assert {line["people_per_device"] for line in said} == {float(f"{40 / devices:.2g}")}


def test_a_silent_place_is_a_quiet_place() -> None:
    """Three hours of a radio that hears nobody: every bin is listened to in full, and the word is "quiet"."""
    run, _ = begin(LogState(), Ed25519PrivateKey.generate(), 1, 0, [])
    reports = []
    for second in range(0, 3 * 3600 + 120, 5):
        run.tick(
            ClockReading(utc_s=START_S + second, monotonic_s=float(second), quality=ClockQuality.NTP), listening=True
        )
        batch = run.peek()
        reports += [from_release(release) for release in batch.releases if release.ledger == DISPLAY]
        run.forget(batch)

    whole = [report for report in reports if report.bin_start_s >= START_S]
    assert len(whole) >= 5
    assert {report.minutes_covered for report in whole[1:]} == {30}
    assert read(whole, Thresholds(moderate_from=20, busy_from=60), START_S + second).level is Level.QUIET


def test_a_message_names_no_class_but_phones() -> None:
    """What the broker gets is one figure: earbuds, lamps and computers cost nobody anything."""
    world = play(1, person=True, identity=Ed25519PrivateKey.generate())
    bodies = [body for _, _, body in world.seen if "figures" in body]
    assert {tuple(body["figures"]) for body in bodies} == {("nearby",)}


def noise(count: int, seed: int) -> list[int]:
    """Noise of successive display figures as it is set."""
    chain = Chain(Laplace(DRAW, randbelow=random.Random(seed).randrange))
    return [chain.figure(0) for _ in range(count)]


WON = {1: "half an hour", 2: "one hour", 16: "eight hours"}
"""The rows of docs/counting.md, by half hours."""


@pytest.mark.parametrize("bins", WON)
def test_empirical_epsilon_is_within_the_claim(bins: int) -> None:
    """By seeded draws of both worlds the best test of "was this phone here" wins no more than the stay's price allows.

    The attacker sees every display figure, and so every broker's. The test answers yes above a bar of the likelihood
    ratio; log(P(yes | here) / P(yes | not)) is at most ε for every bar, and near ε for some.
    """
    stay = [0] * 2 + [33] * bins + [0] * 2
    tries = 160_000 // len(stay)
    epsilon = float(cost(presence(bins * 1800, SENSITIVITY), 33) / DRAW)
    evidence = {}
    for here, seed in ((True, 11), (False, 12)):
        plain = noise(tries * len(stay), seed)
        evidence[here] = sorted(
            ratio(plain[start : start + len(stay)], stay, here=here) for start in range(0, len(plain), len(stay))
        )
    worst = 0.0
    for number in range(1, 20):
        bar = evidence[True][tries * number // 20]
        yes, wrong = (sum(value >= bar for value in evidence[here]) for here in (True, False))
        if wrong < 30:
            break
        # Three deviations of the ratio of two counts.
        margin = 3 * sqrt(1 / yes + 1 / wrong)
        worst = max(worst, log(yes / wrong))
        assert log(yes / wrong) <= epsilon + margin
    assert worst > 0.5 * epsilon
    assert f"| {worst:.2f} | {epsilon:.2f} |" in next(
        line for line in DOCUMENT.splitlines() if line.startswith(f"| {WON[bins]} |")
    )


def ratio(plain: Sequence[int], stay: Sequence[int], *, here: bool) -> float:
    """The log-likelihood ratio of the figures of one stay, from the draws that the attacker can work out."""
    figures = [one + (more if here else 0) for one, more in zip(plain, stay, strict=True)]
    drawn = [2 * now - before for before, now in pairwise(figures)]
    moved = [2 * now - before for before, now in pairwise(stay)]
    return sum(abs(one) - abs(one - more) for one, more in zip(drawn, moved, strict=True)) / float(DRAW)


def test_interval_covers_what_it_says() -> None:
    """Two deviations of the sum of one to ten boxes, the centre's "95 %", cover 94 to 96 % of 100,000 hours."""
    drawn = noise(200_000, 5)
    hours = [sum(drawn[start : start + 2]) for start in range(0, len(drawn), 2)]
    scale = equivalent_scale(float(DRAW), 2)
    random.Random(7).shuffle(hours)
    for boxes in (1, 2, 10):
        sums: Sequence[int] = [sum(hours[n : n + boxes]) for n in range(0, len(hours), boxes)]
        bound = 2 * sqrt(2 * boxes) * scale
        covered = sum(abs(value) <= bound for value in sums) / len(sums)
        assert 0.94 <= covered <= 0.96


def test_empty_hall_is_shown_empty() -> None:
    """What the centre shows of an empty hall, nothing below two deviations, is half a phone on average."""
    drawn = noise(40_000, 6)
    hours = [sum(drawn[start : start + 2]) for start in range(0, len(drawn), 2)]
    bound = 2 * sqrt(2) * equivalent_scale(float(DRAW), 2)
    shown = [value / 60 if value >= bound else 0 for value in hours]
    assert sum(shown) / len(shown) <= 1
