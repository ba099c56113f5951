"""PROGRAM `python -m edge_scanner.demo.tracing`: see `make demo-tracing`.

A health office rehearses its night on the demo's box. The programs are the real ones; only the passphrases come from
files. The box's clock and the authority's are the machine's: the evening that is asked for was sealed before the box
began (evening.py), so nothing is relaxed for the rehearsal.
"""

from __future__ import annotations

import os
import signal
import sys
import webbrowser
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from edge_scanner.core.errors import EdgeScannerError, UnavailableError
from edge_scanner.demo.rehearsal import Rehearsal
from edge_scanner.demo.stage import stage

PHONES = 20
"""Around the box while the authority works; nobody asks about them."""
_WIDTH = 120
"""Of the table in a pipe."""


def tracing(
    check: Annotated[bool, typer.Option("--check", help="Only a table of whether each step did what it must.")] = False,
) -> None:
    """A health authority's night on a simulated venue: order, approval, pull, release, opening, match, report.

    Example: `make demo-tracing DEMO_ARGS=--check`
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rehearsal = Rehearsal(console=Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH), quiet=check)
    code = 0
    try:
        with stage(phones=PHONES, speed=1.0, prepare=rehearsal.prepare) as here:
            rehearsal.play()
            if not check:
                _show(rehearsal.report, str(here.folder))
    except KeyboardInterrupt:
        typer.echo("ended; nothing is left behind", err=True)
    except EdgeScannerError as error:
        typer.echo(f"demo-tracing: {error}", err=True)
        code = error.exit_code
    if check:
        rehearsal.console.print(_table(rehearsal))
        code = code or (0 if rehearsal.passed else UnavailableError.exit_code)
    sys.exit(code)


def _show(report: str, folder: str) -> None:
    """Open the report where there is a desktop, say where it is, and wait for Ctrl-C."""
    typer.echo(f"\nBáo cáo / The report: {report}")
    typer.echo(f"Các máy / The machines: {folder}/{{root,officer,approver,custodian,fleet}}")
    if sys.stdout.isatty() and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(report)
    typer.echo("Ctrl-C: kết thúc và xoá hết / ends it and leaves nothing behind")
    signal.pause()


def _table(rehearsal: Rehearsal) -> Table:
    table = Table(
        "", "ai / who", "việc / step", "exit", "kết quả / result", box=None, header_style="bold", pad_edge=False
    )
    for row in rehearsal.rows:
        mark = "[green]✔[/]" if row.well else "[bold red]✘[/]"
        table.add_row(mark, row.who, row.what, "" if row.code is None else str(row.code), row.found)
    return table


if __name__ == "__main__":
    typer.run(tracing)
