"""JSON that somebody else wrote: a value, or one error."""

from __future__ import annotations

import pytest

from edge_scanner.core import json_documents


def test_a_value_is_read_as_it_is() -> None:
    """Whatever its kind."""
    assert json_documents.value(b'{"a":[1,2.5,null,"x"]}') == {"a": [1, 2.5, None, "x"]}


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b"NaN", b"-Infinity", b"[1e999]", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000],
    ids=["empty", "cut", "no UTF-8", "NaN", "infinity", "too large", "lists", "objects", "digits"],
)
def test_what_is_no_value_is_one_error(data: bytes) -> None:
    """Nesting without end and numbers without end, too."""
    with pytest.raises(ValueError):  # noqa: PT011 (what it says is the reader's own)
        json_documents.value(data)
