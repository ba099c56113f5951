"""PROGRAM edge-central: names, options and help; each command's work stands in the file it imports when called."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (typer reads the hints at run time)
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_scanner import program
from edge_scanner.command_line import application
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.passphrases import Secret

app = application(
    "The centre: stores what the boxes publish, each message once, and witnesses their logs.\n\nThe guide is "
    "docs/central.md.\n\nExample: `edge-central database --config central.toml`",
)

Config = Annotated[
    Path, typer.Option("--config", envvar="EDGE_CENTRAL_CONFIG", help="The settings file.", metavar="TOML")
]

PASSWORD = Secret(
    question="Mật khẩu (từ 12 ký tự) / Password (12 characters or more)",
    variable="EDGE_CENTRAL_PASSWORD",
    credential="password",
    new=True,
)
CONFIG = Path("/etc/edge-central/central.toml")
FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]


def main() -> None:
    """Run the command; an error of ours becomes one line and its exit code."""
    program.run("edge-central", _work)


def _work() -> None:
    """The command; a machine without the centre's packages, such as a laptop, is told which are missing."""
    try:
        app()
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed here", hint="install the packages of packaging/locks/central.lock"
        ) from error


@app.command()
def database(config: Config = CONFIG) -> None:
    """Create or upgrade the tables, and show what is in them.

    The other commands do this by themselves when they start.

    Example: `edge-central database --config central.toml`
    """
    from edge_scanner.central.commands import database as work

    work.run_database(config)


@app.command()
def collect(config: Config = CONFIG) -> None:
    """Store what the boxes publish and witness their logs, until SIGTERM. This is what systemd runs.

    Example: `edge-central collect --config central.toml`
    """
    from edge_scanner.central.commands import collect as work

    work.run_collect(config)


@app.command("time")
def tell_time(config: Config = CONFIG) -> None:
    """Send the signed time to every box in service every ten minutes, until SIGTERM (docs/time.md).

    Example: `edge-central time --config central.toml`
    """
    from edge_scanner.central.commands import tell_time as work

    work.run_time(config)


@app.command()
def evidence(
    devices: Annotated[list[str], typer.Argument(metavar="DEVICE...", help="Ids as on the labels.")],
    start: Annotated[datetime, typer.Option("--from", help="UTC, e.g. 2026-11-27T08:00.", formats=FORMATS)],
    end: Annotated[datetime, typer.Option("--to", help="UTC, exclusive.", formats=FORMATS)],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="FILE")],
    config: Config = CONFIG,
) -> None:
    """Write what boxes published in a period, for `edge-authority verify --checkpoints FILE`.

    Boot records are included whatever their time, because they vouch for the keys of later checkpoints.

    Example: `edge-central evidence K7MP-2R9C-X4 --from 2026-11-27T08:00 --to 2026-11-28T08:00 --out published.txt`
    """
    from edge_scanner.central.commands import evidence as work

    work.run_evidence(config, devices, start, end, out)


@app.command()
def serve(config: Config = CONFIG) -> None:
    """Serve the ministry's page and the API, until SIGTERM. This is what systemd runs.

    Example: `edge-central serve --config central.toml`
    """
    from edge_scanner.central.commands import serve as work

    work.run_serve(config)


@app.command()
def user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="1 to 64 letters, digits, . _ @ -")],
    role: Annotated[
        Literal["reader", "operator"], typer.Option(help="A reader can look; an operator can also clear alarms.")
    ],
    password: Annotated[str, PASSWORD.option("--password-file", "A file with the password.")],
    config: Config = CONFIG,
) -> None:
    """Let someone sign in, or change their password or role; only the password's hash is kept.

    Example: `edge-central user lan.nguyen --role reader`
    """
    from edge_scanner.central.commands import user as work

    work.run_user(config, name, role, password)


@app.command()
def key(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The key file to write.")],
    name: Annotated[str, typer.Option(help="The witness's name: a host name of yours and a path.")],
) -> None:
    """Make the witness's own key and print its public part in the form that C2SP tools read.

    Example: `edge-central key witness.key --name witness.moh.example/edge`
    """
    from edge_scanner.central.commands import key as work

    work.run_key(path, name)


if __name__ == "__main__":
    main()
