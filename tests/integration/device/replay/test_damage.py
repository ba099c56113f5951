"""`edge-scanner replay` on damage: of files, of adverts, of clocks, of what hands the files over."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_scanner.core.errors import StorageError
from edge_scanner.device.commands.replay import run_replay
from edge_scanner.device.replay import replay
from edge_scanner.protocols import load
from tests.support import captures as make

T = make.START_S


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    program = [str(Path(sys.executable).with_name("edge-scanner")), "replay", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("content", "place"), [(b"not a capture", "byte 0"), (make.btsnoop([(T, 0, b"abcd")])[:-1], "byte 40")]
)
def test_a_damaged_file_is_one_line_and_exit_65(content: bytes, place: str, tmp_path: Path) -> None:
    """File and byte are named, stdout stays empty."""
    bad = tmp_path / "bad.log"
    bad.write_bytes(content)
    done = cli(str(bad), "--json")
    assert (done.returncode, done.stdout) == (65, "")
    assert done.stderr.count("\n") == 1
    assert f"{bad}, {place}" in done.stderr


def test_standard_input_is_a_dash(tmp_path: Path) -> None:
    """`-` reads a pipe once, so it needs a grace and stands once; damage is named as in a file."""
    log = make.android_log(tmp_path / "log", [(T + n, make.GAEN) for n in range(9)]).read_bytes()

    def piped(content: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        program = [str(Path(sys.executable).with_name("edge-scanner")), "replay", *arguments]
        return subprocess.run(program, input=content, capture_output=True, check=False)

    assert json.loads(piped(log, "-", "--grace", "60", "--json").stdout)["sightings"]["gaen"] == 9
    assert json.loads(piped(gzip.compress(log), "-", "--grace", "60", "--json").stdout)["adverts"] == 9
    assert piped(log, "-").returncode == 74
    assert piped(log, "-", "-", "--grace", "60").returncode == 78
    cut = piped(log[:-3], "-", "--grace", "60")
    assert (cut.returncode, cut.stderr.count(b"\n")) == (65, 1)
    assert b"(-, byte " in cut.stderr


def test_a_card_that_fails_while_reading_names_the_file() -> None:
    """A read error has the file's name, like a missing file."""
    with pytest.raises(StorageError) as caught:
        run_replay([Path("/proc/self/mem")], grace_s=60.0)
    assert caught.value.where == "/proc/self/mem"


def test_a_name_with_a_newline_stays_one_line(tmp_path: Path) -> None:
    """Whatever a file is called, its error is one line."""
    bad = tmp_path / "two\nlines"
    bad.write_bytes(b"not a capture file")
    assert cli(str(bad)).stderr.count("\n") == 1


def test_times_before_1970_are_refused_after_the_offset(tmp_path: Path) -> None:
    """A log of a phone whose clock was never set, moved to before 1970 by the offset: one line with its byte."""
    log = make.android_log(tmp_path / "log", [(0, make.GAEN), (T, make.GAEN)])
    done = cli(str(log), "--utc-offset", "25200", "--json")
    assert (done.returncode, done.stdout) == (65, "")
    assert f"{log}, byte 16" in done.stderr


def test_what_the_clock_did_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps and glitched stamps are counted in the answer and said in the table; neither makes the capture longer."""
    times = [0, 1, T, T + 1, T + 4e8, T + 2, T + 3]
    log = make.android_log(tmp_path / "log", [(at_s, make.GAEN) for at_s in times])
    summary = replay.replay([log], load(["gaen"]))
    told = summary.as_json()
    assert told["skipped"] == {"crc_failed": 0, "incomplete": 0, "clock_steps": 1, "stamps": 1}
    assert told["seconds"] == 4
    assert all(row.minute_s < T + 1e6 for row in summary.occupancy)
    run_replay([log])
    printed = " ".join(capsys.readouterr().out.split())
    assert "clock was set 1 time" in printed
    assert "1 impossible stamp" in printed


def test_a_damaged_tail_keeps_the_identifier(tmp_path: Path) -> None:
    """An advert whose last structure overruns it is recognised by what stands before, and the damage is counted."""
    log = make.android_log(tmp_path / "log", [(T, make.GAEN + b"\x05\x09ab"), (T + 1, make.GAEN + b"\x1f")])
    told = replay.replay([log], load(["gaen"])).as_json()
    assert (told["adverts"], told["malformed"], told["sightings"]) == (2, 2, {"gaen": 2})


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("adv-overrun-last.pcap", (1, 1, 0)),
        ("btsnoop2001-two-adapters.log", (2, 1, 0)),
        ("ng-opb.pcapng", (1, 1, 0)),
        ("btsnoop-1970.log", (2, 1, 0)),
        ("pcap-glitch-future.pcap", (4, 1, 10)),
        ("ng-snaplen-ffffffff.pcapng", (2, 1, 0)),
        ("gz-named-pcapng.pcapng", (2, 1, 1)),
        ("pklg.pklg", (1, 1, 0)),
        ("pcap-zero-tail.pcap", "byte 83"),
        ("ng-simple-only.pcapng", "byte 48"),
        ("pcap-usec-1000000.pcap", "byte 24"),
    ],
)
def test_odd_captures_of_the_field(name: str, right: tuple[int, int, int] | str, captures: Path) -> None:
    """Captures as people have them: adverts, identifiers and seconds, or the byte of the damage."""
    done = cli(str(captures / "captures-odd" / name), "--json", "--grace", "60")
    if isinstance(right, str):
        assert (done.returncode, done.stdout) == (65, "")
        assert right in done.stderr
        return
    told = json.loads(done.stdout)
    assert (told["adverts"], told["identifiers"]["gaen"], round(told["seconds"])) == right


def test_a_malformed_advert_is_theirs(tmp_path: Path) -> None:
    """Advertising data that overruns itself is a report, is counted as malformed and harms nobody else."""
    log = make.android_log(tmp_path / "log", [(T, make.GAEN), (T + 1, make.GAEN[:20]), (T + 2, make.GAEN)])
    told = replay.replay([log], load(["gaen"])).as_json()
    assert (told["adverts"], told["malformed"], told["sightings"]) == (3, 1, {"gaen": 2})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder is no capture: one line with its name."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder"):
        run_replay([tmp_path / "folder"])
