#!/usr/bin/env python3
"""manuals.py PROGRAM=MODULE... FOLDER: the manual pages and shell completions of programs, as a `share` folder.

Both are made from the command line itself, as `--help` and the documentation's page of a command are. The pages use the
requests of man(7) and nothing else; a word of several commands (`log export`) has one page, as git's have.
Completions are typer's own scripts: a shell that completes asks the program.
"""

from __future__ import annotations

import gzip
import importlib
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main
from typer._completion_shared import get_completion_script

if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = {
    "bash": "bash-completion/completions/{program}",
    "zsh": "zsh/vendor-completions/_{program}",
    "fish": "fish/vendor_completions.d/{program}.fish",
}
"""Where a distribution's package puts a program's completion, below /usr/share."""
EXIT_CODES = {
    "0": "Done.",
    "1": "Interrupted; or as the description says.",
    "2": "The command line is wrong; or as the description says.",
    "65": "A file or an answer is damaged, forged, or not what was expected.",
    "69": "A program, a package or the network is not there.",
    "70": "A mistake of the program's own.",
    "74": "A file could not be read or written.",
    "75": "Run it again: it was ended so that a new run begins without what was wrong.",
    "77": "Refused: a wrong passphrase, a right that is missing, or a policy.",
    "78": "The settings are wrong; the message names the line.",
}
_ESCAPED = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"})


def share(programs: dict[str, Any], folder: Path, *, version: str, made_s: int) -> None:
    """Write every program's manual pages (compressed, as Debian wants them) and completions below `folder`."""
    for program, app in programs.items():
        group = typer.main.get_group(app)
        for name, text in pages(program, group, version=version, made_s=made_s):
            page = folder / "man" / "man1" / f"{name}.1.gz"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        for shell, place in SHELLS.items():
            script = folder / place.format(program=program)
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text(completion(program, shell), encoding="utf-8")


def completion(program: str, shell: str) -> str:
    """What a shell loads when somebody completes this program for the first time."""
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    script = get_completion_script(prog_name=program, complete_var=variable, shell=shell)
    if shell == "zsh":
        # zsh loads the file to complete at once: without a call the first press of the key would do nothing.
        script += f"\n\n_{program.replace('-', '_')}_completion"
    return f"{script}\n"


def commands(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by what is typed: `edge-scanner log export`."""
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(f"{words} {name}", inner)
    if not hasattr(command, "commands"):
        yield words, command


def options(words: str, command: Any) -> list[tuple[str, str]]:
    """What may stand behind a command, and what each means, as `--help` has it."""
    context = typer.Context(command, info_name=words, help_option_names=["-h", "--help"])
    return [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]


def pages(program: str, group: Any, *, version: str, made_s: int) -> Iterator[tuple[str, str]]:
    """A page of the program and one of each command: its name and its text."""
    found = list(commands(program, group))
    listed = "".join(
        f".TP\n\\fB{_plain(words.removeprefix(program).strip())}\\fR\n{prose(_first(command))}\n"
        for words, command in found
    )
    others = [words.replace(" ", "-") for words, _ in found]
    body = (
        f".SH SYNOPSIS\n.B {_plain(program)}\n[\\fIoptions\\fR] \\fIcommand\\fR ...\n"
        f"{_described(group)}{_options(options(program, group))}.SH COMMANDS\n{listed}"
    )
    yield program, _page(program, _first(group), body, others, version=version, made_s=made_s)
    for words, command in found:
        name = words.replace(" ", "-")
        wanted = options(words, command)
        arguments = [term.split()[0] for term, _ in wanted if not term.startswith("-")]
        synopsis = f".SH SYNOPSIS\n.B {_plain(words)}\n[\\fIoptions\\fR]"
        synopsis += "".join(f" \\fI{_plain(argument)}\\fR" for argument in arguments) + "\n"
        body = f"{synopsis}{_described(command)}{_options(wanted)}"
        yield name, _page(name, _first(command), body, [program], version=version, made_s=made_s)


def _page(name: str, about: str, body: str, others: list[str], *, version: str, made_s: int) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(made_s))
    codes = "".join(f".TP\n\\fB{code}\\fR\n{prose(meaning)}\n" for code, meaning in EXIT_CODES.items())
    also = "\n".join(f".BR {_plain(other)} (1)" + ("," if other != others[-1] else "") for other in others)
    return (
        f'.TH "{name.upper()}" 1 "{day}" "edge_scanner {version}" "edge_scanner"\n'
        f".SH NAME\n{_plain(name)} \\- {_plain(_unmarked(about).rstrip('.'))}\n"
        f"{body}.SH EXIT STATUS\n{codes}.SH SEE ALSO\n{also}\n"
    )


def _described(command: Any) -> str:
    paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n") if part.strip()]
    text = [part for part in paragraphs if not part.startswith("Example: ")]
    examples = [part.removeprefix("Example: ").strip("`") for part in paragraphs if part.startswith("Example: ")]
    described = ".SH DESCRIPTION\n" + "\n.PP\n".join(prose(part) for part in text) + "\n"
    shown = "".join(f".nf\n.RS\n{_plain(example)}\n.RE\n.fi\n" for example in examples)
    return described + (f".SH EXAMPLES\n{shown}" if shown else "")


def _options(records: list[tuple[str, str]]) -> str:
    rows = "".join(f".TP\n\\fB{_plain(term)}\\fR\n{prose(meaning) or '.br'}\n" for term, meaning in records)
    return f".SH OPTIONS\n{rows}" if rows else ""


def _first(command: Any) -> str:
    """The first sentence of a help text."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def prose(text: str) -> str:
    """A help text, whose backticks mark what is typed."""
    parts = re.split(r"`([^`]+)`", " ".join(text.replace("**", "").split()))
    return "".join(f"\\fB{_plain(part)}\\fR" if place % 2 else _plain(part) for place, part in enumerate(parts))


def _plain(text: str) -> str:
    """Text that roff prints as it is, also at the beginning of a line."""
    escaped = text.translate(_ESCAPED)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def _unmarked(text: str) -> str:
    return text.replace("`", "").replace("**", "")


def main(words: list[str]) -> None:
    """Write what the command line names; dated by SOURCE_DATE_EPOCH, as the rest of a release."""
    from edge_scanner import __version__  # noqa: PLC0415 (after the path)

    programs = dict(word.split("=") for word in words[:-1])
    apps = {program: importlib.import_module(module).app for program, module in programs.items()}
    share(apps, Path(words[-1]), version=__version__, made_s=int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main(sys.argv[1:])
