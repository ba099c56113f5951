"""A workshop for every test of headquarters and bench."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provisioning.inventory import open_inventory
from tests.support.fleet import Workshop, workshop

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A fleet with a batch of five, whose ids headquarters knows."""
    made = workshop(tmp_path)
    with open_inventory(made.fleet.inventory) as inventory:
        inventory.plan(made.batch.manifest)
    return made
