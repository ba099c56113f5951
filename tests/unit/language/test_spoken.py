"""The language of what people read at length: what was asked for, else the whole locale, else Vietnamese."""

from __future__ import annotations

import pytest

from edge_scanner.language import errors


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
def test_spoken_language(asked: str, locale: dict[str, str], language: str) -> None:
    """A box out of the carton names no language: its technician reads Vietnamese."""
    assert errors.spoken(["doctor", "--lang", asked] if asked else ["doctor"], locale) == language
