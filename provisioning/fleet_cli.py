"""Names, options and help of `edge-provision fleet`; cli.py adds them to the program."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edge_scanner import terminal
from edge_scanner.core.wording import counted
from provisioning.options import (
    BROKER_DIR,
    FLEET,
    RELOAD,
    BrokerDir,
    Files,
    FleetDir,
    Json,
    PidFile,
    Reload,
    answer,
)
from provisioning.passphrases import Passphrase

fleet_app = typer.Typer(
    no_args_is_help=True, help="The fleet: its keys, boxes and broker.\n\nExample: `edge-provision fleet list`"
)


@fleet_app.command("issue")
def fleet_issue(
    name: Annotated[str, typer.Argument(help="fleet-collector, fleet-tail, fleet-enrol, authority-hcm, or broker.")],
    out: Annotated[Path, typer.Option(help="Where NAME.crt, NAME.key and ca.pem are written.", metavar="DIR")],
    passphrase: Passphrase,
    host: Annotated[
        list[str] | None, typer.Option(help="A broker's host name or address; makes a server certificate.")
    ] = None,
    unit: Annotated[str, typer.Option(help="The client's class, as people will read it.")] = "client",
    fleet: FleetDir = FLEET,
) -> None:
    """Make a key and a certificate for a broker or for one of the fleet's clients.

    Example: `edge-provision fleet issue broker --host mqtt.example.vn --out /etc/mosquitto/edge`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    work.issue(open_fleet(fleet, passphrase), name, unit=unit, hosts=host or [], target=out)
    terminal.say(f"{out / name}.crt and .key")


@fleet_app.command("trust")
def fleet_trust(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The enrolment broker's CA file.")],
    passphrase: Passphrase,
    fleet: FleetDir = FLEET,
) -> None:
    """Write the enrolment broker's CA file: the fleet's CAs and those of open batches. Restart the broker afterwards.

    Example: `edge-provision fleet trust /etc/mosquitto/enrolment/ca.pem`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    count = work.trust(open_fleet(fleet, passphrase), file)
    terminal.say(f"{file}: {counted(count, 'open batch')}; restart the enrolment broker")


@fleet_app.command("end-batch")
def fleet_end_batch(
    name: Annotated[str, typer.Argument(help="The batch, e.g. B-014.")], passphrase: Passphrase, fleet: FleetDir = FLEET
) -> None:
    """Stop a batch from installing boxes: its laptop is lost, or it is done. Then run `fleet trust` and restart.

    Example: `edge-provision fleet end-batch B-014`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    raise typer.Exit(work.end_batch(open_fleet(fleet, passphrase), name))


@fleet_app.command("publish")
def fleet_publish(
    passphrase: Passphrase,
    fleet: FleetDir = FLEET,
    broker_dir: BrokerDir = BROKER_DIR,
    reload: Reload = RELOAD,
    pid_file: PidFile = None,
    as_json: Json = False,
) -> None:
    """Rewrite the revocation list and the ACL and reload the broker; run it weekly, from a timer.

    Example: `edge-provision fleet publish --broker-dir /etc/mosquitto/edge`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    lists = work.publish(open_fleet(fleet, passphrase), broker_dir, work.reloader(reload, pid_file))
    answer(
        f"revocation list: {lists.revoked} revoked, {lists.denied} silenced, {lists.expires_s / 86400:.0f} days",
        as_json=as_json,
        crl_expires_s=int(lists.expires_s),
        revoked=lists.revoked,
        silenced=lists.denied,
    )


@fleet_app.command("revoke")
def fleet_revoke(
    name: Annotated[str, typer.Argument(metavar="ID", help="The id on the label, or a client's name.")],
    reason: Annotated[str, typer.Option(help="stolen, lost, broken, ...; kept in the inventory.")],
    passphrase: Passphrase,
    fleet: FleetDir = FLEET,
    broker_dir: BrokerDir = BROKER_DIR,
    reload: Reload = RELOAD,
    pid_file: PidFile = None,
    probe: Annotated[str, typer.Option(help="Where the probe connects to; the fleet's broker if not given.")] = "",
    as_json: Json = False,
) -> None:
    """Revoke a box: write the revocation list and the ACL, reload the broker, and prove the effect with a probe.

    Example: `edge-provision fleet revoke K7MP-2R9C-X4 --reason stolen`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    reload_broker = work.reloader(reload, pid_file)
    opened = open_fleet(fleet, passphrase)
    raise typer.Exit(work.revoke_box(opened, name, reason, broker_dir, reload_broker, probe=probe, as_json=as_json))


@fleet_app.command("status")
def fleet_status(
    fleet: FleetDir = FLEET,
    broker_dir: BrokerDir = BROKER_DIR,
    textfile: Annotated[
        Path | None, typer.Option(help="Also write metrics for a node exporter.", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the broker's lists, without a passphrase; exit code 0 ok, 1 expires within two weeks, 2 expired.

    Once a list has expired, no box can connect.

    Example: `edge-provision fleet status --textfile /var/lib/prometheus/node-exporter/edge.prom`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import inventory_of

    raise typer.Exit(work.status(inventory_of(fleet), broker_dir, textfile, as_json=as_json))


@fleet_app.command("list")
def fleet_list(
    passphrase: Passphrase,
    fleet: FleetDir = FLEET,
    files: Annotated[
        Path | None, typer.Option("--files", help="Also ask the broker, with fleet-config's files.", metavar="DIR")
    ] = None,
    broker: Annotated[str, typer.Option(help="host[:8883]; the fleet's if not given.")] = "",
    as_json: Json = False,
) -> None:
    """List the boxes with their sites, states and certificates; with --files also the recipient set each one uses.

    Example: `edge-provision fleet list --files fleet-config`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    work.show_boxes(open_fleet(fleet, passphrase), files, broker=broker, as_json=as_json)


@fleet_app.command("send")
def fleet_send(
    document: Annotated[Path, typer.Argument(metavar="DOCUMENT", help="A recipient set, or revoked mandates.")],
    authority_root: Annotated[Path, typer.Option(help="The health authority's root keys, PEM.", metavar="FILE")],
    custodian_root: Annotated[Path, typer.Option(help="The custodian's root keys, PEM.", metavar="FILE")],
    files: Files,
    passphrase: Passphrase,
    broker: Annotated[str, typer.Option(help="host[:8883]; the fleet's if not given.")] = "",
    fleet: FleetDir = FLEET,
    as_json: Json = False,
) -> None:
    """Send what authority and custodian signed to every box in service; an offline box gets it when it reconnects.

    Example: `edge-provision fleet send recipients-2.json --authority-root authority-root.pem
    --custodian-root custodian-root.pem --files fleet-config`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    opened = open_fleet(fleet, passphrase)
    raise typer.Exit(work.send(opened, document, authority_root, custodian_root, files, broker=broker, as_json=as_json))


@fleet_app.command("boxes")
def fleet_boxes(
    file: Annotated[Path, typer.Argument(metavar="CSV", help="The list; its signature goes beside it as CSV.sig.")],
    passphrase: Passphrase,
    fleet: FleetDir = FLEET,
    as_json: Json = False,
) -> None:
    """Write the signed list of boxes for a health authority: location, identity key, state. Repeat after each change.

    Example: `edge-provision fleet boxes boxes.csv`
    """
    from provisioning.fleet import boxes
    from provisioning.fleet.fleet import open_fleet

    boxes.run_export(open_fleet(fleet, passphrase), file, as_json=as_json)


@fleet_app.command("time-key")
def fleet_time_key(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for time.key and time-key.json.")],
    passphrase: Passphrase,
    fleet: FleetDir = FLEET,
    days: Annotated[int, typer.Option(help="For how many days boxes trust it.", min=2, max=800)] = 400,
    as_json: Json = False,
) -> None:
    """Make a key with which the centre signs the time. Make the next one before it expires; both are valid until then.

    Example: `edge-provision fleet time-key /etc/edge-central`
    """
    from provisioning.fleet import time_key
    from provisioning.fleet.fleet import open_fleet

    end_s = time_key.make(open_fleet(fleet, passphrase).signer, folder, days=days, now_s=time.time())
    until = f"{datetime.fromtimestamp(end_s, UTC):%Y-%m-%d}"
    answer(
        f"{folder / time_key.KEY} and {time_key.APPOINTMENT}: boxes believe this key until {until}",
        as_json=as_json,
        folder=str(folder),
        until=until,
    )


@fleet_app.command("adopt")
def fleet_adopt(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `bench sync` wrote.")],
    passphrase: Passphrase,
    fleet: FleetDir = FLEET,
    as_json: Json = False,
) -> None:
    """Add the boxes that a bench installed to the fleet.

    Example: `edge-provision fleet adopt sync-B-014.json`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import open_fleet

    count = work.adopt(open_fleet(fleet, passphrase), file)
    answer(counted(count, "box"), as_json=as_json, file=str(file), boxes=count)


@fleet_app.command("tail")
def fleet_tail(
    files: Files,
    broker: Annotated[str, typer.Option(help="host[:8883].")],
    name: Annotated[str, typer.Option(help="The client whose files these are.")] = "fleet-tail",
    topic: Annotated[str, typer.Option(help="The topics to subscribe to.")] = "edge-scanner/v1/d/+/up/#",
) -> None:
    """Print what boxes publish, one line per message, until Ctrl-C. Stores nothing.

    Example: `edge-provision fleet tail --files tail --broker mqtt.example.vn`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.fleet import endpoint

    work.tail(work.client(name, files, endpoint(broker, default_port=8883)), name, topic)
