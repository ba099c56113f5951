"""JSON that somebody else wrote: a value, or one error."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest

from edge_scanner.core import json_documents
from edge_scanner.core.errors import BadDataError


@dataclass(frozen=True)
class _Document:
    deep: list[object]


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


@pytest.mark.parametrize("depth", [*range(50, 1100, 50), 100_000])
def test_a_document_however_deep_is_read_or_refused(depth: int) -> None:
    """Whoever reads it runs out of stack, or whoever looks at what was read."""
    lists = b"[" * depth + b"]" * depth
    with contextlib.suppress(BadDataError):
        json_documents.loads(_Document, b'{"deep":' + lists + b"}", max_bytes=1 << 20)
