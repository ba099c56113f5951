"""The names and options of `edge-scanner setup`; its work stands in commands/setup.py."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (typer reads the hints at run time)
from typing import Annotated

import typer

from edge_scanner.command_line import Lang, language
from edge_scanner.passphrases import Secret

PIN = Secret(
    question="Mã PIN (6 đến 12 chữ số) / PIN (six to twelve digits)",
    variable="EDGE_SCANNER_PIN",
    credential="pin",
    new=True,
)


def setup(
    name_vi: Annotated[str | None, typer.Option(help="The venue's name in Vietnamese.")] = None,
    name_en: Annotated[str | None, typer.Option(help="The venue's name in English.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="The venue's time zone, e.g. Asia/Ho_Chi_Minh.")] = None,
    moderate_from: Annotated[
        str | None, typer.Option(help="From this many devices on, the screen says Moderate.", metavar="N")
    ] = None,
    busy_from: Annotated[
        str | None, typer.Option(help="From this many devices on, the screen says Busy.", metavar="N")
    ] = None,
    lan: Annotated[
        bool | None, typer.Option("--lan/--no-lan", help="Show the page to other devices on this network.")
    ] = None,
    broker: Annotated[
        str | None, typer.Option(help='The MQTT broker; "-" for none: counts stay on the box.', metavar="HOST[:PORT]")
    ] = None,
    pin_file: Annotated[
        Path | None,
        typer.Option(
            help=f"A file with the operator page's PIN, or `{PIN.variable}`; generated if not given.", metavar="FILE"
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep everything in this folder, for a trial without root.", metavar="DIR"),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; whatever no option sets stays as it is.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace existing settings; the old file is kept.")
    ] = False,
    lang: Lang = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for programs.")] = False,
) -> None:
    """Set up a box that belongs to no fleet: ask a few questions, then write scanner.toml, identity and PIN.

    Example: `sudo edge-scanner setup`
    """
    from edge_scanner.device.commands.setup import Options, run_setup

    given = {
        "name_vi": name_vi,
        "name_en": name_en,
        "time_zone": time_zone,
        "moderate_from": moderate_from,
        "busy_from": busy_from,
        "lan": None if lan is None else "y" if lan else "n",
        "broker": broker,
    }
    answers = {option: text for option, text in given.items() if text is not None}
    pin = PIN.found(pin_file)
    run_setup(
        Options(answers=answers, pin=pin, folder=folder, yes=yes, replace=replace),
        language=language(lang),
        as_json=as_json,
    )
