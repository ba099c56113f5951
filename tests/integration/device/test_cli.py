"""What a person meets who types something wrong: one line that says what, where and how to mend, and the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import captures as make

PROGRAM = [sys.executable, "-m", "edge_scanner.device.cli"]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A capture that replays."""
    path = tmp_path / "capture.btsnoop"
    path.write_bytes(make.btsnoop([]))
    return path


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (
            "ops-pin {folder}/none/pin --pin-file {folder}/good",
            74,
            "cannot use the PIN's file: no such file or directory",
        ),
        ("ops-pin {folder}/pin --pin-file {folder}/short", 78, "not six to twelve digits"),
        ("replay {capture} --utc-offset nan", 78, "an offset of nan s is impossible"),
        ("replay {capture} --utc-offset 1e12", 78, "an offset of 1e+12 s is impossible"),
        ("replay {capture} --grace 0", 78, "a grace of 0 s is impossible"),
        ("kiosk --config {settings} --host 0.0.0.0", 78, "shows the page beyond this box (--host 0.0.0.0)"),
        ("log status --config {settings}", 74, "there is no log"),
    ],
)
def test_a_mistake_is_one_line_and_its_exit_code(
    tmp_path: Path, capture: Path, words: str, code: int, line: str
) -> None:
    """Nothing on stdout, one line on stderr, no traceback."""
    settings = tmp_path / "scanner.toml"
    (tmp_path / "good").write_text("123456\n")
    (tmp_path / "short").write_text("12\n")
    settings.write_text(f'[device]\nstate_dir = "{tmp_path}"\n')
    command = [*PROGRAM, *words.format(folder=tmp_path, capture=capture, settings=settings).split()]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (code, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("edge-scanner: ")
    assert line in said


def test_a_crash_has_a_code_of_its_own() -> None:
    """Python's own code for one is 1, which is the doctor's for a warning; the place is told as Python tells it."""
    crash = "from edge_scanner import program; program.run('edge-scanner', lambda: {}['a mistake'])"
    done = subprocess.run([sys.executable, "-c", crash], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.endswith("KeyError: 'a mistake'\n")


def test_a_pipe_is_replayed_when_its_grace_is_given(capture: Path) -> None:
    """A capture from a pipe replays in one pass; without `--grace`, which needs two, the line says so."""
    for words, code in ((["--grace", "60"], 0), ([], 74)):
        command = [*PROGRAM, "replay", "/dev/stdin", "--json", *words]
        done = subprocess.run(command, input=capture.read_bytes(), capture_output=True, check=False)

        assert done.returncode == code
        assert (b"a pipe can be read only once (/dev/stdin)" in done.stderr) == bool(code)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_output_is_an_io_error(capture: Path, unbuffered: str) -> None:
    """Where the result cannot be written the exit code says so, in one line, whether Python writes late or at once."""
    with Path("/dev/full").open("w") as full:
        command = [*PROGRAM, "replay", str(capture), "--json"]
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)

    assert done.returncode == 74
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-scanner: No space left on device (standard output)")
