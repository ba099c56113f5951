"""A light, its name and its advice are declared in one table; everything else reads that table."""

from __future__ import annotations

import ast
import json
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
