"""The words around help and errors are the reader's: typer's own, of every program, by `--lang` and by locale."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import provisioning.cli
from edge_scanner.authority import cli as authority
from edge_scanner.central import cli as central
from edge_scanner.device import cli as device
from edge_scanner.language import errors

PROGRAMS = {
    "edge-scanner": (device.app, ("log", "export")),
    "edge-authority": (authority.app, ("keys", "certify")),
    "edge-central": (central.app, ("evidence",)),
    "edge-provision": (provisioning.cli.app, ("fleet", "issue")),
}
"""With a command of each that has an argument, options, a default and something required."""
ENGLISH = ("Usage:", "Try ", " Error ", " Options ", " Arguments ", " Commands ", "[required]", "[default:")
VIETNAMESE = ("Cách dùng:", "Gõ ", " Lỗi ", " Tuỳ chọn ", " Tham số ", " Các lệnh ", "[bắt buộc]", "[mặc định:")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    ("options", "locale", "words", "others"),
    [
        (("--lang", "vi"), "C.UTF-8", VIETNAMESE, ENGLISH),
        ((), "vi_VN.UTF-8", VIETNAMESE, ENGLISH),
        (("--lang", "en"), "vi_VN.UTF-8", ENGLISH, VIETNAMESE),
    ],
    ids=["lang-vi", "locale-vi", "lang-en"],
)
def test_panels_and_usage_are_in_the_readers_language(
    *,
    program: str,
    options: tuple[str, ...],
    locale: str,
    words: tuple[str, ...],
    others: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three pages of a program have all eight words between them: its help, a command's help, a mistake."""
    app, command = PROGRAMS[program]
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv("COLUMNS", "160")

    for given in (("--help",), (*command, "--help"), command):
        monkeypatch.setattr(sys, "argv", [program, *options, *given])
        with pytest.raises(SystemExit):
            app()
    captured = capsys.readouterr()
    pages = re.sub(r"\x1b\[[\d;]*m", "", captured.out + captured.err)

    assert [word for word in words if word not in pages] == []
    assert [word for word in others if word in pages] == []


def test_an_unanswered_question_ends_in_vietnamese() -> None:
    """Nobody answers: stdin is empty, and typer's last word is translated, too."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_scanner.device.cli", "--lang", "vi", "ops-pin", "/nowhere/pin"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        start_new_session=True,
    )

    assert errors.vietnamese("Aborted.") in done.stderr
    assert "Aborted" not in done.stderr
