"""PROGRAM edge-central: names, options and help; each command's work stands in the file it imports when called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_scanner import __version__, program, terminal

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="The centre: keeps what boxes publish, once, and is the witness of their logs.\n\nThe guide is "
    "docs/central.md.\n\nExample: `edge-central database --config central.toml`",
)

Config = Annotated[
    Path, typer.Option("--config", envvar="EDGE_CENTRAL_CONFIG", help="The settings file.", metavar="TOML")
]


def main() -> None:
    """Run the command; an error of ours becomes one line and its exit code."""
    program.run("edge-central", app)


def _print_version(wanted: bool) -> None:
    if wanted:
        terminal.say(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
    lang: Annotated[
        Literal["vi", "en"] | None, typer.Option(help="Language of error messages; the locale's if not given.")
    ] = None,
) -> None:
    """`--lang` is read from the command line itself, because an error may come before it is parsed."""
    del version, lang


@app.command()
def database(config: Config = Path("/etc/edge-central/central.toml")) -> None:
    """Make the tables or bring them up to date, and say what is in them.

    The other commands do this by themselves when they start.

    Example: `edge-central database --config central.toml`
    """
    from edge_scanner.central import settings
    from edge_scanner.central.store import store

    with store.open_store(settings.read(config).database.url) as opened:
        newest = opened.read.newest_bin()
        terminal.say(f"{opened.place}: {len(opened.read.boxes())} boxes, {len(opened.read.alarms())} open alarms")
        if newest is not None:
            terminal.say(f"newest bin {newest} (UTC seconds)")


if __name__ == "__main__":
    main()
