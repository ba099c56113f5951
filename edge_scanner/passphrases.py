"""How every program is given a secret: a passphrase, a password, a PIN.

In this order: the file of an option `--…-file`, an environment variable, systemd's credential of that unit, and else it
is asked for, without an echo. It never stands on a command line, where every user of the machine can read it with `ps`.
Whichever way it comes, it is one line, and what is wrong with it is said in the same words. The question stands in both
languages: who answers it may not be who set the locale.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edge_scanner import terminal
from edge_scanner.core.errors import BadDataError, EdgeScannerError, StorageError
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_CHARACTERS, MIN_DIFFERENT = 12, 6
"""Of a new passphrase; against guessing at leisure stands the key derivation, which is slow and needs memory."""
_MAX_BYTES = 4096
_HINT = "a file of one line"
_AGAIN = "Nhập lại / Repeat"
_DIFFERENT = "Hai lần nhập không giống nhau. / The two are not the same."


def check(passphrase: str) -> str:
    """A new passphrase, when it is worth its name; raises BadDataError."""
    if len(passphrase) < MIN_CHARACTERS or len(set(passphrase)) < MIN_DIFFERENT:
        raise BadDataError(
            f"a passphrase has at least {MIN_CHARACTERS} characters, {MIN_DIFFERENT} of them different",
            hint="four random words are good",
        )
    return passphrase


class Given(str):
    """A secret that is known already; any other text of an option is the name of a file."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """One secret of a program: the question, the environment variable, and the name of systemd's credential.

    A `new` one is typed twice, and asked for again while `check` refuses it.
    """

    question: str
    variable: str
    credential: str
    new: bool = False
    check: Callable[[str], object] | None = None

    def take(self, file: Path | None = None) -> str:
        """The secret, asked for if nothing gives it; raises BadDataError, StorageError."""
        text = self.found(file)
        if text is None:
            return self._ask()
        if self.check is not None:
            self.check(text)
        return text

    def found(self, file: Path | None = None) -> str | None:
        """What the file, the environment or systemd gives; raises BadDataError, StorageError."""
        if file is not None:
            return read(file)
        if text := os.environ.get(self.variable):
            return text
        handed = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""), self.credential)
        return read(handed) if handed.is_absolute() and handed.exists() else None

    def _ask(self) -> str:
        """Typed, on stderr, because stdout is the answer's; again while it is no good or the two are not the same."""
        while True:
            text = str(typer.prompt(self.question, hide_input=True, err=True))
            try:
                if self.check is not None:
                    self.check(text)
            except EdgeScannerError as error:
                terminal.say(errors.line(error, errors.reader()), stderr=True)
                continue
            if not self.new or typer.prompt(_AGAIN, hide_input=True, err=True) == text:
                return text
            terminal.say(_DIFFERENT, stderr=True)

    def option(self, name: str, about: str) -> typer.models.OptionInfo:
        """An option whose value in the command is the secret itself."""
        made: typer.models.OptionInfo = typer.Option(
            name,
            parser=lambda text: text if isinstance(text, Given) else Given(self.take(Path(text))),
            default_factory=lambda: Given(self.take()),
            metavar="FILE",
            help=self.help(about),
            show_default=False,
        )
        return made

    def help(self, about: str) -> str:
        """What such an option's help says in every program."""
        return f"{about} `-` reads stdin. Without it, `{self.variable}` is used, or you are asked."


def read(file: Path) -> str:
    """The one line of a file, of a descriptor (`/dev/fd/3`) or of stdin (`-`); raises BadDataError, StorageError."""
    try:
        with Path("/dev/stdin" if str(file) == "-" else file).open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read: {error.strerror}", where=str(file), hint=_HINT) from error
    text = content.decode(errors="replace").rstrip("\r\n")
    if not text or "\n" in text or len(content) > _MAX_BYTES:
        raise BadDataError("not a passphrase", where=str(file), hint=_HINT)
    return text
