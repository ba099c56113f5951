"""PROGRAM edge-provision: names, options and help; the work stands in commands/ and is imported when it is called.

Two people use it. Headquarters keeps the fleet (`fleet`, `batch new`, `desk`); a technician has a laptop with a batch
file and no internet (`bench`, `label`, `card`). Results go to stdout, errors as one line to stderr, exit codes as in
core/errors.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from edge_scanner import command_line, program, terminal
from edge_scanner.core.wording import counted
from provisioning.batch_cli import batch_app
from provisioning.fleet_cli import fleet_app
from provisioning.founding_cli import founding_app
from provisioning.options import FLEET, HOME, Files, FleetDir, Json, answer
from provisioning.passphrases import BatchPassphrase, Passphrase

app = command_line.application(
    "Install and manage a fleet of boxes.\n\nExample: `edge-provision bench start batch-B-014.zip`",
)
bench_app = typer.Typer(
    no_args_is_help=True,
    help="Install boxes at a bench, without internet.\n\nExample: `edge-provision bench start batch-B-014.zip`",
)
fleet_app.add_typer(founding_app)
app.add_typer(fleet_app, name="fleet")
app.add_typer(batch_app, name="batch")
app.add_typer(bench_app, name="bench")

BatchFile = Annotated[Path, typer.Argument(metavar="BATCH", help="The batch file.")]
Home = Annotated[Path, typer.Option("--home", help="The laptop's inventory and pinned key.", metavar="DIR")]


def main() -> None:
    """Run the command; an error of ours becomes one line and its exit code."""
    program.run("edge-provision", app)


@bench_app.command("start")
def bench_start(
    batch: BatchFile,
    passphrase: BatchPassphrase,
    home: Home = HOME,
    interface: Annotated[
        str, typer.Option(help="The wired interface with the switch; the only one with a cable if not given.")
    ] = "",
    port: Annotated[int, typer.Option(help="TCP port; 0 picks a free one.", min=0, max=65535)] = 47111,
    host: Annotated[str, typer.Option(help="127.0.0.1 or ::1, to try it on this machine, without a cable.")] = "",
) -> None:
    """Serve enrolment, configuration and time on one cable and show each box, until Ctrl-C.

    Example: `edge-provision bench start batch-B-014.zip --interface eth0`
    """
    from provisioning.bench.commands import bench as work

    work.start(batch, home=home, passphrase=passphrase, port=port, host=host, interface=interface)


@bench_app.command("confirm")
def bench_confirm(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="The six words that the box itself shows.")],
    home: Home = HOME,
) -> None:
    """Give an id to a box whose card lacks the batch's secret. Type the words from the box, not from this screen.

    Example: `edge-provision bench confirm lusab-babad-gutih-tugad-mudof-kibar`
    """
    from provisioning.bench.commands import bench as work

    terminal.say(f"{work.confirm(' '.join(words), home=home)}: confirmed")


@bench_app.command("secret")
def bench_secret(
    batch: BatchFile,
    passphrase: BatchPassphrase,
    out: Annotated[Path, typer.Option(help="The file for /etc/edge-scanner of the card image.", metavar="FILE")] = Path(
        "enrol.secret"
    ),
    home: Home = HOME,
) -> None:
    """Write the secret of the batch's card images, by which the bench knows its boxes. Whoever has it can get an id.

    Example: `edge-provision bench secret batch-B-014.zip --out enrol.secret`
    """
    from provisioning.bench.commands import bench as work

    work.write_secret(batch, out, home=home, passphrase=passphrase)
    terminal.say(f"{out}: for the card image of this batch; delete it afterwards")


@bench_app.command("show")
def bench_show(batch: BatchFile, passphrase: BatchPassphrase, home: Home = HOME, as_json: Json = False) -> None:
    """Print the bench's table once.

    Example: `edge-provision bench show batch-B-014.zip`
    """
    from provisioning.bench.commands import bench as work

    work.show(batch, home=home, passphrase=passphrase, as_json=as_json)


@bench_app.command("retire")
def bench_retire(
    device_id: Annotated[str, typer.Argument(metavar="ID", help="The id on the label.")],
    reason: Annotated[str, typer.Option(help="The reason, kept in the inventory.")] = "card written again",
    home: Home = HOME,
) -> None:
    """Free the board of a box whose card was rewritten. Its old id is never used again.

    Example: `edge-provision bench retire K7MP-2R9C-X4`
    """
    from provisioning.bench.commands import bench as work

    work.retire(device_id, reason, home=home)
    terminal.say(f"{device_id}: retired")


@bench_app.command("sync")
def bench_sync(
    batch: BatchFile,
    passphrase: BatchPassphrase,
    home: Home = HOME,
    out: Annotated[
        Path | None,
        typer.Option(help="Write this file for `fleet adopt` instead, without any network.", metavar="FILE"),
    ] = None,
    broker: Annotated[str, typer.Option(help="The enrolment broker; the batch's if not given.")] = "",
    wait: Annotated[float, typer.Option(help="How long to wait for each answer, seconds.", min=1, max=600)] = 30.0,
    as_json: Json = False,
) -> None:
    """In the evening, over any connection: send what was installed, learn what was revoked, compare the counts.

    Exit code 0 if both sides agree, 1 if they differ, 69 without an answer. Then sync-BATCH.json is
    written; send it by any means, as it contains no secret.

    Example: `edge-provision bench sync batch-B-014.zip`
    """
    from provisioning.bench.commands import sync as work

    raise typer.Exit(
        work.run(batch, home=home, passphrase=passphrase, out=out, broker=broker, wait_s=wait, as_json=as_json)
    )


@app.command()
def label(
    batch: BatchFile,
    out: Annotated[Path, typer.Option(help="labels.pdf, labels.html, or a folder for SVG files.", metavar="PATH")],
    passphrase: BatchPassphrase,
    paper: Annotated[Literal["roll", "a4"], typer.Option(help="roll is 62 x 29 mm.")] = "roll",
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Make labels for the boxes that are ready, from what the fleet signed. A label contains no secret.

    Example: `edge-provision label batch-B-014.zip --out labels.pdf --paper a4`
    """
    from provisioning.bench.commands import bench as work

    count, left_out = work.labels(batch, out, home=home, passphrase=passphrase, paper=paper)
    missing = f"; none for {counted(left_out, 'box')} that is not ready or has no place" if left_out else ""
    answer(
        f"{out}: {counted(count, 'label')}{missing}", as_json=as_json, file=str(out), labels=count, left_out=left_out
    )


@app.command()
def slips(
    batch: BatchFile,
    out: Annotated[Path, typer.Option(help="A page for any browser, e.g. slips.html.", metavar="FILE")],
    passphrase: BatchPassphrase,
    home: Home = HOME,
) -> None:
    """Make a slip with the operator's PIN for each box that has a label: print, fold, seal, then delete the file.

    Example: `edge-provision slips batch-B-014.zip --out slips.html`
    """
    from provisioning.bench.commands import bench as work

    count = work.slips(batch, out, home=home, passphrase=passphrase)
    terminal.say(f"{out}: {counted(count, 'slip')}; delete the file when they are printed")


@app.command()
def card(
    batch: BatchFile,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The boot partition of a stock card, or a folder.")],
    passphrase: BatchPassphrase,
    ssh_key: Annotated[
        Path | None,
        typer.Option(help="The ssh key that may log in as `fleet`. Without it nobody can.", metavar="FILE"),
    ] = None,
    wifi: Annotated[str, typer.Option(help="The venue's Wi-Fi, for a box without a cable.", metavar="NAME")] = "",
    wifi_passphrase_file: Annotated[
        Path | None, typer.Option(help="A file with the Wi-Fi's passphrase.", metavar="FILE")
    ] = None,
    wifi_country: Annotated[str, typer.Option(help="Two letters.")] = "VN",
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Without a bench: prepare a stock Raspberry Pi OS (trixie) card that becomes the batch's next box, offline.

    Example: `edge-provision card batch-B-014.zip /media/bootfs --ssh-key ~/.ssh/id_ed25519.pub`
    """
    from edge_scanner.core.enrolment.device_id import spelled
    from provisioning.bench.commands import bench as work

    network = work.wifi(wifi, wifi_passphrase_file, wifi_country)
    device_id = work.write_card(batch, folder, home=home, passphrase=passphrase, ssh_key=ssh_key, wifi=network)
    account = "" if ssh_key else "; no --ssh-key: nobody can log in to it, and the guide's sudo steps do not apply"
    answer(
        f"{folder}: box {spelled(device_id)}; its key is on this card until the first start, guard it{account}",
        as_json=as_json,
        folder=str(folder),
        id=device_id,
        account="fleet" if ssh_key else None,
    )


@app.command()
def desk(
    files: Files,
    passphrase: Passphrase,
    broker: Annotated[str, typer.Option(help="The enrolment broker; the fleet's if not given.")] = "",
    fleet: FleetDir = FLEET,
) -> None:
    """Run the enrolment service: issue and renew certificates for boxes, answer the benches' sync, until Ctrl-C.

    Example: `edge-provision desk --files desk`
    """
    from provisioning.fleet import commands as work
    from provisioning.fleet.enrolment_service import DESK
    from provisioning.fleet.fleet import endpoint, open_fleet

    opened = open_fleet(fleet, passphrase)
    at = endpoint(broker, default_port=8884) if broker else opened.enrol
    work.serve_desk(opened, work.client(DESK, files, at))


if __name__ == "__main__":
    main()
