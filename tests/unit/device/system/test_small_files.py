"""Small files: whole or not at all, for the right owner, and through no link."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edge_scanner import small_files

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    """The new content stands under the name, with the mode that was asked for, and nothing else is left."""
    file = tmp_path / "set.json"
    small_files.write(file, b"old")
    small_files.write(file, b"new", mode=0o644)

    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_a_planted_link_leads_nowhere(tmp_path: Path) -> None:
    """A link under the temporary name, or under the file's own, is replaced and its target left as it was."""
    victim = tmp_path / "shadow"
    victim.write_bytes(b"root's")
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / ".mqtt.key.new").symlink_to(victim)
    (folder / "mqtt.key").symlink_to(victim)

    small_files.write(folder / "mqtt.key", b"key", owner=(os.getuid(), os.getgid()))

    assert victim.read_bytes() == b"root's"
    assert not (folder / "mqtt.key").is_symlink()
    assert (folder / "mqtt.key").read_bytes() == b"key"


def test_a_link_is_not_given_away(tmp_path: Path) -> None:
    """`own` changes the owner of a file or folder, and refuses a link or a pipe."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_bytes(b"")
    owner = (os.getuid(), os.getgid())

    small_files.own(tmp_path / "victim", owner)
    small_files.own(tmp_path, owner)
    for other in ("link", "pipe"):
        with pytest.raises(OSError, match=r"links|neither"):
            small_files.own(tmp_path / other, owner)


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """An error on the way leaves what was there, and the next write passes over what the first one left."""
    file = tmp_path / "numbers"
    small_files.write(file, b"old")

    def cut() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        small_files.write(file, b"new", half=cut)
    assert file.read_bytes() == b"old"
    small_files.write(file, b"new")
    assert file.read_bytes() == b"new"
