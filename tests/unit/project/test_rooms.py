"""The map of the house: imports point down, rooms have doors, each I/O library has one importing file."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

PRODUCT = Path(__file__).parents[3]
PROGRAM = {
    "core",
    "mqtt",
    "small_files",
    "http_connection",
    "terminal",
    "program",
    "command_line",
    "passphrases",
    "schemas",
    "language",
}
ALLOWED = {
    "core": {"core"},
    "terminal": {"core", "terminal"},
    "program": {"core", "terminal", "language"},
    "command_line": {"core", "terminal", "language"},
    "passphrases": {"core", "language", "terminal"},
    "mqtt": {"core", "mqtt", "small_files"},
    "small_files": set(),
    "http_connection": set(),
    "protocols": {"core", "protocols"},
    "device": PROGRAM | {"http_connection", "protocols", "device"},
    "authority": PROGRAM | {"protocols", "authority"},
    "central": PROGRAM | {"central"},
    "provisioning": PROGRAM | {"http_connection", "protocols", "provisioning"},
    "schemas": {"core", "schemas"},
    "language": {"core", "language"},
    "web": set(),
}
ONE_IMPORTER = {
    "bleak": {"edge_scanner/device/radio/scanner.py"},
    "aiosqlite": {"edge_scanner/device/storage/connection.py"},
    "paho": {"edge_scanner/mqtt/connection.py"},
}
PURE_LIBRARIES = {"cryptography", "msgspec", "edge_scanner"}
PURE_FORBIDS = {"asyncio", "logging", "socket", "sqlite3", "subprocess", "structlog", "time", "os", "pathlib"}
MODULES = sorted(
    path.relative_to(PRODUCT)
    for folder in ("edge_scanner", "provisioning")
    for path in (PRODUCT / folder).rglob("*.py")
)


def room_of(parts: Sequence[str]) -> str:
    """`provisioning` lies beside the package of the box, every other room in it."""
    return parts[1].removesuffix(".py") if parts[0] == "edge_scanner" and len(parts) > 1 else parts[0]


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


def test_one_room_knows_the_centres_database() -> None:
    """SQLAlchemy, Alembic and psycopg are imported in the store alone, where their errors are translated."""
    database = {"sqlalchemy", "alembic", "psycopg"}
    importers = {str(module) for module in MODULES if {name.split(".")[0] for name in imports(module)} & database}

    assert importers
    assert [one for one in importers if not one.startswith("edge_scanner/central/store/")] == []


def test_one_file_draws_on_terminals() -> None:
    """Foreign text reaches a screen through `terminal` alone: nobody else makes a console or reads markup."""
    makers = {
        str(module)
        for module in MODULES
        for node in ast.walk(ast.parse((PRODUCT / module).read_text()))
        if room_of(module.parts) in {"device", "authority", "central", "provisioning", "core", "mqtt", "protocols"}
        and isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"Console", "from_markup", "echo"}
    }

    assert makers == set()


@pytest.mark.parametrize("module", [m for m in MODULES if room_of(m.parts) in {"core", "protocols"}], ids=str)
def test_core_and_protocols_are_pure(module: Path) -> None:
    """Core and protocols neither await nor import what reads a clock, a file or a socket, nor a third library."""
    tree = ast.parse((PRODUCT / module).read_text())

    imported = {name.split(".")[0] for name in imports(module)}
    assert imported & PURE_FORBIDS == set()
    assert imported - sys.stdlib_module_names - PURE_LIBRARIES == set()
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    assert not [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}
    ]


def names(modules: set[str]) -> dict[str, list[str]]:
    """Each room (a folder with `__init__.py` below the top-level rooms) and the door that it names in `__all__`."""
    doors = {}
    for module in modules:
        path = PRODUCT / Path(*module.split(".")) / "__init__.py"
        if not path.exists() or (module.count(".") < 2 and not module.startswith("provisioning.")):
            continue
        doors[module] = [
            element.value
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
            for element in node.value.elts
            if isinstance(element, ast.Constant) and isinstance(element.value, str)
        ]
    return doors


def dotted(module: Path) -> str:
    """A file as Python names it; a room's `__init__.py` is the room."""
    return ".".join(module.with_suffix("").parts).removesuffix(".__init__")


ALL = {dotted(module): module for module in MODULES}
DOORS = names(set(ALL))


def rooms_above(module: str) -> list[str]:
    """The rooms that a module stands in, the innermost last."""
    return [room for room in sorted(DOORS) if module == room or module.startswith(f"{room}.")]


def uses(module: Path) -> set[str]:
    """The product's own modules that a file imports."""
    return {name if name in ALL else name.rpartition(".")[0] for name in imports(module)} & set(ALL)


@pytest.mark.parametrize("module", ALL, ids=str)
def test_a_room_is_entered_by_its_door(module: str) -> None:
    """A file of one room imports from another what that room's `__init__.py` names in `__all__`, nothing else."""
    for used in uses(ALL[module]):
        for room in set(rooms_above(used)) - set(rooms_above(module)):
            inside = used.removeprefix(room).strip(".").split(".")[0]
            assert not inside or inside in DOORS[room] or f"{room}.{inside}" in DOORS, (
                f"{module} imports {used}, which is private to {room}: "
                f"use {', '.join(DOORS[room])}, or add {inside!r} to __all__ of {room.replace('.', '/')}/__init__.py"
            )


@pytest.mark.parametrize("room", sorted(DOORS), ids=str)
def test_a_door_opens(room: str) -> None:
    """A door names modules or names that are there, in order, and its file holds nothing else than promise and door."""
    path = PRODUCT / Path(*room.split(".")) / "__init__.py"
    tree = ast.parse(path.read_text())

    assert ast.get_docstring(tree), f"{path} says what the room promises"
    assert all(isinstance(node, ast.Expr | ast.ImportFrom | ast.Assign) for node in tree.body), (
        f"{path} holds the promise and the door; code stands in a module of the room"
    )
    taken = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert [name for name in DOORS[room] if f"{room}.{name}" not in ALL and name not in taken] == []
    assert DOORS[room] == sorted(DOORS[room])


@pytest.mark.parametrize("top", sorted({room_of(module.parts) for module in MODULES}))
def test_parts_of_a_room_form_no_circle(top: str) -> None:
    """Folders and files beside each other depend on each other in one direction."""
    depth = 2 if top == "provisioning" else 3

    def part(module: str) -> str:
        return ".".join(module.split(".")[:depth])

    below: dict[str, set[str]] = {}
    for module, file in ALL.items():
        if room_of(file.parts) == top and part(module).count(".") == depth - 1:
            beside = {part(used) for used in uses(file) if room_of(ALL[used].parts) == top}
            below.setdefault(part(module), set()).update(beside - {part(module), part(module).rpartition(".")[0]})

    seen: list[str] = []

    def visit(room: str) -> None:
        assert room not in seen, f"these import each other in a circle: {' -> '.join([*seen, room])}"
        seen.append(room)
        for deeper in sorted(below.get(room, ())):
            visit(deeper)
        seen.pop()

    for room in sorted(below):
        visit(room)


WRITERS = {
    "edge_scanner/terminal/lines.py": "the one road",
    "edge_scanner/device/system/log_output.py": "the log, whose every value journal.py makes literal",
    "edge_scanner/authority/match/derive.py": "a table of our own names and digits",
    "edge_scanner/device/commands/setup.py": "asks for a PIN with words of our own",
}


def written(module: Path) -> set[str]:
    """What a file prints with, past the terminal's door: print, echo, a console of its own, or a standard stream."""
    found = set()
    tree = ast.parse((PRODUCT / module).read_text())
    asked = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr != "write"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "Console"}:
            found.add(node.func.id)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {"typer.echo", "typer.secho", "click.echo"}:
            found.add(ast.unparse(node))
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout", "sys.stderr"}:
            found |= set() if id(node) in asked else {ast.unparse(node)}
    return found


def renamed(source: str) -> set[str]:
    """Calls that give a file another name."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and not node.keywords]
    named = [(ast.unparse(node.func), len(node.args)) for node in calls if isinstance(node.func, ast.Attribute)]
    paths = {name for name, given in named if name.endswith((".rename", ".replace")) and given == 1}
    return paths | {name for name, _ in named} & {"os.rename", "os.replace", "os.renames", "shutil.move"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_one_file_renames(module: Path) -> None:
    """A new name is safe on the disk only once its folder was synced, which small_files.py does."""
    found = renamed((PRODUCT / module).read_text()) - {"small_files.rename"}

    assert bool(found) is (module.as_posix() == "edge_scanner/small_files.py"), found


@pytest.mark.parametrize("module", [one for one in MODULES if room_of(one.parts) != "demo"], ids=str)
def test_text_reaches_a_terminal_by_one_door(module: Path) -> None:
    """Whatever a program prints passes edge_scanner/terminal, where nothing in it is obeyed."""
    if str(module) not in WRITERS:
        assert written(module) == set()


def test_the_door_is_the_only_one_that_prints() -> None:
    """Each exception is still needed."""
    assert all(written(Path(module)) for module in WRITERS)


@pytest.mark.parametrize("kind", ["unit", "integration"])
def test_tests_lie_in_folders_of_the_rooms(kind: str) -> None:
    """`tests/KIND/device/kiosk/` tests `edge_scanner/device/kiosk/`; `project` holds what is about no room."""
    top = PRODUCT / "tests" / kind
    folders = {path.parent.relative_to(top) for path in top.rglob("test_*.py")}
    strange = {
        str(folder)
        for folder in folders - {Path("project")}
        if folder == Path() or not any((PRODUCT / package / folder).exists() for package in ("", "edge_scanner"))
    }
    assert not strange, f"tests/{kind}: no room has these names; put the tests into the folder of the room they test"
