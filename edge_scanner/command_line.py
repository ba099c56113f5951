"""What people's command lines have in common: how help looks, `--version`, `--lang`, asking for a secret.

No unit of a box loads it. A question stands in both languages: who answers it may not be who set the locale.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from edge_scanner import __version__, terminal
from edge_scanner.core.errors import EdgeScannerError
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AGAIN = "Nhập lại / Repeat"
_DIFFERENT = "Hai lần nhập không giống nhau. / The two are not the same."


class _Said(typer.BadParameter):
    """A usage error whose message is whole."""

    def format_message(self) -> str:
        """The message without words before it."""
        return self.message


class _Group(TyperGroup):
    """The commands of a program; what is wrong with a command line is said in the reader's language."""

    def make_context(self, *given: Any, **named: Any) -> Any:
        """Reads the program's own options."""
        with _in_their_language():
            return super().make_context(*given, **named)

    def invoke(self, ctx: Any) -> Any:
        """Reads the command's options and runs it."""
        with _in_their_language():
            return super().invoke(ctx)


@contextmanager
def _in_their_language() -> Iterator[None]:
    try:
        yield
    except TyperException as error:
        english = error.format_message()
        said = errors.vietnamese(english)
        if said == english or errors.chosen(sys.argv[1:], os.environ) == "en":
            raise
        raise _Said(said, ctx=getattr(error, "ctx", None)) from error


def application(about: str) -> typer.Typer:
    """A program's command line with both options; `about` is its help."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode="markdown",
        help=about,
    )
    app.callback()(_options)
    return app


def secret(words: str, *, twice: bool = False, check: Callable[[str], object] | None = None) -> str:
    """Ask for what nobody may see, on stderr, because stdout is the answer's.

    `check` raises an error of ours for what is no good; then, and when two that should be equal are not, all is asked
    again.
    """
    while True:
        text = str(typer.prompt(words, hide_input=True, err=True))
        try:
            if check is not None:
                check(text)
        except EdgeScannerError as error:
            terminal.say(errors.line(error, errors.chosen(sys.argv[1:], os.environ)), stderr=True)
            continue
        if not twice or typer.prompt(_AGAIN, hide_input=True, err=True) == text:
            return text
        terminal.say(_DIFFERENT, stderr=True)


def asked(words: str) -> Any:
    """An option for a new secret: `words` are asked where a script does not give it."""
    return typer.Option(
        default_factory=lambda: secret(words, twice=True),
        show_default=False,
        help="For scripts; asked for if not given.",
    )


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.say(__version__)
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
]
Lang = Annotated[Literal["vi", "en"] | None, typer.Option(help="Language of error messages; by default the locale's.")]


def _options(version: Version = False, lang: Lang = None) -> None:
    """`--lang` is read from the command line itself, because an error may come before it is parsed."""
    del version, lang
