"""PROGRAM `python -m edge_scanner.demo`: see `make demo`."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from edge_scanner.core.errors import EdgeScannerError
from edge_scanner.demo import show
from edge_scanner.demo.stage import stage


def demo(
    phones: Annotated[int, typer.Option(help="About how many devices are in the hall.", min=1, max=5000)] = 60,
    speed: Annotated[float, typer.Option(help="How fast simulated time runs.", min=1, max=600)] = 60,
    seconds: Annotated[float | None, typer.Option(help="End after so long instead of at Ctrl-C.", min=1)] = None,
) -> None:
    """The whole product on a simulated crowd: daemon, mosquitto with mutual TLS, sealed log, kiosk page.

    Example: `make demo DEMO_ARGS="--phones 200 --speed 30"`
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with stage(phones=phones, speed=speed) as here:
            show.run(here, seconds=seconds)
    except KeyboardInterrupt:
        typer.echo("ended; nothing is left behind")
    except EdgeScannerError as error:
        typer.echo(f"demo: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    typer.run(demo)
