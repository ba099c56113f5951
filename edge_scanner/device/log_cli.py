"""COMMANDS edge-scanner log …: options and help, and the two options that all commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_scanner.command_line import Lang, language

if TYPE_CHECKING:
    from datetime import tzinfo

    from edge_scanner.device.enrolment.identity import Identity

DEFAULT_CONFIG = Path("/etc/edge-scanner/scanner.toml")

log = typer.Typer(no_args_is_help=True, help="The sealed log.\n\nExample: `edge-scanner log status`")

Config = Annotated[Path, typer.Option("--config", "-c", help="The settings file.", metavar="FILE")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]


@log.command("status")
def log_status(config: Config = DEFAULT_CONFIG, as_json: Json = False, lang: Lang = None) -> None:
    """Show how much is in the log, from which minute to which, and which minutes between are missing.

    Example: `edge-scanner log status --config scanner.toml`
    """
    from edge_scanner.device.commands.log_status import run_log_status

    run_log_status(database(config), zone=_zone(config), as_json=as_json, language=language(lang))


@log.command("verify")
def log_verify(
    config: Config = DEFAULT_CONFIG,
    checkpoints: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A checkpoint that the broker saw; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check everything that can be checked without any secret; exit code 65 if anything is not valid.

    Example: `edge-scanner log verify --checkpoint newest.note`
    """
    from edge_scanner.device.commands.log import run_log_verify

    box = _identity(config)
    raise typer.Exit(
        run_log_verify(
            database(config),
            device=box.device_id,
            identity=box.key.public_key(),
            checkpoints=checkpoints or [],
            as_json=as_json,
        )
    )


@log.command("export")
def log_export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, e.g. on a USB stick.")],
    start: Annotated[str, typer.Option("--from", help="ISO time in the venue's time zone, or with an offset.")],
    end: Annotated[str, typer.Option("--to", help="ISO time in the venue's time zone, or with an offset.")],
    config: Config = DEFAULT_CONFIG,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Read a card that must not be changed: no entry in the audit trail.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write sealed hours to a folder, as a pull delivers them; the audit trail and the screen mention it.

    Example: `edge-scanner log export /media/usb/case-7 --from 2026-11-20T08:00+07:00 --to 2026-11-20T12:00+07:00`
    """
    from edge_scanner.device import settings
    from edge_scanner.device.commands.log_export import run_log_export

    chosen = settings.load(config)
    run_log_export(
        database(config),
        folder,
        identity=_identity(config),
        start=start,
        end=end,
        zone=settings.zone(chosen.device.time_zone),
        site=chosen.device.site,
        read_only=read_only,
        as_json=as_json,
    )


@log.command("prove")
def log_prove(
    segment: Annotated[int, typer.Argument(metavar="SEGMENT", help="The segment's number.", min=0)],
    checkpoint: Annotated[Path, typer.Option(help="A published checkpoint.", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", help="The file to write, e.g. 17.tlog-proof.", metavar="FILE")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Write a proof that a segment is in the log, in C2SP's tlog-proof format, for other tools.

    Example: `edge-scanner log prove 17 --checkpoint newest.note --out 17.tlog-proof`
    """
    from edge_scanner.device.commands.log import run_log_prove

    run_log_prove(database(config), segment, checkpoint=checkpoint, out=out)


@log.command("prove-retention")
def log_prove_retention(config: Config = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Show the oldest record and what was deleted; exit code 65 when something is too old.

    Example: `edge-scanner log prove-retention`
    """
    from edge_scanner.device import settings
    from edge_scanner.device.commands.log import run_log_prove_retention

    days = settings.load(config).log.retention_days
    raise typer.Exit(
        run_log_prove_retention(database(config), retention_days=days, zone=_zone(config), as_json=as_json)
    )


def database(config: Path) -> Path:
    """The database of the box that `config` describes; raises ConfigurationError."""
    from edge_scanner.device import settings

    return Path(settings.load(config).device.state_dir) / settings.DATABASE


def _zone(config: Path) -> tzinfo:
    from edge_scanner.device import settings

    return settings.zone(settings.load(config).device.time_zone)


def _identity(config: Path) -> Identity:
    from edge_scanner.device import settings
    from edge_scanner.device.enrolment.identity import open_identity

    chosen = settings.load(config)
    return open_identity(Path(chosen.device.state_dir), configured_id=chosen.device.id)
