"""What the desk's tests begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.keys import vault
from tests.support.answered import Scene, make, write_keys
from tests.support.box_lists import write_boxes
from tests.support.cheap_lock import cheap_lock
from tests.support.desk import SECRET, Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases cost a thousandth; the story in e2e/ pays the full price."""
    monkeypatch.setattr(vault, "new_lock", cheap_lock)


@pytest.fixture
def desk(tmp_path: Path, cheap: None) -> Desk:  # noqa: ARG001 (before the first key)
    """A desk with a root."""
    opened = Desk(tmp_path)
    opened("keys", "root", tmp_path / "vault", "--name", "Sở Y tế", "--post-quantum")
    opened("keys", "root", tmp_path / "vault", "--custodian", "--name", "Trung tâm giữ khoá")
    return opened


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Four hours sealed, two of them answered."""
    async with make(tmp_path) as made:
        yield made


@pytest.fixture
def in_files(scene: Scene, tmp_path: Path, cheap: None) -> None:  # noqa: ARG001 (the register makes a key)
    """Both parties' opening keys, their passphrase and the list of boxes, beside what the scene has written."""
    write_keys(tmp_path / "custodian", scene, "custodian", SECRET)
    write_keys(tmp_path / "desk", scene, "health-authority", SECRET)
    (tmp_path / "secret").write_text(SECRET)
    write_boxes(tmp_path / "boxes.csv", [scene.box.box])
