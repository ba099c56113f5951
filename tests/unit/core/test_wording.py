"""Numbers and nouns as people write them."""

from __future__ import annotations

import pytest

from edge_scanner.core.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "box", "0 boxes"),
        (1, "box", "1 box"),
        (2, "box", "2 boxes"),
        (1, "open batch", "1 open batch"),
        (3, "open batch", "3 open batches"),
        (1200, "minute", "1,200 minutes"),
    ],
)
def test_one_is_one(number: int, noun: str, text: str) -> None:
    """One is singular, everything else plural, and thousands are set apart."""
    assert counted(number, noun) == text
