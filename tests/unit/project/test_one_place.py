"""A light, its name and its advice are declared in one table; everything else reads that table."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from edge_scanner.core.diagnostics import box_advice, hearing_advice, sending_advice
from edge_scanner.core.diagnostics.advice import LIGHTS

ROOT = Path(__file__).parents[3]
TABLES = (hearing_advice.LIGHTS, sending_advice.LIGHTS, box_advice.LIGHTS)
SOURCES = sorted(path for folder in ("edge_scanner", "provisioning") for path in (ROOT / folder).rglob("*.py"))
TABLE_FILES = [str(module.__file__) for module in (hearing_advice, sending_advice, box_advice)]
TEXTS = [ROOT / "edge_scanner" / name / "texts.json" for name in ("device/kiosk", "authority")]
HOW_THEY_SHINE = ROOT / "edge_scanner" / "device" / "health.py"
CHANGES, MOST_FILES = 10, 3
MANY = 4
"""A collection of so many names of lights is a second list of them."""


def test_each_light_is_declared_once() -> None:
    """No light stands in two tables."""
    declared = [name for table in TABLES for name in table]

    assert sorted(declared) == sorted(set(declared))
    assert list(LIGHTS) == declared


def test_nobody_else_lists_the_lights() -> None:
    """Beside the table, and health.py, which says how each light shines, no source lists them again."""
    lists = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path not in {HOW_THEY_SHINE, *map(Path, TABLE_FILES)}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict) and len(set(LIGHTS) & _constants(node)) >= MANY
    }

    assert lists == set()


def _constants(node: ast.List | ast.Tuple | ast.Set | ast.Dict) -> set[object]:
    items = node.keys if isinstance(node, ast.Dict) else node.elts
    return {item.value for item in items if isinstance(item, ast.Constant)}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.parent.name)
def test_a_text_has_both_languages_beside_each_other(path: Path) -> None:
    """Each text is one entry with Vietnamese and English and nothing else."""
    texts = json.loads(path.read_text())

    assert texts
    assert {key for key, both in texts.items() if list(both) != ["vi", "en"]} == set()


def test_the_page_of_changes_has_ten_with_three_files_at_most() -> None:
    """No row names more files than its number says, and they are there."""
    table = (ROOT / "docs" / "changes.md").read_text().partition("| change | files |")[2].partition("\n\n")[0]
    rows = [line.split(" | ")[:2] for line in table.splitlines()[2:]]
    assert len(rows) == CHANGES

    for change, cell in rows:
        number, _, named = cell.partition(": ")
        for way in named.split("; "):
            files = re.findall(r"`([\w/.]+)`", way)
            assert 1 <= len(files) <= int(number) <= MOST_FILES, change
            assert all((ROOT / "edge_scanner" / f).exists() or (ROOT / f).exists() for f in files if "NAME" not in f)


def test_bytes_become_a_public_key_in_one_place() -> None:
    """core/public_keys.py refuses points of small order, so no other source makes an Ed25519 or X25519 key of bytes."""
    made = re.compile(r"(?:Ed|X)25519PublicKey\.from_public_bytes")

    found = {str(path.relative_to(ROOT)) for path in SOURCES if made.search(path.read_text())}

    assert found == {"edge_scanner/core/public_keys.py"}
