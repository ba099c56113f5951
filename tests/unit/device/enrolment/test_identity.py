"""A box has one id and one key, made once, kept privately."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import ConfigurationError, EdgeScannerError, StorageError
from edge_scanner.device.enrolment import identity

if TYPE_CHECKING:
    from pathlib import Path


def test_identity_is_made_once_and_kept(tmp_path: Path) -> None:
    """The second start finds the first start's id and key, in files nobody else may read."""
    first = identity.open_identity(tmp_path / "state")
    second = identity.open_identity(tmp_path / "state")

    assert (first.device_id, first.public_key) == (second.device_id, second.public_key)
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "state").iterdir())


def test_configured_id_wins_and_is_checked(tmp_path: Path) -> None:
    """The settings' id is taken; a misread one is refused with a hint."""
    device_id = identity.new_device_id()
    wrong = device_id[:-1] + ("0" if device_id[-1] != "0" else "1")

    assert identity.open_identity(tmp_path, configured_id=device_id).device_id == device_id
    with pytest.raises(ConfigurationError, match="wrong check character"):
        identity.open_identity(tmp_path, configured_id=wrong)


def test_key_readable_by_others_is_refused(tmp_path: Path) -> None:
    """A key file with a group or world bit stops the start, with the command that mends it."""
    identity.open_identity(tmp_path)
    (tmp_path / "identity.key").chmod(0o644)

    with pytest.raises(StorageError, match="chmod 600"):
        identity.open_identity(tmp_path)


@pytest.mark.parametrize(("file", "complaint"), [("identity.key", "damaged"), ("device-id", "damaged")])
def test_damaged_identity_is_refused(tmp_path: Path, file: str, complaint: str) -> None:
    """A key or id that is not one says so instead of starting a second identity."""
    identity.open_identity(tmp_path)
    (tmp_path / file).write_bytes(b"\xfftorn")

    with pytest.raises(EdgeScannerError, match=complaint):
        identity.open_identity(tmp_path)
    assert (tmp_path / file).read_bytes() == b"\xfftorn"


@pytest.mark.parametrize("trace", ["log.db", "assignment.json"])
def test_lost_key_is_never_made_anew(tmp_path: Path, trace: str) -> None:
    """A box that has recorded or was named has lost a key that is missing: a second one would look like a forgery."""
    identity.open_identity(tmp_path)
    (tmp_path / trace).write_bytes(b"")
    (tmp_path / "identity.key").unlink()

    with pytest.raises(identity.IdentityLostError, match="lost"):
        identity.open_key(tmp_path)
    assert not (tmp_path / "identity.key").exists()


def test_lost_id_is_asked_of_a_person(tmp_path: Path) -> None:
    """A box that has recorded takes its id from the settings or stays silent: nobody but the label knows it."""
    kept = identity.open_identity(tmp_path).device_id
    (tmp_path / "log.db").write_bytes(b"")
    (tmp_path / "device-id").unlink()

    with pytest.raises(ConfigurationError, match="id is lost"):
        identity.open_id(tmp_path)
    assert identity.open_id(tmp_path, kept) == kept


def test_unwritable_folder_is_one_clear_line(tmp_path: Path) -> None:
    """A state folder that is a file gives a storage error, not a traceback."""
    (tmp_path / "state").write_bytes(b"")

    with pytest.raises(StorageError, match="cannot keep the box's identity"):
        identity.open_identity(tmp_path / "state")
