"""The map of the house: imports point down, and each I/O library has one importing file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "edge_scanner"
ALLOWED = {
    "core": {"core"},
    "mqtt": {"core", "mqtt"},
    "protocols": {"core", "protocols"},
    "device": {"core", "protocols", "mqtt", "device", "schemas"},
    "authority": {"core", "protocols", "mqtt", "authority", "schemas"},
    "provisioning": {"core", "protocols", "mqtt", "provisioning", "schemas"},
    "schemas": {"core", "schemas"},
}
ONE_IMPORTER = {
    "bleak": {"device/radio.py"},
    "aiosqlite": {"device/store.py"},
    "paho": {"mqtt/broker.py"},
}
PURE_FORBIDS = {"asyncio", "logging", "socket", "sqlite3", "subprocess", "structlog", "time", "os", "pathlib"}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imports(module: Path) -> set[str]:
    """Every module that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_down(module: Path) -> None:
    """A file imports only rooms at or below its own."""
    room = module.parts[0]
    if room not in ALLOWED:
        return

    rooms = {name.split(".")[1] for name in imports(module) if name.startswith("edge_scanner.")}

    assert rooms - ALLOWED[room] - {"__version__"} == set()


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_io_library_has_one_importer(library: str) -> None:
    """Bleak, aiosqlite and paho are each imported by the one file that translates their errors."""
    importers = {str(module) for module in MODULES if any(name.split(".")[0] == library for name in imports(module))}

    assert importers <= ONE_IMPORTER[library]
    assert importers


@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] in {"core", "protocols"}], ids=str)
def test_core_and_protocols_are_pure(module: Path) -> None:
    """Core and protocols neither await nor import anything that reads a clock, a file or a socket."""
    tree = ast.parse((PACKAGE / module).read_text())

    assert {name.split(".")[0] for name in imports(module)} & PURE_FORBIDS == set()
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    assert not [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}
    ]
