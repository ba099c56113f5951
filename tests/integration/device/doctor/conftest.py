"""A bus for the doctor's look at the radio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.dbus import private_bus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.dbus import PrivateBus


@pytest.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    """A private bus that bleak takes for the system's."""
    async with private_bus(tmp_path, monkeypatch) as private:
        yield private
