"""Canonical JSON against a second writer of RFC 8785: the `rfc8785` package."""

from __future__ import annotations

from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core import signed

NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_both_write_the_same_bytes(value: Any) -> None:
    """Whatever our narrower set allows, the package spells it the same."""
    assert signed.canonical(value) == rfc8785.dumps(value)
