"""A file is read in one sitting and a function on one screen, in tests and tools as in the product."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILE_LINES = 400
FUNCTION_LINES = 60
CLI_LINES = 17
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


def work_in(source: str) -> list[str]:
    """The functions of a command line that do more than call: their lines without signature, help and imports."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            body: list[ast.stmt] = node.body[ast.get_docstring(node) is not None :]
            body = [one for one in body if not isinstance(one, ast.Import | ast.ImportFrom)]
            lines = sum((one.end_lineno or one.lineno) - one.lineno + 1 for one in body)
            found += [f"{node.name}: {lines} lines"] * (lines > CLI_LINES)
    return found


def test_work_in_a_command_line_is_found() -> None:
    """Help and imports do not count; statements do, each with all its lines."""
    calls = "    call(\n        1,\n    )\n" * 5
    source = f'def do(x: int,\n       y: int) -> None:\n    """Help.\n\n    More.\n    """\n    import a\n{calls}'

    assert work_in(source) == []
    assert work_in(source + "    a = 1\n    b = 2\n    c = 3\n") == ["do: 18 lines"]


@pytest.mark.parametrize(
    "source", [one for one in SOURCES if one.match("*cli.py") and one.parts[0] != "tests"], ids=str
)
def test_a_command_line_is_names_options_and_help(source: Path) -> None:
    """What a command does stands in `commands/` or in its noun's module."""
    assert work_in((ROOT / source).read_text()) == []
