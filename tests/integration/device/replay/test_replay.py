"""`edge-scanner replay` on real and made captures: what it counts, what it refuses, what it never shows."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.core.model import PhoneClass
from edge_scanner.device.commands.replay import all_protocols, plot, run_replay, show
from edge_scanner.device.replay import captures, replay
from edge_scanner.protocols import load, recognise
from tests.support import captures as make

if TYPE_CHECKING:
    from edge_scanner.core.model import Advert

LOGS = ("08", "12", "18")
EVERY_PROTOCOL = load(all_protocols())
LOCAL_IS_AHEAD_S = 7200
"""The logs carry Central European Summer Time."""
T = make.START_S


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest, captures: Path) -> Path:
    """Each of the three real logs of DP-3T's experiment 34."""
    return captures / "dp3t-exp34" / f"{request.param}.btsnoop"


def gaen(number: int) -> bytes:
    """An Exposure Notification advert with an identifier of its own."""
    return make.GAEN[:8] + number.to_bytes(16, "big") + bytes(4)


def test_every_report_of_a_real_log_is_read(log: Path) -> None:
    """Time, RSSI and data of every advertising report equal what the second decoder reads."""
    read = captures.read(log, captures.Losses())
    assert [make.Seen(round(r.at_s * 1e6), r.rssi or 127, r.data) for r in read] == list(
        make.second_decoder(log.read_bytes())
    )


def test_exposure_notifications_of_a_real_log_are_recognised_and_nothing_else(log: Path) -> None:
    """Exactly the reports with 20 bytes of 0xFD6F service data are `gaen`, with these bytes, and no other protocol is
    seen in the hall but hints.
    """
    expected = [make.exposure_notification(seen.data) for seen in make.second_decoder(log.read_bytes())]
    intake = replay.Intake()
    found: list[bytes | None] = []
    for advert in replay.adverts([log], EVERY_PROTOCOL, intake):
        sightings = [s for s in recognise(EVERY_PROTOCOL, advert) if s.kind != "hint"]
        assert {sighting.protocol.name for sighting in sightings} <= {"gaen"}
        found.append(sightings[0].payload if sightings else None)
    assert intake.malformed == 0
    assert found == expected
    assert sum(payload is not None for payload in found) > 1000


def test_a_real_log_replays_into_the_fixed_interface(log: Path) -> None:
    """`--json` prints one object whose numbers equal the second decoder's."""
    done = cli(str(log), "--json", "--utc-offset", str(LOCAL_IS_AHEAD_S))
    assert done.stderr == ""
    told = json.loads(done.stdout)
    seen = list(make.second_decoder(log.read_bytes()))
    payloads = [payload for one in seen if (payload := make.exposure_notification(one.data))]
    assert told["adverts"] == len(seen)
    assert told["sightings"] == {name: len(payloads) if name == "gaen" else 0 for name in all_protocols()}
    assert told["identifiers"]["gaen"] == len({payload[:16] for payload in payloads})
    assert told["malformed"] == 0
    stamps = record_times(log.read_bytes())
    assert told["seconds"] == pytest.approx((max(stamps) - min(stamps)) / 1e6, abs=0.001)
    minutes = [row["minute"] for row in told["occupancy"] if row["protocol"] == "gaen"]
    assert minutes == sorted(set(minutes))
    assert all(minute % 60 == 0 for minute in minutes)
    assert minutes[-1] == (seen[-1].at_us // 1_000_000 - LOCAL_IS_AHEAD_S) // 60 * 60


def test_a_duty_cycled_phone_counts_the_hall(log: Path) -> None:
    """One phone that scans 4 s every few minutes tells the 37 devices within a fifth; its grace is found by itself."""
    summary = replay.replay([log], load(["gaen"]), utc_offset_s=LOCAL_IS_AHEAD_S)
    assert 300 < summary.grace_s <= replay.MAX_GRACE_S
    assert statistics.median(session(summary)) == pytest.approx(37, rel=0.2)


def test_several_receivers_count_the_hall_better(captures: Path) -> None:
    """The union of the three logs needs less grace than one of them and comes as near."""
    logs = [captures / "dp3t-exp34" / f"{name}.btsnoop" for name in LOGS]
    union = replay.replay(logs, load(["gaen"]), utc_offset_s=LOCAL_IS_AHEAD_S)
    alone = replay.replay(logs[:1], load(["gaen"]))
    assert union.grace_s < alone.grace_s
    assert union.intake.reports == sum(len(list(make.second_decoder(one.read_bytes()))) for one in logs)
    assert statistics.median(session(union)) == pytest.approx(37, rel=0.2)


def record_times(log: bytes) -> list[int]:
    """The time of every record of a btsnoop file, microseconds."""
    times, position = [], 16
    while position < len(log):
        times.append(int.from_bytes(log[position + 16 : position + 24], "big"))
        position += 24 + int.from_bytes(log[position + 4 : position + 8], "big")
    return times


def session(summary: replay.Summary) -> list[int]:
    """Exposure Notification devices in the last two and a half hours, when the experiment ran."""
    return [row.devices for row in summary.occupancy if row.figure == "gaen"][-155:-5]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_real_log_with_wrong_bytes_gives_reports_or_one_error(
    changes: list[tuple[int, int]], captures: Path, tmp_path: Path
) -> None:
    """The beginning of a real log, mutated, replays or is refused as bad data, and never anything else."""
    content = bytearray((captures / "dp3t-exp34" / "18.btsnoop").read_bytes()[:20_000])
    for place, value in changes:
        content[place % len(content)] = value
    damaged = tmp_path / "damaged"
    damaged.write_bytes(content)
    with pytest.raises(BadDataError, match=f"{damaged}, byte "):
        # It always ends inside a record.
        replay.replay([damaged], EVERY_PROTOCOL)


def cli(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    program = [str(Path(sys.executable).with_name("edge-scanner")), "replay", *arguments]
    return subprocess.run(program, capture_output=True, text=True, cwd=cwd, check=False)


def test_a_replay_writes_nothing_and_shows_no_phone(tmp_path: Path) -> None:
    """No file appears, and neither identifier nor address nor name is in what is printed, as table or as JSON."""
    name = b"\x09\x09Nguyen A"
    log = make.android_log(tmp_path / "log", [(T + n, make.GAEN) for n in range(300)] + [(T + 300, name)])
    canaries = [make.GAEN[8:24].hex(), "51:22:33:44:55:66", make.ADDRESS.hex(), make.ADDRESS[::-1].hex(), "Nguyen"]
    for arguments in ([], ["--json"]):
        done = cli(str(log), *arguments, cwd=tmp_path)
        assert done.returncode == 0
        assert "gaen" in done.stdout
        assert not [canary for canary in canaries if canary in (done.stdout + done.stderr).lower()]
    assert list(tmp_path.iterdir()) == [log]


def test_what_the_operator_got_wrong_has_its_own_exit_codes(tmp_path: Path) -> None:
    """No file at all is usage (2), a missing one I/O (74), an unknown protocol or a senseless grace settings (78)."""
    log = make.android_log(tmp_path / "log", [(T, make.GAEN)])
    assert cli().returncode == 2
    assert cli(str(tmp_path / "missing")).returncode == 74
    assert cli(str(log), "--protocols", "gaen,nosuch").returncode == 78
    assert cli(str(log), "--grace", "0").returncode == 78


def test_chosen_protocols_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--protocols` limits what is recognised; unknown names are refused."""
    log = make.android_log(tmp_path / "log", [(T, make.GAEN)])
    run_replay([log], protocols="bluezone, dp3t", as_json=True)
    assert json.loads(capsys.readouterr().out)["sightings"] == {"bluezone": 0, "dp3t": 0}
    with pytest.raises(ConfigurationError, match="unknown protocol"):
        run_replay([log], protocols="nosuch")


def test_the_clock_offset_moves_the_minutes(tmp_path: Path) -> None:
    """A capture in local time is brought to UTC by its offset."""
    log = make.android_log(tmp_path / "log", [(T + n, make.GAEN) for n in range(600)])
    minutes = [
        {row.minute_s for row in replay.replay([log], load(["gaen"]), utc_offset_s=offset).occupancy}
        for offset in (0, 3600)
    ]
    assert minutes[1] == {minute - 3600 for minute in minutes[0]}
    assert len(minutes[0]) == 11


def test_hints_stand_apart_from_sightings(tmp_path: Path) -> None:
    """A background iPhone adds to `hints`, never to sightings or identifiers."""
    overflow = bytes.fromhex("14ff4c000108") + bytes(15)
    log = make.android_log(tmp_path / "log", [(T, overflow)])
    told = replay.replay([log], load(["bluezone"])).as_json()
    assert (told["hints"], told["sightings"], told["identifiers"]) == (
        {"bluezone": 1},
        {"bluezone": 0},
        {"bluezone": 0},
    )


def test_only_a_name_that_may_hide_an_identifier_stays(tmp_path: Path) -> None:
    """A v1 Bluezone iPhone is recognised by its name; every other name is gone before anything else sees it."""
    service = bytes.fromhex("110767a607add1172fa1c44bf573f4390ae2")
    log = make.android_log(tmp_path / "log", [(T, service + b"\x0b\x092A1Cb2C135"), (T + 1, b"\x0b\x092A1Cb2C135")])
    seen = list(replay.adverts([log], EVERY_PROTOCOL, replay.Intake()))
    assert [advert.data.local_name for advert in seen] == ["2A1Cb2C135", None]
    (sighting,) = recognise(EVERY_PROTOCOL, seen[0])
    assert (sighting.identifier, sighting.phone_class) == (b"A1b2C3", PhoneClass.IPHONE)


def test_a_long_silence_costs_nothing(tmp_path: Path) -> None:
    """A clock that jumps from 1970 to today yields rows where somebody may have been, not for the fifty years."""
    log = make.android_log(
        tmp_path / "log", [(n, gaen(1)) for n in range(300)] + [(T + n, gaen(2)) for n in range(300)]
    )
    summary = replay.replay([log], load(["gaen"]))
    assert summary.seconds == 598
    assert len(summary.occupancy) < 200
    assert {row.devices for row in summary.occupancy if row.minute_s > T} == {1, 0} or summary.occupancy[
        -1
    ].devices == 1


def test_identifiers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More identifiers than can be kept apart end the replay with a hint."""
    monkeypatch.setattr(replay, "MAX_IDENTIFIERS", 10)
    log = make.android_log(tmp_path / "log", [(T, gaen(number)) for number in range(11)])
    with pytest.raises(BadDataError, match="more than 10 identifiers"):
        replay.replay([log], load(["gaen"]))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Forty thousand reports are read within a megabyte."""
    event = b"\x04" + make.legacy_event(make.legacy_report(make.GAEN))
    log = tmp_path / "log"
    with log.open("wb") as out:
        out.write(make.btsnoop([]))
        for block in range(40):
            out.write(make.btsnoop([(T + block * 10 + n / 100, 3, event) for n in range(1000)])[16:])
    tracemalloc.start()
    try:
        reports = sum(1 for _ in replay.adverts([log], EVERY_PROTOCOL, replay.Intake()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reports == 40_000
    assert peak < 1_000_000 < log.stat().st_size


def test_classes_stand_in_the_occupancy_by_name(tmp_path: Path) -> None:
    """One device of each class beside two Exposure Notification phones: a row a minute and figure, no other figure."""
    shown = {
        "phone": bytes.fromhex("02011a0aff4c001005031c2f3a4b"),
        "computer": bytes.fromhex("1eff06000109200299aabbccddeeff00112233445566778899aabbccddeeff"),
        "accessory": bytes.fromhex("07ff4c0012020003"),
        "thing": bytes.fromhex("1aff4c00021500112233445566778899aabbccddeeff00010002c5"),
        "unknown": bytes.fromhex("05fffeff0102"),
    }
    heard = [
        (T + second, 3, b"\x04" + make.legacy_event(make.legacy_report(data, address=bytes([number] * 6))))
        for second in range(0, 600, 5)
        for number, data in enumerate((*shown.values(), gaen(1), gaen(2)), 0xC1)
    ]
    log = tmp_path / "log"
    log.write_bytes(make.btsnoop(heard))
    done = subprocess.run(
        [sys.executable, "-m", "edge_scanner.device.cli", "replay", str(log), "--grace", "60", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = json.loads(done.stdout)["occupancy"]

    assert {tuple(row) for row in rows} == {("minute", "protocol", "devices")}
    middle = {row["protocol"]: row["devices"] for row in rows if row["minute"] == T // 60 * 60 + 300}
    assert middle == {"gaen": 2, **dict.fromkeys(shown, 1)}


def test_classes_of_a_receiver_that_listens_in_turns_are_left_out(tmp_path: Path) -> None:
    """An iPhone's Nearby Info is a phone to a sniffer; at a grace of turns it is left out, and people are told."""
    nearby_info = bytes.fromhex("02011a0aff4c001005031c2f3a4b")
    log = make.android_log(tmp_path / "log", [(T + 10 * n, nearby_info) for n in range(60)])
    always, turns = (replay.replay([log], load(["gaen"]), grace_s=grace_s) for grace_s in (60.0, 300.0))
    assert {row.figure for row in always.occupancy} == {"phone"}
    assert max(row.devices for row in always.occupancy) == 1
    assert turns.occupancy == ()
    console = Console(width=120, record=True, file=(tmp_path / "out").open("w"))
    show(turns, console)
    console.file.close()
    assert "this receiver listened in turns" in console.export_text()


def test_the_table_is_for_people(tmp_path: Path) -> None:
    """Without --json: totals, protocols, losses and a row of bars per figure, in eighty columns."""
    log = make.android_log(
        tmp_path / "log", [(T + n, gaen(n % 4)) for n in range(1200)] + [(T + 1200, make.GAEN[:20]), (T + 1201, b"")]
    )
    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    show(replay.replay([log], load(["gaen", "bluezone"])), console)
    text = console.export_text()
    console.file.close()
    assert "1,202 adverts in 20 min, 2020-09-13 12:26 to 12:46 UTC; grace 60 s" in text
    assert "not counted: 1 malformed" in text
    assert "gaen" in text
    assert "█" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80


def test_an_empty_capture_shows_an_empty_table(tmp_path: Path) -> None:
    """A capture without adverts is no error."""
    log = make.android_log(tmp_path / "log", [])
    told = replay.replay([log], load(["gaen"])).as_json()
    assert (told["adverts"], told["seconds"], told["occupancy"]) == (0, 0, [])
    run_replay([log])


@pytest.mark.parametrize(
    ("values", "bars"),
    [([0, 1, 8], ("  ▁█"[1:], 8)), ([5], ("█", 5)), ([0], (" ", 0)), ([1] * 104, ("█" * 52, 1))],
)
def test_bars(values: list[int], bars: tuple[str, int]) -> None:
    """A bar is the mean of its minutes against the greatest value; empty means nobody."""
    assert plot(values) == bars


def test_every_advert_is_handed_on(tmp_path: Path) -> None:
    """`also` gets what was counted, one by one."""
    log = make.android_log(tmp_path / "log", [(T + n, make.GAEN) for n in range(10)])
    seen: list[Advert] = []
    replay.replay([log], load(["gaen"]), also=seen.append)
    assert [advert.count for advert in seen] == [1] * 10
