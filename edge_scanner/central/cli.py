"""PROGRAM edge-central: names, options and help; each command's work stands in the file it imports when called."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_scanner import program, terminal
from edge_scanner.command_line import application
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.wording import counted
from edge_scanner.language import errors
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
    from edge_scanner.central import settings
    from edge_scanner.central.store import store

    with store.open_store(settings.read(config).database.url) as opened:
        newest = opened.read.newest_bin()
        boxes, alarms = len(opened.read.boxes()), opened.read.open_alarms()
        terminal.say(f"{opened.place}: {counted(boxes, 'box')}, {counted(alarms, 'open alarm')}")
        if newest is not None:
            terminal.say(f"newest bin {newest} (UTC seconds)")


@app.command()
def collect(config: Config = CONFIG) -> None:
    """Store what the boxes publish and witness their logs, until SIGTERM. This is what systemd runs.

    Example: `edge-central collect --config central.toml`
    """
    from edge_scanner.central import settings, tasks
    from edge_scanner.central.collect import collector
    from edge_scanner.central.store import store

    read = settings.read(config)
    with store.open_store(read.database.url) as opened:
        tasks.run(collector.collect(read, opened))


@app.command("time")
def tell_time(config: Config = CONFIG) -> None:
    """Send the signed time to every box in service every ten minutes, until SIGTERM (docs/time.md).

    Example: `edge-central time --config central.toml`
    """
    from edge_scanner.central import link, settings, tasks, telling
    from edge_scanner.central.store import store

    read = settings.read(config)
    name = link.client_name(Path(read.time.certificate))
    with store.open_store(read.database.url) as opened:
        teller = telling.Teller(Path(read.time.folder))
        tasks.run(telling.tell(opened, teller, link.broker_settings(read.mqtt, read.time), name))


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
    from edge_scanner.central import settings
    from edge_scanner.central.store import store
    from edge_scanner.central.witness import evidence as published

    chosen = [device.replace("-", "").upper() for device in devices]
    span = [int(moment.replace(tzinfo=UTC).timestamp()) for moment in (start, end)]
    with store.open_store(settings.read(config).database.url) as opened:
        written = published.write(opened.read, chosen, *span, out=out)
    terminal.say(f"{out}: {counted(sum(written.values()), 'statement')}")
    for device in (device for device, count in written.items() if not count):
        terminal.say(errors.told(f"{device}: published nothing then"), stderr=True)


@app.command()
def serve(config: Config = CONFIG) -> None:
    """Serve the ministry's page and the API, until SIGTERM. This is what systemd runs.

    Example: `edge-central serve --config central.toml`
    """
    from edge_scanner.central import settings
    from edge_scanner.central.serve import server
    from edge_scanner.central.store import store

    read = settings.read(config)
    with store.open_store(read.database.url) as opened:
        server.serve(read, opened)


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
    from edge_scanner.central import settings
    from edge_scanner.central.serve import access

    users = Path(settings.read(config).serve.users)
    access.write_user(users, name, access.Role(role), access.hash_password(password))
    terminal.say(f"{users}: {name}, {role}")


@app.command()
def key(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The key file to write.")],
    name: Annotated[str, typer.Option(help="The witness's name: a host name of yours and a path.")],
) -> None:
    """Make the witness's own key and print its public part in the form that C2SP tools read.

    Example: `edge-central key witness.key --name witness.moh.example/edge`
    """
    from edge_scanner.central.witness import cosignature

    terminal.say(cosignature.make(path, name))


if __name__ == "__main__":
    main()
