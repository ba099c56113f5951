"""PROGRAM edge-authority: names, options and help; each command's work stands in the file it imports when called.

Results go to stdout, progress and warnings to stderr, errors as one line with an exit code (core/errors.py).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_scanner import __version__
from edge_scanner.core.errors import EdgeScannerError

if TYPE_CHECKING:
    from edge_scanner.authority.cases import Trust

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="The health authority's side: ask boxes for sealed hours, check them, open them with the custodian, match "
    "them with confirmed cases, report.\n\nThe guide is docs/authority.md.\n\n"
    "Example: `edge-authority request show request.json`",
)

Json = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
PublicKey = Annotated[
    Path | None, typer.Option("--public-key", help="The export publisher's P-256 key, PEM.", metavar="PEM")
]
UnsignedOk = Annotated[bool, typer.Option("--unsigned-ok", help="Take exports that are not signed.")]
Rotations = Annotated[
    int | None, typer.Option("--max", help="Bluezone identifiers a day, 96 or 144; by default what each record says.")
]
ChainLag = Annotated[
    bool, typer.Option("--chain-lag", help="Bluezone 2.0.0 to 2.0.2 on Android: one link of the day chain behind.")
]
Cases = Annotated[list[Path], typer.Argument(metavar="CASES...", help="Bluezone JSON, export.zip or export.bin.")]


def main() -> None:
    """Run the command; an error of ours becomes one line and its exit code."""
    try:
        app()
    except EdgeScannerError as error:
        print(f"edge-authority: {error}", file=sys.stderr)  # noqa: T201 (one line on stderr is the interface)
        sys.exit(error.exit_code)


@app.callback()
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def derive(
    files: Cases,
    csv: Annotated[Path, typer.Option("--csv", help="Where the CSV goes; - is stdout.", metavar="FILE")],
    public_key: PublicKey = None,
    unsigned_ok: UnsignedOk = False,
    rotations: Rotations = None,
    chain_lag: ChainLag = False,
) -> None:
    """Print every identifier that cases' phones broadcast, for inspection: `protocol,identifier,start,end`.

    Identifiers in hex, times in unix seconds.

    Example: `edge-authority derive case.json export.zip --public-key publisher.pem --csv -`
    """
    from edge_scanner.authority.derive import run_derive

    run_derive(files, csv, trust_of(public_key, rotations, unsigned_ok=unsigned_ok, chain_lag=chain_lag))


def trust_of(public_key: Path | None, rotations: int | None, *, unsigned_ok: bool, chain_lag: bool) -> Trust:
    """The options about case files as one value."""
    from edge_scanner.authority import cases, exports, files

    if rotations is not None and rotations not in cases.ROTATIONS:
        raise typer.BadParameter("96 or 144", param_hint="--max")
    key = None
    if public_key is not None:
        key = exports.load_public_key(files.read(public_key, limit=64 * 1024), str(public_key))
    return cases.Trust(public_key=key, unsigned_ok=unsigned_ok, rotations=rotations or 0, chain_lag=int(chain_lag))


if __name__ == "__main__":
    main()
