"""Whether the page can use the operator's PIN, as the scanner sees it, which hands it over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core import operator_pin
from edge_scanner.device.system import pin_file

if TYPE_CHECKING:
    from pathlib import Path

LINE = operator_pin.hash_pin("481516", bytes(operator_pin.SALT_BYTES)) + "\n"


def test_a_hash_is_usable(tmp_path: Path) -> None:
    """Whoever owns it: the scanner's user hands it to the page."""
    (tmp_path / "ops-pin").write_text(LINE)

    assert pin_file.usable(tmp_path / "ops-pin")
    assert pin_file.line(tmp_path / "ops-pin") == LINE


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff\xfe", LINE.encode()[:-9]])
def test_what_is_no_hash_is_not_usable(tmp_path: Path, content: bytes) -> None:
    """Whatever stands there instead."""
    (tmp_path / "ops-pin").write_bytes(content)

    assert not pin_file.usable(tmp_path / "ops-pin")


def test_a_box_without_a_pin_is_well_and_a_folder_is_no_file(tmp_path: Path) -> None:
    """No file: no operator's page was wished. A folder of that name is a mistake."""
    assert pin_file.usable(tmp_path / "ops-pin")
    assert not pin_file.usable(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """The scanner's own loop asks."""
    os.mkfifo(tmp_path / "ops-pin")

    assert not pin_file.usable(tmp_path / "ops-pin")


def test_what_the_scanner_cannot_read_is_not_usable(tmp_path: Path) -> None:
    """Nobody else hands it over; here a file stands where the folder should."""
    (tmp_path / "etc").touch()

    assert not pin_file.usable(tmp_path / "etc" / "ops-pin")
