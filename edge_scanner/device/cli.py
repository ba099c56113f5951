"""PROGRAM edge-scanner: names, options and help; each command's work stands in the file it imports when called.

Imports are inside the commands so that `edge-scanner run` on a box loads only what it runs, and so that `--help` is
quick. What goes where: results to stdout, errors as one line to stderr, exit codes as in core/errors.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_scanner import __version__
from edge_scanner.core.errors import EdgeScannerError

DEFAULT_CONFIG = Path("/etc/edge-scanner/scanner.toml")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="A venue's edge box for contact tracing.\n\nExample: `edge-scanner run --config scanner.toml`",
)
log = typer.Typer(no_args_is_help=True, help="The sealed log.\n\nExample: `edge-scanner log status`")
app.add_typer(log, name="log")

Config = Annotated[Path, typer.Option("--config", "-c", help="The settings file.", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]


def main() -> None:
    """Run the command; an error of ours becomes one line (two with its hint) and its exit code."""
    try:
        app()
    except EdgeScannerError as error:
        print(f"edge-scanner: {error}", file=sys.stderr)  # noqa: T201 (one line on stderr is the interface)
        sys.exit(error.exit_code)


@app.callback()
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def run(
    config: Config = DEFAULT_CONFIG,
    simulate: Annotated[
        int | None, typer.Option(help="Hear a simulated crowd of about this many phones instead of the radio.", min=1)
    ] = None,
    speed: Annotated[float, typer.Option(help="How fast simulated time runs.", min=0.1, max=1000)] = 1.0,
) -> None:
    """Listen, log, count and publish until SIGTERM.

    Example: `edge-scanner run --config config/scanner.toml --simulate 80 --speed 10`
    """
    from edge_scanner.device import scanner, settings

    crowd = scanner.Simulation(phones=simulate, speed=speed) if simulate else None
    raise typer.Exit(scanner.main(settings.load(config), crowd))


@app.command()
def check_config(
    file: Annotated[Path, typer.Argument(metavar="FILE")] = DEFAULT_CONFIG,
) -> None:
    """Check a settings file and list every mistake with its line.

    Example: `edge-scanner check-config scanner.toml`
    """
    from edge_scanner.device import settings

    settings.load(file)
    typer.echo(f"{file}: good")


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False, help="Captures.")],
    protocols: Annotated[str, typer.Option(metavar="NAMES", help="Comma-separated; all by default.")] = "",
    utc_offset: Annotated[
        float, typer.Option(metavar="SECONDS", help="How far the captures' clock is ahead of UTC.")
    ] = 0.0,
    grace: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            max=3600,
            help="Longest silence of a device that is still here: 60 for a sniffer, 300 to 900 for a phone that scans "
            "now and then. Measured from the captures by default.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play captured Bluetooth traffic (btsnoop, pcap, pcapng) through the daemon's functions; several as one receiver.

    Example: `edge-scanner replay btsnoop_hci.log --utc-offset 7200 --json`
    """
    from edge_scanner.device.commands.replay import run_replay

    run_replay(files, protocols=protocols, utc_offset_s=utc_offset, grace_s=grace, as_json=as_json)
