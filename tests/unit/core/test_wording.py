"""Numbers and nouns as people write them."""

from __future__ import annotations

import pytest

from edge_scanner.core.wording import counted, filled


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


@pytest.mark.parametrize(("days", "said"), [(1, "after 1 day"), (14, "after 14 days"), (1200, "after 1,200 days")])
def test_a_text_counts_the_noun_that_stands_in_it(days: int, said: str) -> None:
    """`{days:day}` has the right plural; other formats are Python's."""
    assert filled("after {days:day}", days=days) == said
    assert filled("{days:05d} {name:>3}", days=days, name="x") == f"{days:05d}   x"
    assert filled("{days:d} {name}", days=days, name="day") == f"{days} day"
