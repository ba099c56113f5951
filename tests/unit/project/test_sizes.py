"""A file is read in one sitting and a function on one screen, in tests and tools as in the product."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILE_LINES = 400
FUNCTION_LINES = 60
FOLDERS = ("edge_scanner", "provisioning", "tests", "tools")
SOURCES = sorted(
    path.relative_to(ROOT)
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.is_file()
    and "vendor" not in path.parts
    and "__pycache__" not in path.parts
    and (path.suffix in {".py", ".js", ".css", ".html", ".sql", ".sh"} or (folder == "tools" and not path.suffix))
)


def long_functions(source: str) -> list[str]:
    """The functions of a Python source that are longer than a screen, with their lengths."""
    return [
        f"{node.name}: {lines} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def test_a_long_function_is_found() -> None:
    """The measure sees a method and a coroutine, and counts from `def` to the last line."""
    body = "        x = 1\n" * FUNCTION_LINES
    source = f"class A:\n    def long(self):\n{body}\n    async def longer(self):\n{body}        y = 2\n"

    assert long_functions(source) == ["long: 61 lines", "longer: 62 lines"]
    assert long_functions(source.replace("        x = 1\n", "", 2)) == ["longer: 62 lines"]


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_sizes(source: Path) -> None:
    """No file over 400 lines; no function over 60."""
    text = (ROOT / source).read_text()

    assert len(text.splitlines()) <= FILE_LINES, "split it by subject"
    if source.suffix == ".py":
        assert long_functions(text) == []
