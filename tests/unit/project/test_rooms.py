"""The map of the house: imports point down, and each I/O library has one importing file."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

PRODUCT = Path(__file__).parents[3]
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
    "bleak": {"edge_scanner/device/radio/radio.py"},
    "aiosqlite": {"edge_scanner/device/storage/store.py"},
    "paho": {"edge_scanner/mqtt/broker.py"},
}
PURE_FORBIDS = {"asyncio", "logging", "socket", "sqlite3", "subprocess", "structlog", "time", "os", "pathlib"}
MODULES = sorted(
    path.relative_to(PRODUCT)
    for folder in ("edge_scanner", "provisioning")
    for path in (PRODUCT / folder).rglob("*.py")
)


def room_of(parts: Sequence[str]) -> str:
    """`provisioning` lies beside the package of the box, every other room in it."""
    return parts[1] if parts[0] == "edge_scanner" and len(parts) > 1 else parts[0]


def imports(module: Path) -> set[str]:
    """Every module that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse((PRODUCT / module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_down(module: Path) -> None:
    """A file imports only rooms at or below its own."""
    room = room_of(module.parts)
    if room not in ALLOWED:
        return

    rooms = {
        room_of(name.split(".")) for name in imports(module) if name.startswith(("edge_scanner.", "provisioning."))
    }

    assert rooms - ALLOWED[room] - {"__version__"} == set()


@pytest.mark.parametrize("library", ONE_IMPORTER)
def test_io_library_has_one_importer(library: str) -> None:
    """Bleak, aiosqlite and paho are each imported by the one file that translates their errors."""
    importers = {str(module) for module in MODULES if any(name.split(".")[0] == library for name in imports(module))}

    assert importers <= ONE_IMPORTER[library]
    assert importers


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m.parts) in {"core", "protocols"}], ids=str)
def test_core_and_protocols_are_pure(module: Path) -> None:
    """Core and protocols neither await nor import anything that reads a clock, a file or a socket."""
    tree = ast.parse((PRODUCT / module).read_text())

    assert {name.split(".")[0] for name in imports(module)} & PURE_FORBIDS == set()
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    assert not [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}
    ]
