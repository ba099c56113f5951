"""The language of the self-test and of the setup: what was asked for, else the whole locale, else Vietnamese."""

from __future__ import annotations

import pytest

from edge_scanner.device.commands.doctor import chosen_language


@pytest.mark.parametrize(
    ("asked", "locale", "language"),
    [
        ("", {}, "vi"),
        ("", {"LANG": "C.UTF-8"}, "vi"),
        ("", {"LANG": "en_GB.UTF-8"}, "en"),
        ("", {"LANG": "vi_VN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ("", {"LANG": "en_US.UTF-8", "LC_MESSAGES": "vi_VN.UTF-8"}, "vi"),
        ("en", {"LANG": "vi_VN.UTF-8"}, "en"),
        ("vi", {"LC_ALL": "en_US.UTF-8"}, "vi"),
    ],
)
def test_doctor_language(monkeypatch: pytest.MonkeyPatch, asked: str, locale: dict[str, str], language: str) -> None:
    """A box out of the carton names no language: its technician reads Vietnamese."""
    monkeypatch.delenv("LANG")
    for name, value in locale.items():
        monkeypatch.setenv(name, value)
    assert chosen_language(asked) == language
