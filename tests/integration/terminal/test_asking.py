"""Secrets are asked for in both languages, by one function for all programs, and typed twice where they are new."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.dialogue import Dialogue

ROOT = Path(__file__).parents[3]


def test_a_pin_is_asked_twice_in_both_languages(tmp_path: Path) -> None:
    """Two that differ are asked for again; then the hash is there."""
    command = [sys.executable, "-m", "edge_scanner.device.cli", "ops-pin", str(tmp_path / "pin")]
    with Dialogue(command, {"PYTHONPATH": str(ROOT)}) as typed:
        typed.answer("Mã PIN (6 đến 12 chữ số) / PIN (six to twelve digits): ", text="48151623")
        typed.answer("Nhập lại / Repeat: ", text="48151624")
        typed.answer("Hai lần nhập không giống nhau. / The two are not the same.", "digits): ", text="48151623")
        typed.answer("Nhập lại / Repeat: ", text="48151623")
        assert typed.end() == 0
    assert (tmp_path / "pin").read_text().startswith("scrypt$")


def test_what_is_wrong_with_a_passphrase_is_said_in_the_readers_language(tmp_path: Path) -> None:
    """A weak one is refused in Vietnamese and asked for again."""
    command = [
        *(sys.executable, "-m", "edge_scanner.authority.cli", "--lang", "vi", "keys", "new", str(tmp_path)),
        *("--role", "approver", "--name", "An"),
    ]
    with Dialogue(command, {"PYTHONPATH": str(ROOT)}) as typed:
        typed.answer("Mật khẩu / Passphrase: ", text="a")
        typed.shows("mật khẩu có ít nhất", "Mật khẩu / Passphrase: ")
