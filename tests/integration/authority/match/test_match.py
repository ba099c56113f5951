"""Matching: the join against brute force, both rules, and what ends up in a result and in CSV."""

from __future__ import annotations

import csv
import multiprocessing
import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from edge_scanner.authority.match import bulk, join, match, report, workers
from edge_scanner.authority.match.cases import Case, derive
from edge_scanner.authority.match.sieve import Sieve
from edge_scanner.authority.open import opened
from edge_scanner.authority.open.opened import OpenedEncounter, OpenedMinute
from edge_scanner.core.errors import BadDataError, RefusedError, UnavailableError
from edge_scanner.core.model import ClockQuality, DayKey
from edge_scanner.protocols import bluezone, gaen
from tests.support.office import Office
from tests.support.sightings import sample, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.model import BeaconProtocol
    from edge_scanner.core.pull.request import Request

DAY_S = 86_400
MIDNIGHT = 1_795_910_400 // DAY_S * DAY_S
BOX = "K7MP2R9CX4"


def case(label: str, secret: bytes, days: int = 2, protocol: str = "bluezone") -> Case:
    """A phone of a case."""
    key = DayKey(key=secret, start_s=MIDNIGHT, end_s=MIDNIGHT + days * DAY_S - 1)
    if protocol == "gaen":
        key = DayKey(key=secret, start_s=MIDNIGHT, end_s=MIDNIGHT + DAY_S)
    return Case(label=label, protocol=gaen.PROTOCOL if protocol == "gaen" else bluezone.PROTOCOL, key=key)


def keys(cases: list[Case]) -> list[bulk.Key]:
    """What is derived of them."""
    return [bulk.Key(case=index, protocol=one.protocol.tag, key=one.key) for index, one in enumerate(cases)]


def at(label: str, protocol: BeaconProtocol, key: DayKey) -> Case:
    """A phone with a key of any shape."""
    return Case(label=label, protocol=protocol, key=key)


def encounter(payload: bytes, at_s: int, *, protocol: int = 1, rssi: int = -70, seconds: int = 5) -> OpenedEncounter:
    """Something heard for some seconds."""
    return OpenedEncounter(
        device=BOX,
        first_s=at_s,
        last_s=at_s + seconds,
        protocol=protocol,
        payload=payload.ljust(20, b"\0"),
        adverts=4,
        rssi_mean=rssi - 5,
        rssi_max=rssi,
    )


ORDER = Office(MIDNIGHT).request(BOX, case="HCM-1", from_s=MIDNIGHT, to_s=MIDNIGHT + 3600)


def open_file(path: Path, *encounters: OpenedEncounter, request: Request = ORDER) -> Path:
    """A file of opened records."""
    with opened.create(path, request=request, now_s=MIDNIGHT) as target:
        minutes = [
            OpenedMinute(
                device=BOX,
                minute_s=MIDNIGHT,
                shift_s=0.0,
                listened_s=60,
                dropped=0,
                quality=ClockQuality.NTP,
            )
        ]
        target.add(verdict(BOX), minutes, encounters)
    return path


def sightings(
    tmp_path: Path, cases: list[Case], *encounters: OpenedEncounter, tolerant: bool = True
) -> list[match.HeardMinute]:
    """What match finds."""
    path = open_file(tmp_path / f"{len(list(tmp_path.iterdir()))}.opened", *encounters)
    return list(match.match(cases, [path], now_s=MIDNIGHT, tolerant=tolerant).sightings)


def test_the_join_finds_what_brute_force_finds() -> None:
    """Thousands of encounters, hundreds of phones of both protocols, planted and near misses: the same pairs."""
    dice = random.Random(5)
    cases = [case(f"b/{n}", dice.randbytes(32)) for n in range(6)]
    cases += [case(f"g/{n}", dice.randbytes(16), protocol="gaen") for n in range(6)]
    derived = [(index, name, one) for index, each in enumerate(cases) for name, one in derive([each])]
    heard: list[tuple[bytes, int, int]] = [
        (dice.randbytes(12).ljust(16, b"\0"), 1, MIDNIGHT + dice.randrange(DAY_S)) for _ in range(500)
    ]
    for _, name, one in dice.sample(derived, 400):
        offset = dice.choice((-8000, -7000, -200, -100, 0, 300, 899, 1000, 1100, 9000))
        wrong = dice.random() < 0.2
        identifier = one.identifier[:-1] + bytes([one.identifier[-1] ^ wrong])
        heard.append((identifier.ljust(16, b"\0"), 1 if name == "bluezone" else 2, one.start_s + offset))
    slow = {
        (row, index)
        for row, (identifier, protocol, at_s) in enumerate(heard)
        for index, name, one in derived
        if one.identifier == identifier[: len(one.identifier)]
        and protocol == (1 if name == "bluezone" else 2)
        and abs(at_s - (one.start_s + one.end_s) / 2) <= (450 + 180 if name == "bluezone" else 300 + 7200)
    }

    moments = np.array([at for _, _, at in heard], dtype=np.int64)
    protocols = np.array([protocol for _, protocol, _ in heard], dtype=np.uint8)
    ids = np.frombuffer(b"".join(identifier for identifier, _, _ in heard), dtype="<u8").reshape(-1, 2)
    sieve = Sieve(len(ids))
    sieve.add(ids)
    fast = set()
    for wanted in join.held(join.sift(block, sieve) for block in bulk.blocks(keys(cases))):
        for some in wanted:
            row, place = some.among(ids)
            hits = some.judge(row, place, protocols[row], moments[row], moments[row])
            fast |= {(int(row), int(index)) for row, index in zip(hits.encounter, hits.case, strict=True)}

    assert len(slow) > 100
    assert fast == slow


def test_blocks_are_the_protocols_own_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bulk and single derivation agree on every identifier and time, also over several blocks, 144 and chain lag."""
    monkeypatch.setattr(bulk, "BLOCK", 500)
    cases = [
        case("a", bytes(32), days=3),
        at("b", bluezone.PROTOCOL, DayKey(key=bytes(32), start_s=MIDNIGHT, end_s=MIDNIGHT + 90_000, rotations=144)),
        at("c", bluezone.PROTOCOL, DayKey(key=bytes(32), start_s=MIDNIGHT, end_s=MIDNIGHT + 200_000, chain_lag=1)),
        at("d", gaen.PROTOCOL, DayKey(key=bytes(16), start_s=MIDNIGHT, end_s=MIDNIGHT + DAY_S)),
        at("e", gaen.PROTOCOL, DayKey(key=bytes(16), start_s=MIDNIGHT, end_s=MIDNIGHT + 1800)),
    ]
    single = [(one.identifier.ljust(16, b"\0"), one.start_s, one.end_s) for _, one in derive(cases)]

    blocks = list(bulk.blocks(keys(cases)))
    made = [block.all() for block in blocks]
    found = [
        (block.ids[row].tobytes(), int(block.start_s[row]), int(block.end_s[row]))
        for block in made
        for row in range(len(block.ids))
    ]

    assert found == single
    assert len(made) > 1
    assert sum(map(bulk.identifiers, keys(cases))) == len(single)


def test_many_files_keys_and_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is held, read or derived at a time, and wherever: each planted minute; each step comes to its end."""
    cases = [case(f"b/{n}", bytes([n]) * 32) for n in range(3)]
    cases += [case(f"g/{n}", bytes([n]) * 16, protocol="gaen") for n in range(3)]
    heard = [
        encounter(one.identifier, one.start_s, protocol=1 if name == "bluezone" else 2)
        for name, one in list(derive(cases))[::7]
    ]
    paths = [open_file(tmp_path / "a", *heard[::2]), open_file(tmp_path / "b", *heard[1::2])]
    steps: dict[str, tuple[int, int]] = {}

    def found() -> tuple[match.HeardMinute, ...]:
        steps.clear()
        return match.match(
            cases, paths, now_s=MIDNIGHT, on_step=lambda step, done, of: steps.update({step: (done, of)})
        ).sightings

    at_once = found()
    assert steps == {
        "reading": (len(heard), len(heard)), "deriving": (1008, 1008), "looking up": (len(heard), len(heard)),
    }  # fmt: skip
    for module, bound, value in ((bulk, "BLOCK", 96), (join, "HELD", 5), (match, "CHUNK", 7), (workers, "ALONE", 0)):
        monkeypatch.setattr(module, bound, value)
    in_parts = found()

    assert len(at_once) == len({(one.case, one.minute_s) for one in at_once}) > 100
    assert in_parts == at_once


def test_a_process_that_is_killed_ends_the_match_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a machine short of memory does: nothing is told that was not looked for."""
    cases = [case(f"b/{n}", bytes([n]) * 32, days=14) for n in range(40)]
    path = open_file(tmp_path / "a", encounter(bytes(12), MIDNIGHT))
    monkeypatch.setattr(workers, "ALONE", 0)
    monkeypatch.setattr(bulk, "BLOCK", 96)

    def kill(step: match.Step, _done: int, _of: int) -> None:
        if step == "deriving":
            for process in multiprocessing.active_children():
                process.kill()

    with pytest.raises(UnavailableError, match="was ended"):
        match.match(cases, [path], now_s=MIDNIGHT, on_step=kill)


@pytest.mark.parametrize(
    ("offset_s", "found", "strict"),
    [(-181, False, False), (-180, True, False), (-1, True, False), (0, True, True), (900, True, True),
     (901, True, False), (1080, True, False), (1081, False, False)],
)  # fmt: skip
def test_bluezone_s_rules(tmp_path: Path, offset_s: int, *, found: bool, strict: bool) -> None:
    """Within its 15 minutes, both ends included, is strict; 180 s beyond is tolerant; more is nothing."""
    identifier = next(bluezone.derive(case("a", bytes(32)).key)).identifier
    heard = encounter(identifier, MIDNIGHT + offset_s, seconds=0)

    result = sightings(tmp_path, [case("a", bytes(32))], heard)

    assert [one.strict for one in result] == ([strict] if found else [])
    assert len(sightings(tmp_path, [case("a", bytes(32))], heard, tolerant=False)) == (found and strict)


@pytest.mark.parametrize(("offset_s", "found"), [(-7200, True), (-7201, False), (600 + 7200, True), (7801, False)])
def test_exposure_notification_s_rule(tmp_path: Path, offset_s: int, *, found: bool) -> None:
    """Two hours each way of the identifier's ten minutes; the metadata behind it does not matter."""
    identifier = next(gaen.derive(case("g", bytes(16), protocol="gaen").key)).identifier
    heard = encounter(identifier + b"\xaa\xbb\xcc\xdd", MIDNIGHT + offset_s, protocol=2, seconds=0)

    assert len(sightings(tmp_path, [case("g", bytes(16), protocol="gaen")], heard)) == found


def test_identifiers_outside_the_record_s_range_are_nothing(tmp_path: Path) -> None:
    """The day after time_end is derivable by anybody, and is not derived."""
    whole = case("a", bytes(32), days=2)
    short = replace(whole, key=replace(whole.key, end_s=MIDNIGHT + DAY_S - 1))
    later = [one for one in bluezone.derive(whole.key) if one.start_s >= MIDNIGHT + DAY_S][10]
    heard = encounter(later.identifier, later.start_s)

    assert len(sightings(tmp_path, [whole], heard)) == 1
    assert sightings(tmp_path, [short], heard) == []


def test_the_protocol_s_tag_counts(tmp_path: Path) -> None:
    """The same bytes under another protocol are not heard."""
    identifier = next(bluezone.derive(case("a", bytes(32)).key)).identifier

    assert sightings(tmp_path, [case("a", bytes(32))], encounter(identifier, MIDNIGHT, protocol=3)) == []


def test_two_identifiers_in_one_minute_are_one_minute(tmp_path: Path) -> None:
    """At a rotation: adverts add up, the strongest packet counts, unknown RSSI is no packet."""
    first, second = list(bluezone.derive(case("a", bytes(32)).key))[:2]
    edge = MIDNIGHT + 900 - 20

    result = sightings(
        tmp_path,
        [case("a", bytes(32))],
        encounter(first.identifier, edge, rssi=-90),
        encounter(second.identifier, edge + 12, rssi=-60),
        encounter(first.identifier, edge - 60, rssi=127),
    )

    assert [(one.adverts, one.rssi_max, one.near) for one in result] == [(4, None, False), (8, -60, True)]


def test_visits_join_minutes_and_end_in_silence() -> None:
    """Up to five silent minutes are bridged."""
    minutes = [0, 1, 7, 14, 15]
    made = [
        match.HeardMinute(
            case="a", device=BOX, minute_s=60 * minute, adverts=1, rssi_max=-60 - minute, near=minute < 8,
            strict=True, offset_s=0,
        )
        for minute in minutes
    ]  # fmt: skip

    found = match.visits(made)

    assert [(visit.start_s, visit.end_s, visit.minutes, visit.near_minutes) for visit in found] == [
        (0, 480, 3, 3), (840, 960, 2, 0),
    ]  # fmt: skip


def test_files_of_different_requests_are_not_mixed(tmp_path: Path) -> None:
    """An order is for its own hours."""
    paths = [open_file(tmp_path / "a"), open_file(tmp_path / "b", request=replace(ORDER, nonce=bytes(16)))]

    with pytest.raises(BadDataError, match="different requests"):
        match.match([], paths, now_s=MIDNIGHT)


def test_an_expired_file_is_not_read(tmp_path: Path) -> None:
    """Fourteen days and it is over; a file that others may read is refused, too."""
    path = open_file(tmp_path / "a")

    with pytest.raises(RefusedError, match="expired"):
        match.match([], [path], now_s=MIDNIGHT + 14 * DAY_S)
    path.chmod(0o644)
    with pytest.raises(RefusedError, match="others"):
        match.match([], [path], now_s=MIDNIGHT)


def test_a_result_survives_the_disk(tmp_path: Path) -> None:
    """What report reads is what match wrote."""
    match.save(sample(), tmp_path / "result")

    assert match.load(tmp_path / "result") == sample()
    assert (tmp_path / "result").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"format":"x"}', '{"format":"edge-scanner/sightings/1"}', "[" * 100_000], ids=len
)
def test_other_files_are_no_results(tmp_path: Path, content: str) -> None:
    """One line, exit code 65."""
    (tmp_path / "odd").write_text(content)

    with pytest.raises(BadDataError):
        match.load(tmp_path / "odd")


def test_csv_and_parquet_have_one_row_a_minute(tmp_path: Path) -> None:
    """The same rows; a case that looks like a formula is a text."""
    matches = sample()
    evil = replace(
        matches, sightings=(replace(matches.sightings[0], case="=cmd|' /C calc'!A0"), *matches.sightings[1:])
    )
    report.write_csv(evil, tmp_path / "out.csv")
    report.write_parquet(matches, tmp_path / "out.parquet")

    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    table = pl.read_parquet(tmp_path / "out.parquet")

    assert tuple(rows[0]) == report.COLUMNS == tuple(table.columns)
    assert rows[0]["case"] == "'=cmd|' /C calc'!A0"
    assert len(rows) == len(table) == len(matches.sightings)
    assert table["rssi_max_dbm"].to_list() == [one.rssi_max for one in matches.sightings]
    assert rows[1]["minute_local"].endswith("+07:00")


def test_the_timeline_names_the_zone_of_its_hours() -> None:
    """The axis has bare hours behind a date with its zone."""
    axis = re.findall('<text class="axis"[^>]*>([^<]*)<', report.page(sample()))

    assert re.fullmatch(r"\d\d/\d\d/\d{4} \+07", axis[0])
    assert all(re.fullmatch(r"\d\d:\d\d|\d\d/\d\d|\d\d/\d\d/\d{4} \+07", one) for one in axis)


def test_a_page_without_a_sighting_says_so() -> None:
    """Silence is said in both languages."""
    page = report.page(replace(sample(), sightings=()))

    assert "None of the phones looked for was heard" in page
    assert "<script" not in page
