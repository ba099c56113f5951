"""The documents say what is there: links lead somewhere, commands exist, every room is in the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from edge_scanner.device.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link and picture of a document exists."""
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())

    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]

    assert missing == []


def test_readme_table_has_every_room() -> None:
    """Each package folder stands in the README's table."""
    table = (ROOT / "README.md").read_text()

    rooms = {path.parent.name for path in (ROOT / "edge_scanner").glob("*/__init__.py")} - {"schemas"}

    assert {room for room in rooms if f"`edge_scanner/{room}`" not in table} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist(document: Path) -> None:
    """Each `edge-scanner WORD` of a document is a command of the program."""
    group = typer.main.get_group(app)
    words = re.findall(r"(?:^|`)edge-scanner ([a-z][a-z-]+)", document.read_text(), re.MULTILINE)

    assert set(words) - set(group.commands) == set()


def test_every_command_has_help_with_an_example() -> None:
    """`--help` of each command and sub-command shows an example."""
    group = typer.main.get_group(app)

    def without_example(commands: dict[str, object], prefix: str = "") -> list[str]:
        missing = []
        for name, command in commands.items():
            inner = getattr(command, "commands", None)
            if inner:
                missing += without_example(inner, f"{name} ")
            elif "Example:" not in (getattr(command, "help", "") or ""):
                missing.append(prefix + name)
        return missing

    assert without_example(dict(group.commands)) == []
