"""PROGRAM `python -m edge_scanner.demo`: see `make demo`."""

from __future__ import annotations

import signal
import sys
import time
from typing import Annotated

import typer

from edge_scanner.core.errors import EdgeScannerError
from edge_scanner.demo import check, show
from edge_scanner.demo.stage import stage

PHONES, SPEED = 60, 60.0
"""A lively hall; an hour a minute."""


def demo(
    phones: Annotated[
        int | None, typer.Option(help="About how many phones are in the hall at its busiest hour.", min=1, max=5000)
    ] = None,
    speed: Annotated[float | None, typer.Option(help="How fast simulated time runs.", min=1, max=600)] = None,
    seconds: Annotated[float | None, typer.Option(help="End after so long instead of at Ctrl-C.", min=1)] = None,
    checking: Annotated[
        bool, typer.Option("--check", help="Run a simulated hour, check that all is there, print one table, end.")
    ] = False,
) -> None:
    """The whole product on a simulated crowd: daemon, mosquitto with mutual TLS, sealed log, kiosk page, centre.

    Example: `make demo DEMO_ARGS="--phones 200 --speed 30"`
    """
    began_s = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with stage(
            phones=phones or (check.PHONES if checking else PHONES),
            speed=speed or (check.SPEED if checking else SPEED),
            centre=True,
        ) as here:
            if checking:
                check.run(here, deadline_s=began_s + (seconds or check.DEADLINE_S))
            else:
                show.run(here, seconds=seconds)
    except KeyboardInterrupt:
        typer.echo("ended; nothing is left behind", err=checking)
        # Whoever waits for the check must not take an end by hand for a good one.
        sys.exit(130 if checking else 0)
    except EdgeScannerError as error:
        typer.echo(f"demo: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(demo)
    app()
