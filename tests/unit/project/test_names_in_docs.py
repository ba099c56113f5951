"""What a document names is there: options, `make` targets, benchmarks, settings, files, topics and tests."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from subprocess import run

import pytest
import typer.main

from edge_scanner.authority import cli as authority
from edge_scanner.central import cli as central
from edge_scanner.device import cli as device
from provisioning import cli as provisioning

ROOT = Path(__file__).parents[3]
APPS = {
    "edge-scanner": device.app,
    "edge-authority": authority.app,
    "edge-central": central.app,
    "edge-provision": provisioning.app,
}
# What was released is history: its section of the changelog names what there was.
DOCUMENTS = [
    *(path for path in sorted(ROOT.glob("*.md")) if path.name != "CHANGELOG.md"),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FOLDERS = ("", "edge_scanner", "edge_scanner/device", "tests", "docs")
"""Where a path may begin: the documents leave out what the reader knows."""
FILE = r"py|toml|json|service|path|socket|timer|conf|sql|lock|csv|html|svg|png|yml|md"
OF_OTHERS = {
    "f0.json": "a case file, as the app's operator gives it",
    "sites.csv": "the fleet's own list",
    "acl.conf": "mosquitto's, on the broker",
    "userconfig.service": "Raspberry Pi OS's",
    "bluetooth.service": "BlueZ's",
    "sync-B-014.json": "an evening's file of a batch of that name",
    "device/storage/schema/NNNN.sql": "a pattern",
    "protocols/NAME.py": "a pattern",
}


@cache
def _tracked() -> frozenset[str]:
    """Every file of the repository; without git, as in an unpacked source, every file there is."""
    listed = run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return frozenset(listed.stdout.split("\n")) - {""}
    return frozenset(str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())


@cache
def _sources() -> str:
    """All code as one text: names of files that the programs write stand in it."""
    suffixes = (".py", ".toml", ".service", ".path", ".conf")
    folders = ("edge_scanner/", "provisioning/", "config/", "systemd/", "packaging/", "tests/")
    return "\n".join(
        (ROOT / name).read_text()
        for name in sorted(_tracked())
        if name.startswith(folders) and name.endswith(suffixes) and name != "tests/unit/project/test_names_in_docs.py"
    )


@cache
def _options(program: str) -> dict[str, set[str]]:
    """The options of each command of a program by its words ("fleet new")."""
    found: dict[str, set[str]] = {}

    def walk(commands: dict[str, object], before: str) -> None:
        for name, command in commands.items():
            parameters = getattr(command, "params", [])
            spelt = {option for one in parameters for option in (*one.opts, *one.secondary_opts)}
            found[before + name] = spelt | {"--help"}
            walk(getattr(command, "commands", {}), f"{before}{name} ")

    walk(dict(typer.main.get_group(APPS[program]).commands), "")
    return found


def _of_nothing(text: str, program: str) -> list[str]:
    """Calls of a program in `text` with an option that their command does not have."""
    known = _options(program)
    call = rf"(?:^ *|`|&& |sudo |-u edge-scanner |bin/){program} ([a-z][^`\n#|]*)"
    wrong = []
    for said in re.findall(call, text.replace("\\\n", " "), re.MULTILINE):
        words = said.split()
        command = next((c for n in (3, 2, 1) if (c := " ".join(words[:n])) in known), None)
        options = {word.strip("[].,;)").partition("=")[0] for word in words if word.strip("[").startswith("--")}
        if command and options - known[command]:
            wrong.append(said)
    return wrong


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if not path.name.endswith(".removed.md")], ids=lambda path: path.name
)
def test_options_of_commands_exist(document: Path) -> None:
    """Each `PROGRAM WORD … --option` of a document is an option of that command.

    A fragment of the changelog may name an option that was removed.
    """
    text = document.read_text()

    assert [said for program in APPS for said in _of_nothing(text, program)] == []


def test_a_wrong_option_is_seen() -> None:
    """The search above finds an option that is not there, in prose, over two lines, and after sudo."""
    assert _of_nothing("see `edge-scanner run --fast`", "edge-scanner") == ["run --fast"]
    assert _of_nothing("edge-scanner run \\\n  --fast=1 # x", "edge-scanner")
    assert _of_nothing("sudo edge-provision fleet new --no-such", "edge-provision")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_and_modules_exist(document: Path) -> None:
    """Each `make WORD` is a target of the Makefile, and each `python -m MODULE` of ours is a module that runs."""
    text = document.read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    modules = {
        name.replace(".", "/") for name in re.findall(r"-m ((?:tests|edge_scanner|provisioning)\.[\w.]+\w)", text)
    }

    code = "\n".join(
        [*re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE), *re.findall(r"`([^`\n]+)`", text)]
    )
    calls = re.findall(r"(?:^|&& )make ((?:[a-z][a-z0-9-]* ?)+)", code, re.MULTILINE)
    said = {word for call in calls for word in call.split()}

    assert said - targets == set()
    assert {m for m in modules if not {f"{m}.py", f"{m}/__main__.py"} & _tracked()} == set()


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if path.parent.name != "changelog.d"], ids=lambda path: path.name
)
def test_files_exist(document: Path) -> None:
    """A path in a document leads to a file; a bare name is a file's of ours, or one that the code names.

    A fragment of the changelog may name what was removed.
    """
    names = {Path(path).name for path in _tracked()}

    def known(said: str) -> bool:
        if said in OF_OTHERS or said in _sources():
            return True
        if "/" not in said:
            return said in names
        starts = [ROOT / folder for folder in FOLDERS] + [document.parent]
        # A table of a folder's files may lead out of the folder ("../radio.py").
        return any((start / said).exists() for start in starts) or (said.startswith("../") and Path(said).name in names)

    said = re.findall(rf"`([\w.-]+(?:/[\w.-]+)*\.(?:{FILE}))(?:::\w+)?`", document.read_text())

    assert sorted({name for name in said if not known(name)}) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_settings_exist(document: Path) -> None:
    """Each `[table] key` of a document is a setting of the box or of the centre."""
    there: dict[str, set[str]] = {}
    for name in ("scanner.toml", "central.toml"):
        for table, keys in tomllib.loads((ROOT / "config" / name).read_text()).items():
            there.setdefault(table, set()).update(keys)

    said = re.findall(r"`\[([a-z]+)\] (\w+)", document.read_text())

    assert [(table, key) for table, key in said if key not in there.get(table, ())] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_tests_exist(document: Path) -> None:
    """Each test that a document calls as witness is a test."""
    said = set(re.findall(r"`(?:[\w/.]+::)?(test_\w+)`", document.read_text()))

    assert {name for name in said if not re.search(rf"def {name}\b", _sources())} == set()


@pytest.mark.parametrize(
    ("document", "folder"),
    [
        ("radio.md", "edge_scanner/device/radio"),
        ("storage.md", "edge_scanner/device/storage"),
        ("real-bluez.md", "tests/e2e/bluez"),
        ("real-bluez.md", "tests/e2e/arm64"),
        ("real-bluez.md", "tests/e2e/screen"),
    ],
)
def test_tables_of_a_folder_have_every_file(document: str, folder: str) -> None:
    """A document that lists the files of a folder leaves none out."""
    text = (ROOT / "docs" / document).read_text()

    names = {path.name for path in (ROOT / folder).iterdir() if path.is_file()} - {"__init__.py"}

    assert names
    assert {name for name in names if not re.search(rf"`(?:[\w/]+/)?{re.escape(name)}`", text)} == set()
