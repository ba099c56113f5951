"""Numbers and nouns as people write them."""

from __future__ import annotations

import string


def counted(number: int, noun: str) -> str:
    """`1 box`, `2 boxes`, `1,200 minutes`: the noun is given in the singular and its plural is regular."""
    plural = f"{noun}es" if noun.endswith(("x", "ch", "sh", "s")) else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


class _Counting(string.Formatter):
    def format_field(self, value: object, format_spec: str) -> str:
        """A noun where a format would stand is counted."""
        if isinstance(value, int) and format_spec.replace(" ", "").isalpha() and len(format_spec) > 1:
            return counted(value, format_spec)
        return str(super().format_field(value, format_spec))


def filled(text: str, **values: object) -> str:
    """A text with its values; `{days:day}` is `1 day`, `2 days`, and other formats are Python's."""
    return _Counting().vformat(text, (), values)
