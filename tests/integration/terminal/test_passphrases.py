"""Secrets are given to all programs in the same ways: a file, a descriptor, the environment, systemd, or typed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from typer.main import get_command

from tests.support.dialogue import Dialogue

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PROGRAMS = {
    "edge-scanner": "edge_scanner.device.cli",
    "edge-authority": "edge_scanner.authority.cli",
    "edge-central": "edge_scanner.central.cli",
    "edge-provision": "provisioning.cli",
}
FLEET = ("--broker", "h", "--hotline", "1", "--label-address", "HTTPS://Q.HCM.TEST/D/")
GOOD = {"passphrase": "bốn từ ngẫu nhiên", "password": "bốn từ ngẫu nhiên", "pin": "481516"}
PIN = ("edge-scanner", "pin", "EDGE_SCANNER_PIN", "ops-pin {made}/pin")
CASES = [
    ("edge-authority", "passphrase", "EDGE_AUTHORITY_PASSPHRASE", "keys new {made} --role approver --name An"),
    ("edge-provision", "passphrase", "EDGE_PROVISION_PASSPHRASE", "fleet new thu --fleet {made}"),
    ("edge-central", "password", "EDGE_CENTRAL_PASSWORD", "user an --role reader --config {config}"),
    PIN,
    ("edge-scanner", "pin", "EDGE_SCANNER_PIN", "setup --yes --folder {made}/box"),
]


def _command(folder: Path, program: str, words: str) -> list[str]:
    """Everything that is needed but the secret; what is made lies in `made`."""
    made, config = folder / "made", folder / "central.toml"
    made.mkdir()
    config.write_text(f'[database]\nurl = "sqlite://"\n[serve]\nusers = "{made}/users.toml"\n')
    command = [sys.executable, "-m", PROGRAMS[program], *words.format(made=made, config=config).split()]
    return [*command, *FLEET] if program == "edge-provision" else command


@pytest.mark.parametrize(
    ("case", "way"),
    [
        *((case, way) for case in CASES for way in ("file", "environment")),
        *((PIN, way) for way in ("stdin", "descriptor", "systemd")),
        (CASES[1], "systemd"),
    ],
)
def test_every_program_is_given_its_secret_in_the_same_four_ways(
    tmp_path: Path, case: tuple[str, ...], way: str
) -> None:
    """Nobody is asked, and the file may end with a line's end or not."""
    program, secret, variable, words = case
    handed = tmp_path / "credentials"
    handed.mkdir()
    file = handed / secret
    file.write_text(GOOD[secret] + ("\n" if way == "file" else ""), encoding="utf-8")
    command, environment = _command(tmp_path, program, words), {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    match way:
        case "file":
            command += [f"--{secret}-file", str(file)]
        case "stdin":
            command += [f"--{secret}-file", "-"]
        case "descriptor":
            command = ["sh", "-c", 'exec "$@" 3<"$0"', str(file), *command, f"--{secret}-file", "/dev/fd/3"]
        case "environment":
            environment[variable] = GOOD[secret]
        case _:
            environment["CREDENTIALS_DIRECTORY"] = str(handed)
    with file.open("rb") as source:
        done = subprocess.run(
            command,
            stdin=source if way == "stdin" else subprocess.DEVNULL,
            capture_output=True, text=True, check=False, env=os.environ | environment,
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert [path for path in (tmp_path / "made").rglob("*") if path.is_file()] != []


NOT_ONE = "not a passphrase (FILE); a file of one line"


@pytest.mark.parametrize(
    ("case", "content", "code", "reason"),
    [
        *((case, b"one\ntwo\n", 65, NOT_ONE) for case in CASES),
        (PIN, b"", 65, NOT_ONE),
        (PIN, b"x" * 5000, 65, NOT_ONE),
        (PIN, None, 74, "cannot read: No such file or directory (FILE); a file of one line"),
    ],
)
def test_what_is_no_secret_is_refused_in_the_same_words(
    tmp_path: Path, case: tuple[str, ...], content: bytes | None, code: int, reason: str
) -> None:
    """One line and one exit code, and nothing is made."""
    program, secret, _, words = case
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    command = [*_command(tmp_path, program, words), f"--{secret}-file", str(file)]

    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": ROOT})

    assert (done.returncode, done.stderr) == (code, f"{program}: {reason.replace('FILE', str(file))}\n")
    assert list((tmp_path / "made").rglob("*")) == []


@pytest.mark.parametrize(
    ("case", "question"), [(CASES[0], "/ Passphrase: "), (CASES[1], "/ New passphrase of the fleet: ")]
)
def test_a_new_passphrase_is_worth_its_name_in_both_programs(
    tmp_path: Path, case: tuple[str, ...], question: str
) -> None:
    """Given by a file, a weak one is refused; at the terminal it is asked for again, and then once more."""
    program, secret, _, words = case
    (tmp_path / "weak").write_text("elevenchars")
    command = _command(tmp_path, program, words)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [*command, f"--{secret}-file", str(tmp_path / "weak")],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (done.returncode, "at least 12 characters, 6 of them different" in done.stderr) == (65, True)

    with Dialogue(command, {"PYTHONPATH": str(ROOT)}) as typed:
        typed.answer(question, text="elevenchars")
        typed.answer("at least 12 characters", question, text=GOOD[secret])
        typed.answer("Nhập lại / Repeat: ", text=GOOD[secret])
        assert typed.end() == 0


def _options(command: Any) -> Iterator[Any]:
    yield from (parameter for parameter in command.params if parameter.param_type_name == "option")
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_takes_a_secret_on_the_command_line(program: str) -> None:
    """Every option that is about one takes the name of a file; every program has `--lang`, with the same values."""
    options = list(_options(get_command(import_module(PROGRAMS[program]).app)))
    secrets = {name for option in options for name in option.opts if set(name.strip("-").split("-")) & set(GOOD)}
    languages = {get_args(option.type_descriptor.annotation) for option in options if "--lang" in option.opts}

    assert secrets
    assert [name for name in secrets if not name.endswith("-file")] == []
    assert languages == {("vi", "en")}
