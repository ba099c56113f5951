"""docs/counting.md names every field that leaves the box or reaches the screen, and why it may."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge_scanner.core.history import History
from edge_scanner.core.snapshot import Snapshot
from edge_scanner.device.kiosk import api, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "edge_scanner" / "schemas"
LEAVING = ("envelope", "counts", "health", "status", "checkpoint", "boot", "audit", "local-state")
"""The schemas of what a box says by itself; enrolment and pulls answer somebody and hold nothing about phones."""


def table() -> dict[str, str]:
    """What each field of the table is."""
    section = (ROOT / "docs" / "counting.md").read_text().partition("## What leaves")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {name: what for fields, _, what, _ in rows for name in re.findall(r"`([a-z_0-9]+)`", fields)}


def names(schema: Any) -> Iterator[str]:
    """Every property of a JSON Schema, however deep."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for key, part in schema.items():
            if key not in {"examples", "const", "enum", "required"}:
                yield from names(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from names(part)


def described() -> dict[str, Any]:
    """What leaves, by kind: the messages by their schemas, the kiosk's files by their types."""
    messages = {kind: json.loads((SCHEMAS / f"{kind}.schema.json").read_text()) for kind in LEAVING}
    _, views = msgspec.json.schema_components((api.LevelView, api.Figure, api.HealthView))
    files = {"snapshot": msgspec.json.schema(Snapshot), "history": msgspec.json.schema(History)}
    return {**messages, **files, "api": views}


@pytest.mark.parametrize("kind", [*LEAVING, "snapshot", "history", "api"])
def test_every_field_of_a_message_is_in_the_table(kind: str) -> None:
    """A field that nobody has thought about does not leave."""
    fields = set(names(described()[kind]))
    assert fields
    assert fields <= table().keys()


def test_every_metric_is_in_the_table() -> None:
    """The metrics of the kiosk too."""
    families = set(re.findall(r'"(edge_scanner_[a-z_]+)"', Path(metrics.__file__).read_text()))
    assert families
    assert families <= table().keys()


def test_table_knows_three_kinds_and_nothing_that_is_gone() -> None:
    """Noised, constant, or about the box; and each name of it stands in a schema or is a metric."""
    known = set(re.findall(r'"(edge_scanner_[a-z_]+)"', Path(metrics.__file__).read_text()))
    known |= set(names(list(described().values())))
    assert set(table().values()) == {"noised", "constant", "box"}
    assert table().keys() <= known
