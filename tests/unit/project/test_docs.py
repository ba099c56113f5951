"""The documents say what is there: links lead somewhere, commands exist, every room is in the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from edge_scanner.authority import cli as authority
from edge_scanner.central import cli as central
from edge_scanner.device import cli as device
from provisioning import cli as provisioning

ROOT = Path(__file__).parents[3]
PROGRAMS = {
    "edge-scanner": device.app,
    "edge-authority": authority.app,
    "edge-central": central.app,
    "edge-provision": provisioning.app,
}
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link and picture of a document exists."""
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())

    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]

    assert missing == []


def test_readme_table_has_every_room() -> None:
    """Each package folder stands in the README's table."""
    table = (ROOT / "README.md").read_text()

    rooms = {f"edge_scanner/{path.parent.name}" for path in (ROOT / "edge_scanner").glob("*/__init__.py")}
    rooms |= {path.parent.name for path in ROOT.glob("*/__init__.py")}

    wanted = rooms - {"edge_scanner", "edge_scanner/schemas"}
    assert {room for room in wanted if f"| `{room}` |" not in table} == set()
    assert "provisioning" in wanted


def _commands(program: str) -> dict[str, object]:
    """Every command of a program by its words ("fleet new"); a group stands there, too."""
    found: dict[str, object] = {}

    def walk(commands: dict[str, object], before: str) -> None:
        for name, command in commands.items():
            found[before + name] = command
            walk(getattr(command, "commands", {}), f"{before}{name} ")

    walk(dict(typer.main.get_group(PROGRAMS[program]).commands), "")
    return found


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist(document: Path, program: str) -> None:
    """Each `PROGRAM WORD` of a document is a command of the program, and so is the word after a group's."""
    known = _commands(program)
    said = re.findall(
        rf"(?:^ *|`|&& |sudo -u edge-scanner ){program} ([a-z][a-z-]+)(?: ([a-z][a-z-]*))?(?![\w.@/-])",
        document.read_text(),
        re.MULTILINE,
    )

    groups = {word for word, command in known.items() if hasattr(command, "commands")}
    spoken = {f"{first} {second}" if first in groups and second else first for first, second in said}
    assert spoken - set(known) == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_has_help_with_an_example(program: str) -> None:
    """`--help` of each command and sub-command shows an example."""
    without = [
        words for words, command in _commands(program).items() if "Example:" not in (getattr(command, "help", "") or "")
    ]

    assert without == []


def test_the_workflows_take_actions_by_their_hash() -> None:
    """A tag can be moved by whoever takes over an action; a commit cannot. The version stands beside it."""
    lines = [
        line.strip()
        for file in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in file.read_text().splitlines()
        if "uses:" in line
    ]

    assert lines
    assert [line for line in lines if not re.fullmatch(r"- uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_the_operators_guide_says_the_same_in_both_languages() -> None:
    """Section by section, Vietnamese names the settings, fields and paths that English names; the last is shorter."""
    written_in_words = {"closed"}
    vietnamese, _, english = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8").partition("\n## English\n")
    parts = [
        [set(re.findall(r"`(/?[a-z][a-z_/]+|\[[a-z_]+\][^`]*)`", part)) for part in re.split(r"(?m)^### .*$", text)[1:]]
        for text in (vietnamese, english)
    ]

    assert len(parts[0]) == len(parts[1])
    assert [en - vi - written_in_words for vi, en in zip(*parts, strict=True)][:-1] == [set()] * (len(parts[0]) - 1)
    assert any(parts[0])
