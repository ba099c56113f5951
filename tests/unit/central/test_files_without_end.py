"""No file that the centre is given is read whole when it has no end, nor waited for when it is a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.central import link, telling
from edge_scanner.central.serve import access, server
from edge_scanner.central.serve.signed_set import SignedSet
from edge_scanner.central.settings import Fleet
from edge_scanner.central.witness import cosignature
from edge_scanner.core.errors import ConfigurationError, EdgeScannerError, StorageError
from tests.support.disks import without_end

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("what", ["endless", "pipe"])
@pytest.mark.parametrize(
    ("read", "error"),
    [
        (link.client_name, ConfigurationError),
        (lambda path: telling.Teller(path.parent), ConfigurationError),
        (cosignature.load, ConfigurationError),
        (server._secret, EdgeScannerError),
        (
            lambda path: SignedSet(
                Fleet(recipients=str(path), authority_root=str(path), custodian_root=str(path))
            ).version(),
            ConfigurationError,
        ),
    ],
    ids=["certificate", "time key", "witness", "proxy", "recipient set"],
)
def test_one_line(tmp_path: Path, read: Callable[[Path], object], error: type[EdgeScannerError], what: str) -> None:
    """Each is refused in one line."""
    path = without_end(tmp_path / telling.KEY_NAME, what)

    with pytest.raises(error) as refused:
        read(path)
    assert "\n" not in str(refused.value)


def test_users_cut_short_are_none(tmp_path: Path) -> None:
    """A file of users that is too large is refused: cut at its bound it would lack users, and say nothing."""
    path = tmp_path / "users.toml"
    path.write_text("# comment\n" * (access.MAX_FILE_BYTES // 10 + 1))
    path.chmod(0o600)

    with pytest.raises(StorageError, match="File too large"):
        access.read_users(path)
