"""Manual pages and completions of all programs: made by the build, read by man, and asked by real shells."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from edge_scanner import __version__
from edge_scanner.core.errors import EdgeScannerError
from tests.support.installed import program
from tools import manuals

ROOT = Path(__file__).parents[3]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
MADE_S = 1_795_500_000
ENGLISH = os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "100"}


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build makes of all four programs."""
    folder = tmp_path_factory.mktemp("share")
    apps = {name: import_module(place.partition(":")[0]).app for name, place in SCRIPTS.items()}
    manuals.share(apps, folder, version=__version__, made_s=MADE_S)
    return folder


def test_man_shows_every_page_without_a_warning(share: Path) -> None:
    """And `whatis` finds its name: that is what lexgrog reads for it."""
    man, lexgrog = program("man"), program("lexgrog")
    pages = sorted((share / "man" / "man1").iterdir())
    for page in pages:
        shown = subprocess.run(
            [man, "--warnings=w", "-l", str(page)], capture_output=True, text=True, check=True, env=ENGLISH
        )
        indexed = subprocess.run([lexgrog, str(page)], capture_output=True, text=True, check=False, env=ENGLISH)

        assert (page.name, shown.stderr) == (page.name, "")
        assert f"{page.name.removesuffix('.1.gz')} - " in indexed.stdout
    assert {f"{name}.1.gz" for name in SCRIPTS} < {page.name for page in pages}


def test_a_page_says_what_help_says(share: Path) -> None:
    """Every option, the exit codes and the example of a command of two words."""
    page = share / "man" / "man1" / "edge-scanner-log-export.1.gz"
    shown = subprocess.run([program("man"), "-l", str(page)], capture_output=True, text=True, check=True, env=ENGLISH)

    said = " ".join(shown.stdout.split())
    assert "edge-scanner log export [options] DIR" in said
    assert "-c, --config FILE The settings file. [default: /etc/edge-scanner/scanner.toml]" in said
    assert "edge-scanner log export /media/usb/case-7 --from 2026-11-20T08:00+07:00 --to" in said
    assert "77 Refused" in said


def _codes(kind: type[EdgeScannerError]) -> set[str]:
    """The exit codes of an error and of all that are kinds of it."""
    return {str(kind.exit_code)}.union(*map(_codes, kind.__subclasses__()))


def test_every_exit_code_is_explained() -> None:
    """Those of our errors, and what a command or the command line's library ends with by itself."""
    assert set(manuals.EXIT_CODES) == _codes(EdgeScannerError) | {"0", "1", "2"}


def test_pages_of_a_release_are_the_same_bytes(share: Path, tmp_path: Path) -> None:
    """Whoever makes them, and in another process: their date is the commit's."""
    command = [sys.executable, str(ROOT / "tools" / "manuals.py")]
    command += [f"{name}={place.partition(':')[0]}" for name, place in SCRIPTS.items()]
    subprocess.run([*command, str(tmp_path)], check=True, env=os.environ | {"SOURCE_DATE_EPOCH": str(MADE_S)})

    files = [path.relative_to(share) for path in sorted(share.rglob("*")) if path.is_file()]
    assert files == [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert [path for path in files if (share / path).read_bytes() != (tmp_path / path).read_bytes()] == []


def test_text_that_roff_would_read_as_a_request_is_shown() -> None:
    """A full stop or an apostrophe at the beginning of a line, a backslash, and marks of a shell."""
    page = manuals.completion("edge-scanner", "bash")
    assert "_EDGE_SCANNER_COMPLETE=complete_bash" in page

    text = (
        f".TH X 1\n.SH NAME\nx \\- y\n.SH TEXT\n{manuals.prose('.so evil')}\n.br\n{manuals.prose(chr(39) + 'a ~/b')}\n"
    )
    shown = subprocess.run(
        [program("man"), "--warnings=w", "-l", "-"],
        input=gzip.compress(text.encode()), capture_output=True, check=True, env=ENGLISH,
    )  # fmt: skip
    assert shown.stderr == b""
    assert ".so evil" in shown.stdout.decode()
    assert "'a ~/b" in shown.stdout.decode()


BASH = """
source "$1"
COMP_WORDS=({words} "") COMP_CWORD={count}
_{function}_completion {program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = """source $argv[1]; complete --do-complete "{words} " """
# A zsh of its own at a terminal of its own: the key is pressed once, and what the line has become is what zpty shows.
ZSH = """
zmodload zsh/zpty
zpty shell 'TERM=dumb zsh -f -i'
zpty -w shell 'PROMPT=; fpath=('$1' $fpath); autoload -Uz compinit; compinit -u -D; print BE''GUN'
zpty -r shell seen '*BEGUN*'
zpty -w -n shell $'{words} {begun}\\t'
zpty -r shell seen '*{wanted}*'
print -r -- $seen
"""
CASES = [
    ("edge-scanner", "edge-scanner log", "verify"),
    ("edge-authority", "edge-authority request", "approve"),
    ("edge-central", "edge-central", "collect"),
    ("edge-provision", "edge-provision bench", "secret"),
]


def _asked(shell: str, script: str, file: Path) -> str:
    """What a shell that has just started offers."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    words = [program(shell), *(["--norc"] if shell == "bash" else []), "-c", script]
    words += [str(file)] if shell == "fish" else ["-", str(file)]
    return subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout


@pytest.mark.parametrize(("name", "words", "wanted"), CASES)
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_offers_the_commands_of_the_first_word(
    share: Path, shell: str, name: str, words: str, wanted: str
) -> None:
    """By the file that the package installs, and by what the program answers."""
    script = BASH if shell == "bash" else FISH
    script = script.format(words=words, count=len(words.split()), function=name.replace("-", "_"), program=name)

    offered = _asked(shell, script, share / manuals.SHELLS[shell].format(program=name))

    assert wanted in [line.split("\t")[0] for line in offered.splitlines()]


def test_zsh_completes_at_the_first_press_of_the_key(share: Path) -> None:
    """Its file is loaded by that very press."""
    name, words, wanted = CASES[0]
    place = (share / manuals.SHELLS["zsh"].format(program=name)).parent

    shown = _asked("zsh", ZSH.format(words=words, begun=wanted[:3], wanted=wanted), place)

    assert f"{words} {wanted}" in shown


@pytest.mark.parametrize("shell", manuals.SHELLS)
def test_without_the_package_s_files_a_program_writes_its_own(tmp_path: Path, shell: str) -> None:
    """`--install-completion`, for the shell that it is typed in, in the home of who types it."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    typed = "edge-scanner --install-completion; true"

    subprocess.run([program(shell), "-c", typed], check=True, env={"PATH": path, "HOME": str(tmp_path)})

    (file,) = (one for one in tmp_path.rglob("*edge-scanner*") if one.is_file())
    assert "_EDGE_SCANNER_COMPLETE=complete_" + shell in file.read_text()
