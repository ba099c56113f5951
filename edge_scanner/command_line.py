"""What people's command lines have in common: how help looks, `--version` and `--lang`. No unit of a box loads it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from edge_scanner import __version__, terminal


def application(about: str) -> typer.Typer:
    """A program's command line with both options; `about` is its help."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
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
    Literal["vi", "en"] | None, typer.Option(help="Language of error messages; the locale's if not given.")
]


def _options(version: Version = False, lang: Lang = None) -> None:
    """`--lang` is read from the command line itself, because an error may come before it is parsed."""
    del version, lang
