"""A long proof stands in both tiers: a part of it in `make test`, the whole of it in `make e2e`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet


def part_and_whole(part: int, whole: int) -> list[int | ParameterSet]:
    """Values of a parameter that says how often something is done."""
    return [part, pytest.param(whole, marks=[pytest.mark.slow, pytest.mark.system])]
