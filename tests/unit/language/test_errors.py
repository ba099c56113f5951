"""Errors in two languages: every sentence is in the catalogue, and its values keep their places."""

from __future__ import annotations

import ast
import json
import os
import string
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.device import settings, settings_mistakes
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
CATALOGUE: dict[str, str] = json.loads(
    (resources.files("edge_scanner.language") / "vi.json").read_text(encoding="utf-8")
)
SETTINGS = ROOT / "edge_scanner" / "device" / "settings.py"
PROGRAMS = ("edge_scanner.device.cli", "edge_scanner.authority.cli", "edge_scanner.central.cli", "provisioning.cli")


def _sentences(node: ast.expr) -> Iterator[str]:
    """The sentences of an expression, with {} for each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _sentences(node.body)
        yield from _sentences(node.orelse)


def raised() -> dict[str, Path]:
    """Every sentence that the sources give to an error, and where."""
    found = {}
    for folder in ("edge_scanner", "provisioning"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                    if name in {"refuse", "_refused", "_require"}:
                        found.update({sentence: path for part in node.args[1:2] for sentence in _sentences(part)})
                    if name == "_check_mode":
                        found.update({sentence: path for part in node.args[2:4] for sentence in _sentences(part)})
                    if name.endswith("Error") or name in {"damaged", "Mistake", "replace"}:
                        given = [word.value for word in node.keywords if word.arg in {"what", "hint"}]
                        given += [] if name == "replace" else node.args[:1]
                        found.update({sentence: path for part in given for sentence in _sentences(part)})
                if (
                    isinstance(node, ast.Assign)
                    and ast.unparse(node.targets[0]) in {"what", "_COIN_TOSS_MEANT"}
                    and path.name == "settings.py"
                ):
                    found.update(dict.fromkeys(_sentences(node.value), path))
    found |= dict.fromkeys(settings_mistakes.CONVERSIONS, SETTINGS)
    return {sentence: path for sentence, path in found.items() if sentence.strip("{} ;")}


def test_every_sentence_is_in_the_catalogue() -> None:
    """Whoever adds an error adds its Vietnamese to edge_scanner/language/vi.json."""
    missing = {sentence: path.name for sentence, path in raised().items() if sentence not in CATALOGUE}

    assert missing == {}


def test_no_sentence_is_left_over() -> None:
    """The catalogue holds nothing that no code says."""
    assert set(CATALOGUE) - set(raised()) == set()


@pytest.mark.parametrize("english", [english for english in CATALOGUE if "{}" in english])
def test_values_keep_their_places(english: str) -> None:
    """The Vietnamese uses each value of the English, by its number."""
    used = {name for _, name, _, _ in string.Formatter().parse(CATALOGUE[english]) if name is not None}

    assert used == {str(number) for number in range(english.count("{}"))}


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        ([], {}, "en"),
        ([], {"LANG": "vi_VN.UTF-8"}, "vi"),
        ([], {"LC_ALL": "en_US.UTF-8", "LANG": "vi_VN.UTF-8"}, "en"),
        (["--lang", "vi"], {"LANG": "en_US.UTF-8"}, "vi"),
        (["--lang=en"], {"LANG": "vi_VN.UTF-8"}, "en"),
        (["--lang"], {"LANG": "vi_VN.UTF-8"}, "en"),
    ],
)
def test_option_then_locale(arguments: list[str], environment: dict[str, str], language: str) -> None:
    """`--lang` counts first, then the locale, then English."""
    assert errors.chosen(arguments, environment) == language


def test_values_and_places_stay_as_they_are() -> None:
    """Only the words change: the value and the place are the caller's."""
    error = BadDataError("larger than 64 bytes", where="x.bin: byte 65", hint="is this the right file?")

    assert errors.line(error, "en") == str(error)
    assert "64" in errors.line(error, "vi")
    assert "(x.bin: byte 65)" in errors.line(error, "vi")
    assert "larger" not in errors.line(error, "vi")


def test_an_unknown_sentence_stays_english() -> None:
    """Words from elsewhere, for example the operating system's, are passed on."""
    assert errors.line(BadDataError("quite unheard of"), "vi") == "quite unheard of"


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_speak_vietnamese(program: str) -> None:
    """Each program takes `--lang vi` and says what is wrong in Vietnamese."""
    words = {
        "edge_scanner.device.cli": ["check-config", "/nowhere.toml"],
        "edge_scanner.authority.cli": ["boxes", "/nowhere.csv"],
        "edge_scanner.central.cli": ["database", "--config", "/nowhere.toml"],
        "provisioning.cli": ["fleet", "list", "--fleet", "/nowhere"],
    }[program]

    done = subprocess.run(
        [sys.executable, "-m", program, "--lang", "vi", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "EDGE_PROVISION_PASSPHRASE": "x"},
    )

    assert done.returncode not in {0, 2}
    assert any(ord(letter) > 0x7F for letter in done.stderr), done.stderr


WRONG = b"""[mqtt]
host = "mqtt.example.vn"
tls = false
[kiosk]
port = 99999
prot = 1
moderate_from = 30
busy_from = 20
[radio]
mode = "loud"
"""


def test_each_mistake_in_the_settings_is_a_line_in_either_language() -> None:
    """Place, sentence and hint; in Vietnamese nothing of the sentences stays English."""
    with pytest.raises(ConfigurationError) as caught:
        settings.parse(WRONG, name="s.toml")

    english, vietnamese = (errors.lines(caught.value, language) for language in ("en", "vi"))

    assert english[0] == "s.toml:5: [kiosk] port: expected int <= 65535; the default is 8080"
    assert vietnamese == [
        "s.toml:5: [kiosk] port: phải là int không quá 65535; mặc định là 8080",
        "s.toml:6: [kiosk] prot: không có khoá cấu hình này; có phải port không?",
        "s.toml:10: [radio] mode: 'loud' không thuộc các giá trị active, passive; mặc định là 'active'",
        "s.toml:3: [mqtt] tls: chỉ được để false khi máy chủ MQTT ở ngay trên máy này; đặt tls = true",
        "s.toml:8: [kiosk] busy_from: phải lớn hơn moderate_from",
    ]


def test_the_program_prints_a_line_for_each_mistake(tmp_path: Path) -> None:
    """Five mistakes are five lines on stderr, each behind the program's name."""
    (tmp_path / "s.toml").write_bytes(WRONG)
    program = [sys.executable, "-m", "edge_scanner.device.cli", "check-config", str(tmp_path / "s.toml")]

    done = subprocess.run(program, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})

    assert (done.returncode, done.stdout) == (78, "")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["edge-scanner"] * 5
