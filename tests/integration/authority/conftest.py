"""What the desk's tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.keys import vault
from tests.support.answered import Scene, make
from tests.support.cheap_lock import cheap_lock
from tests.support.desk import Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with a root. Passphrases cost a thousandth; the story in e2e/ pays the full price."""
    monkeypatch.setattr(vault, "new_lock", cheap_lock)
    opened = Desk(tmp_path)
    opened("keys", "root", tmp_path / "vault", "--name", "Sở Y tế", "--post-quantum")
    opened("keys", "root", tmp_path / "vault", "--custodian", "--name", "Trung tâm giữ khoá")
    return opened


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Four hours sealed, two of them answered."""
    async with make(tmp_path) as made:
        yield made
