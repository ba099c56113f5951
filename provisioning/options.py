"""Options that several commands of edge-provision share, and how a command answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_scanner import terminal

HOME = Path.home() / ".local" / "share" / "edge-provision"
FLEET = HOME / "fleet"
BROKER_DIR = Path("/etc/mosquitto/edge")
RELOAD = "systemctl reload mosquitto"

FleetDir = Annotated[Path, typer.Option("--fleet", help="The fleet's folder.", metavar="DIR")]
BrokerDir = Annotated[Path, typer.Option("--broker-dir", help="Where the broker's acl and crl.pem are.", metavar="DIR")]
Reload = Annotated[str, typer.Option("--reload", help="The command that makes the broker read its lists again.")]
PidFile = Annotated[
    Path | None, typer.Option("--pid-file", help="Or the broker's pid file, for SIGHUP.", metavar="FILE")
]
Files = Annotated[
    Path, typer.Option("--files", help="Folder with the client's files, from `fleet issue`.", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs.")]


def answer(text: str, *, as_json: bool, **facts: str | float | bool | None) -> None:
    """A command's result on stdout: one sentence for people, or its facts as one JSON object for programs."""
    terminal.say_json(facts) if as_json else terminal.say(text)
