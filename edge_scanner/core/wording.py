"""Numbers and nouns as people write them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 box`, `2 boxes`, `1,200 minutes`: the noun is given in the singular and its plural is regular."""
    plural = f"{noun}es" if noun.endswith(("x", "ch", "sh", "s")) else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
