"""A program's `cli.py` holds names, options and help; the work of a command stands in a module that it calls."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAMS = ("edge_scanner/device", "edge_scanner/authority", "edge_scanner/central", "provisioning")
COMMAND_LINES = sorted(path.relative_to(ROOT) for program in PROGRAMS for path in (ROOT / program).rglob("*cli.py"))
STATEMENTS = 4
"""Options become a value or two, then one call and what it answers or the exit code."""
WORK = ast.For | ast.While | ast.With | ast.Try | ast.TryStar | ast.AsyncFor | ast.AsyncWith | ast.Match
EXCEPTIONS = {"edge_scanner/central/cli.py:_work": "no command: says in one line which package is not installed"}


def statements(function: ast.FunctionDef) -> list[ast.stmt]:
    """What a function does, nested statements included, without its help and its imports."""
    body = function.body[ast.get_docstring(function) is not None :]
    inside = [node for one in body for node in ast.walk(one) if isinstance(node, ast.stmt)]
    return [node for node in inside if not isinstance(node, ast.Import | ast.ImportFrom)]


def work_in(source: str) -> list[str]:
    """The functions that do more than call: too many statements, a loop, or something opened or caught."""
    return [
        function.name
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef)
        if len(found := statements(function)) > STATEMENTS or any(isinstance(one, WORK) for one in found)
    ]


def test_work_is_found() -> None:
    """Help and imports do not count; nested statements do; a loop is work however short."""
    call = 'def do() -> None:\n    """Help."""\n    import a\n    if a:\n        return\n    b = 1\n    a.run(b)\n'

    assert work_in(call) == []
    assert work_in(f"{call}    a.more()\n") == ["do"]
    assert work_in("def do():\n    for one in a:\n        say(one)\n") == ["do"]
    assert work_in("def do():\n    with a:\n        say(a)\n") == ["do"]


def test_every_program_has_a_command_line() -> None:
    """None is passed over because its folder has another name."""
    assert [program for program in PROGRAMS if Path(program, "cli.py") not in COMMAND_LINES] == []


@pytest.mark.parametrize("source", COMMAND_LINES, ids=str)
def test_a_command_calls_its_work(source: Path) -> None:
    """Each function of a command line is options and a call."""
    found = {f"{source.as_posix()}:{name}" for name in work_in((ROOT / source).read_text())}

    assert found - set(EXCEPTIONS) == set(), "move the body into the room's commands/"
    assert {one for one in EXCEPTIONS if one.startswith(f"{source.as_posix()}:")} <= found, "no exception any more"
