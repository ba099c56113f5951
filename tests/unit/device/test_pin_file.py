"""Whether the page's own user can use the operator's PIN, as the scanner sees it."""

from __future__ import annotations

import grp
import os
import pwd
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core import operator_pin
from edge_scanner.device import pin_file

if TYPE_CHECKING:
    from pathlib import Path

LINE = operator_pin.hash_pin("481516", bytes(operator_pin.SALT_BYTES)) + "\n"
ME = pwd.getpwuid(os.geteuid()).pw_name
MINE = grp.getgrgid(os.getegid()).gr_name
ANOTHER = next(one.gr_name for one in grp.getgrall() if one.gr_gid not in (os.getegid(), 65_534))


@pytest.mark.parametrize(
    ("group", "mode", "usable"),
    [
        (MINE, 0o640, True),
        (MINE, 0o600, False),
        (ANOTHER, 0o640, False),
        (ANOTHER, 0o644, True),
        ("nobody-has-this", 0o600, True),
    ],
)
def test_the_pages_user_must_be_able_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, mode: int, usable: bool
) -> None:
    """By its group or as everybody; where no such user is, one user runs everything."""
    monkeypatch.setattr(pin_file, "SERVICE_USER", ME)
    monkeypatch.setattr(pin_file, "KIOSK_GROUP", group)
    file = tmp_path / "ops-pin"
    file.write_text(LINE)
    file.chmod(mode)

    assert pin_file.usable(file) is usable


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff\xfe", LINE.encode()[:-9]])
def test_what_is_no_hash_is_not_usable(tmp_path: Path, content: bytes) -> None:
    """Whatever stands there instead."""
    (tmp_path / "ops-pin").write_bytes(content)

    assert not pin_file.usable(tmp_path / "ops-pin")


def test_a_box_without_a_pin_is_well_and_a_folder_is_no_file(tmp_path: Path) -> None:
    """No file: no operator's page was wished. A folder of that name is a mistake."""
    assert pin_file.usable(tmp_path / "ops-pin")
    assert not pin_file.usable(tmp_path)
