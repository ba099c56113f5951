"""Small files on a real disk whose power is cut: what was written stands under its name the moment it is said to be."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from edge_scanner import small_files
from tests.support.disks import disk_image, when_power_returns

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.system
def test_a_written_file_survives_a_cut_at_once(tmp_path: Path) -> None:
    """The card as it is when `write` returns, for a new file and for one that is replaced, ten times over."""
    card, folder = tmp_path / "card.img", tmp_path / "mnt"
    folder.mkdir()
    kept = []
    with disk_image(card, folder, megabytes=16):
        for number in range(10):
            small_files.write(folder / "mqtt.key", b"key %d" % number)
            small_files.write(folder / f"new-{number}", b"%d" % number)
            kept.append(tmp_path / f"cut-{number}.img")
            shutil.copy(card, kept[-1])

    for number, image in enumerate(kept):
        with when_power_returns(image, folder):
            assert (folder / "mqtt.key").read_bytes() == b"key %d" % number
            assert (folder / f"new-{number}").read_bytes() == b"%d" % number
        image.unlink()


@pytest.mark.system
def test_a_cut_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    """The card as it is when half was done: the old content, and the next write goes through."""
    card, cut, folder = tmp_path / "card.img", tmp_path / "cut.img", tmp_path / "mnt"
    folder.mkdir()
    with disk_image(card, folder, megabytes=16):
        small_files.write(folder / "mqtt.key", b"old")

        def cut_the_power() -> None:
            shutil.copy(card, cut)

        small_files.write(folder / "mqtt.key", b"new", half=cut_the_power)

    with when_power_returns(cut, folder):
        assert (folder / "mqtt.key").read_bytes() == b"old"
        small_files.write(folder / "mqtt.key", b"newer")
        assert (folder / "mqtt.key").read_bytes() == b"newer"
