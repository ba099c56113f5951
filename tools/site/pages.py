"""The pages that nobody writes by hand: settings, commands and the API of `core`, made from the sources for each build.

MkDocs calls the `on_…` functions (mkdocs.org, "Hooks"). A page is made from what the program itself reads: a setting
from settings.py and the comment in config/scanner.toml, a command from its own `--help`, a module from its docstrings.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main
from mkdocs.structure.files import File

from edge_scanner.authority import cli as authority
from edge_scanner.central import cli as central
from edge_scanner.device import cli as device
from edge_scanner.device.settings import Settings
from provisioning import cli as provisioning
from tools import manuals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "edge-scanner": device.app,
    "edge-authority": authority.app,
    "edge-central": central.app,
    "edge-provision": provisioning.app,
}
AT_THE_TOP = {"README.md": "index.md", "SECURITY.md": "security.md", "CONTRIBUTING.md": "contributing.md"}
"""Documents beside `docs/` that are pages of the site."""
_KEY = re.compile(r"^(\w+) = ")


def settings_pages() -> Iterator[tuple[str, str]]:
    """One page a setting: its comment, type, default and table."""
    text = (ROOT / "config" / "scanner.toml").read_text(encoding="utf-8")
    written = tomllib.loads(text)
    comments = _comments(text)
    for table in dataclasses.fields(Settings):
        kind = type(getattr(Settings(), table.name))
        for key in dataclasses.fields(kind):
            name = f"{table.name}.{key.name}"
            default = written[table.name][key.name]
            example = f"```toml\n[{table.name}]\n{key.name} = {_toml(default)}\n```"
            yield f"settings/{name}.md", f"# {name}\n\n{comments[name]}\n\n{example}\n\nType: `{key.type}`\n"


def _comments(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    table, above = "", list[str]()
    for line in text.splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        elif key := _KEY.match(line):
            found[f"{table}.{key.group(1)}"] = " ".join(above)
        above = [*above, line.lstrip("# ")] if line.startswith("#") else [] if not _KEY.match(line) else above
        if _KEY.match(line):
            above = []
    return found


def _toml(value: object) -> str:
    """A value as TOML writes it; JSON's form is the same for what settings hold."""
    return json.dumps(value, ensure_ascii=False)


def command_pages() -> Iterator[tuple[str, str]]:
    """One page a command, as its own `--help` has it."""
    for program, app in PROGRAMS.items():
        for words, command in manuals.commands(program, typer.main.get_group(app)):
            yield _command(words, command)


def _command(words: str, command: Any) -> tuple[str, str]:
    rows = "".join(_row(names, meaning) for names, meaning in manuals.options(words, command))
    return (
        f"commands/{words.replace(' ', '-')}.md",
        f"# {words}\n\n{(command.help or '').strip()}\n\n| option | meaning |\n|---|---|\n{rows}",
    )


def _row(names: str, meaning: str) -> str:
    return "| " + " | ".join(part.replace("|", "\\|").replace("\n", " ") for part in (f"`{names}`", meaning)) + " |\n"


def core_pages() -> Iterator[tuple[str, str]]:
    """One page a module of `core`, from its docstrings."""
    for path in sorted((ROOT / "edge_scanner" / "core").rglob("*.py")):
        if path.name != "__init__.py":
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield f"core/{module.removeprefix('edge_scanner.core.')}.md", f"::: {module}\n"


def source_pages() -> Iterator[tuple[str, str]]:
    """The files outside `docs/` to which the guides point, as pages."""
    for document in sorted((ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(\.\./([^)#]+)\)", document.read_text(encoding="utf-8")):
            path = ROOT / target
            if target in AT_THE_TOP:
                continue
            files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
            parts = [f"## {p.name}\n\n```\n{p.read_text(encoding='utf-8')}\n```\n" for p in files]
            yield f"files/{_flat(target)}.md", f"# {target}\n\n" + "\n".join(parts)


def _flat(target: str) -> str:
    return target.strip("/").replace("/", "-")


def made() -> dict[str, str]:
    """Every made page by its path."""
    pages = dict([*settings_pages(), *command_pages(), *core_pages(), *source_pages()])
    for name, target in AT_THE_TOP.items():
        pages[target] = _from_the_top((ROOT / name).read_text(encoding="utf-8"))
    for kind, title in (("settings", "Settings"), ("commands", "Commands"), ("core", "API of core")):
        lines = [f"- [{Path(path).stem}]({Path(path).name})" for path in pages if path.startswith(f"{kind}/")]
        pages[f"{kind}/index.md"] = f"# {title}\n\n" + "\n".join(lines) + "\n"
    return pages


def _from_the_top(text: str) -> str:
    text = re.sub(r"\]\(docs/", "](", text)
    for name, target in AT_THE_TOP.items():
        text = text.replace(f"]({name})", f"]({target})")
    return re.sub(r"\[([^\]]+)\]\((?:LICENSE|CHANGELOG\.md|(?:\.github|config|tests)/[^)]*)\)", r"`\1`", text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Adds the made pages to the navigation."""
    pages = made()
    decisions = sorted(f"decisions/{path.name}" for path in (ROOT / "docs" / "decisions").glob("*.md"))
    sections = {
        "Settings": sorted(path for path in pages if path.startswith("settings/")),
        "Commands": sorted(path for path in pages if path.startswith("commands/")),
        "API of core": sorted(path for path in pages if path.startswith("core/")),
        "Decisions": decisions,
        "Project": ["contributing.md", "security.md", *sorted(path for path in pages if path.startswith("files/"))],
    }
    config.nav = [*(config.nav or []), *({title: _index_first(paths)} for title, paths in sections.items())]
    return config


def _index_first(paths: list[str]) -> list[str]:
    return sorted(paths, key=lambda path: (not path.endswith("index.md"), path))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the made pages themselves."""
    for path, text in made().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """A link that leaves `docs/` leads to the page made of that file."""

    def turned(match: re.Match[str]) -> str:
        target = match.group(1)
        return f"]({AT_THE_TOP.get(target) or f'files/{_flat(target)}.md'})"

    return re.sub(r"\]\(\.\./([^)#]+)\)", turned, markdown)
