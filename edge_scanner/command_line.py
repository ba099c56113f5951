"""What people's command lines have in common: how help looks and in which language, `--version`, `--lang`.

No unit of a box loads it.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from edge_scanner import __version__, terminal
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

_PANELS = {
    "ARGUMENTS_PANEL_TITLE": "Arguments",
    "OPTIONS_PANEL_TITLE": "Options",
    "COMMANDS_PANEL_TITLE": "Commands",
    "ERRORS_PANEL_TITLE": "Error",
    "ABORTED_TEXT": "Aborted.",
    "DEFAULT_STRING": "[default: {}]",
    "REQUIRED_LONG_STRING": "[required]",
    "RICH_HELP": "Try [blue]'{command_path} {help_option}'[/] for help.",
}
"""Typer's own words around our help and errors, by the constants of its module `rich_utils`."""
_USAGE = "Usage: "
_CONTEXT = TyperGroup.context_class
_FORMATTER = _CONTEXT.formatter_class


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
    except typer.Abort:
        _set_panels()
        raise
    except TyperException as error:
        english = error.format_message()
        said = errors.told(english)
        if said == english:
            raise
        raise _Said(said, ctx=getattr(error, "ctx", None)) from error


def _word(english: str) -> str:
    """One of typer's words: the catalogue has it under what others say, not among our own sentences."""
    return errors.told(english)


def _set_panels() -> None:
    """Typer's words in the reader's language; only when they are about to be drawn, because rich is slow to load."""
    from typer import rich_utils  # noqa: PLC0415 (as above)

    for name, english in _PANELS.items():
        setattr(rich_utils, name, _word(english))


def _formatter(**named: Any) -> Any:
    """What typer makes before it draws a help page or a usage line."""
    _set_panels()
    made = _FORMATTER(**named)
    made.write_usage = partial(made.write_usage, prefix=_word(_USAGE))  # type: ignore[method-assign]
    return made


_CONTEXT.formatter_class = staticmethod(_formatter)  # type: ignore[assignment]


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


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.say(__version__)
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
]
Lang = Annotated[
    Literal["vi", "en"] | None,
    typer.Option("--lang", help="Language of what the program says; by default the locale's.", show_choices=True),
]
"""Of the program, before the command, or of a command that says much."""


def language(lang: Lang) -> errors.Language:
    """What a command speaks that takes `--lang` itself."""
    return lang or errors.spoken(sys.argv[1:], os.environ)


def _options(version: Version = False, lang: Lang = None) -> None:
    """`--lang` is read from the command line itself, because an error may come before it is parsed."""
    del version, lang
