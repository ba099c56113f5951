"""The centre's store on each of its databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.store.store import Store, open_store
from tests.support.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for all of these tests."""
    with Postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each sort."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/central.db"
    running: Postgres = request.getfixturevalue("server")
    return running.new_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An open store on it."""
    with open_store(url) as opened:
        yield opened
