"""Errors in two languages: every sentence is in the catalogue, and its values keep their places."""

from __future__ import annotations

import errno
import json
import os
import re
import string
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import provisioning.cli
from edge_scanner.core import settings_mistakes
from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.device import settings
from edge_scanner.language import errors
from tests.support import error_sentences

ROOT = Path(__file__).parents[3]
CATALOGUE: dict[str, str] = json.loads(
    (resources.files("edge_scanner.language") / "vi.json").read_text(encoding="utf-8")
)
ELSEWHERE = json.loads((resources.files("edge_scanner.language") / "elsewhere.json").read_text(encoding="utf-8"))
SETTINGS = ROOT / "edge_scanner" / "device" / "settings.py"
PROGRAMS = ("edge_scanner.device.cli", "edge_scanner.authority.cli", "edge_scanner.central.cli", "provisioning.cli")


def raised() -> dict[str, Path]:
    """Every sentence that an error may say, and where."""
    return error_sentences.sentences() | dict.fromkeys(settings_mistakes.CONVERSIONS, SETTINGS)


def test_every_sentence_is_in_the_catalogue() -> None:
    """Whoever adds an error adds its Vietnamese to edge_scanner/language/vi.json."""
    missing = {
        sentence: path.name
        for sentence, path in raised().items()
        if sentence not in CATALOGUE and sentence.lower() not in ELSEWHERE["system"]
    }

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


def test_every_noun_beside_a_number_is_known() -> None:
    """`counted` in an error is an English noun: its Vietnamese stands in elsewhere.json, and nothing else does."""
    assert set(ELSEWHERE["nouns"]) == error_sentences.counted_nouns()


@pytest.mark.parametrize(
    ("english", "vietnamese"),
    [
        ("the hours asked for span more than 1 hour", "khoảng giờ yêu cầu dài hơn 1 giờ"),
        ("the hours asked for span more than 1,200 hours", "khoảng giờ yêu cầu dài hơn 1,200 giờ"),
        ("cannot use the proof: permission denied", "không dùng được tệp chứng minh: không có quyền"),
        ("cannot use /x/y of mine: odd", "không dùng được /x/y of mine: odd"),
        ("the broker ended the connection (0x80)", "máy chủ MQTT đã đóng kết nối (0x80)"),
    ],
)
def test_values_that_are_words_are_translated_too(english: str, vietnamese: str) -> None:
    """A number with its noun, a phrase of ours, the system's reason, a sentence within; anything else stays."""
    assert errors.vietnamese(english) == vietnamese


@pytest.mark.parametrize(
    "number",
    [
        "EACCES", "EADDRINUSE", "EADDRNOTAVAIL", "EBADF", "EBUSY", "ECONNREFUSED", "ECONNRESET", "EDQUOT", "EEXIST",
        "EHOSTUNREACH", "EINVAL", "EIO", "EISDIR", "ELOOP", "EMFILE", "ENAMETOOLONG", "ENETUNREACH", "ENODEV", "ENOENT",
        "ENOMEM", "ENOSPC", "ENOTDIR", "ENOTEMPTY", "EPERM", "EPIPE", "EROFS", "ETIMEDOUT", "ETXTBSY",
    ],
)  # fmt: skip
def test_the_usual_reasons_of_the_system_are_known(number: str) -> None:
    """As this system words them."""
    reason = os.strerror(getattr(errno, number))

    assert errors.vietnamese(reason) not in {reason, ""}


USAGE = (
    (["frobnicate"], "không có lệnh 'frobnicate'"),
    (["--nope"], "không có tuỳ chọn --nope"),
    (["fleet", "lst"], "không có lệnh 'lst'. Ý bạn là 'list'?"),
    (["fleet", "list", "--files"], "tuỳ chọn '--files' cần một giá trị"),
    (["fleet", "list", "--jsn"], "không có tuỳ chọn --jsn (có thể là: --json)"),
    (["fleet", "key", "more"], "thừa tham số: more"),
    (["fleet", "list", "--json=1"], "tuỳ chọn '--json' không nhận giá trị"),
    (["fleet", "trust"], "thiếu tham số"),
    (["batch", "new", "B-1", "--count", "many"], "giá trị của '--count' không hợp lệ: phải là số nguyên"),
    (["batch", "new", "B-1", "--count", "0"], "giá trị của '--count' không hợp lệ: phải từ 1 trở lên"),
    (["batch", "new", "B-1", "--count", "501"], "giá trị của '--count' không hợp lệ: phải không quá 500"),
)


@pytest.mark.parametrize(("arguments", "said"), USAGE, ids=[" ".join(one[0]) for one in USAGE])
def test_a_wrong_command_line_is_said_in_vietnamese(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage error of typer, in the words of the reader; the exit code stays."""
    monkeypatch.setattr(sys, "argv", ["edge-provision", "--lang", "vi", *arguments])
    monkeypatch.setenv("COLUMNS", "200")

    with pytest.raises(SystemExit) as ended:
        provisioning.cli.app()

    captured = capsys.readouterr()
    assert said in re.sub(r"\x1b\[[\d;]*m", "", captured.err + captured.out)
    assert ended.value.code == 2


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
        "s.toml:6: [kiosk] prot: không có mục cấu hình này; có phải port không?",
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
