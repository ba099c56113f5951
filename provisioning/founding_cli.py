"""Names, options and help of `edge-provision fleet new | key | passphrase | words | move`; cli.py adds them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from edge_scanner import terminal
from provisioning.options import FLEET, FleetDir
from provisioning.passphrases import FirstPassphrase, NewPassphrase, Passphrase

founding_app = typer.Typer()
Hotline = Annotated[str, typer.Option(help="Whom to call about a box; printed on every label and slip.")]
LabelAddress = Annotated[
    str, typer.Option(help="What a label's QR code has before the id, in upper case.", metavar="URL")
]


@founding_app.command("new")
def fleet_new(
    name: Annotated[str, typer.Argument(help="A short name, e.g. hcm.")],
    broker: Annotated[str, typer.Option(help="The central broker, host[:8883].")],
    hotline: Hotline,
    label_address: LabelAddress,
    passphrase: FirstPassphrase,
    enrol: Annotated[str, typer.Option(help="The enrolment broker; the central one's host on 8884 if not given.")] = "",
    pkcs11_module: Annotated[
        Path | None,
        typer.Option(help="Keep issuing CA and signing key in a token: its PKCS #11 library.", metavar="FILE"),
    ] = None,
    pkcs11_token: Annotated[str, typer.Option(help="The token's label; its PIN is then the passphrase.")] = "",
    fleet: FleetDir = FLEET,
) -> None:
    """Make the root, the issuing CA and the signing key. Put `offline/` into a safe afterwards.

    Example: `edge-provision fleet new hcm --broker mqtt.example.vn --hotline "1900 1234"
    --label-address HTTPS://Q.EXAMPLE.VN/D/`
    """
    from provisioning.fleet import founding
    from provisioning.label import Words

    words, module = Words(address=label_address, phone=hotline), pkcs11_module
    founding.new(fleet, name, passphrase, broker=broker, enrol=enrol, words=words, module=module, token=pkcs11_token)


@founding_app.command("key")
def fleet_key(fleet: FleetDir = FLEET) -> None:
    """Print the six words of the fleet's key. Benches, boxes and authorities show the same: compare by telephone.

    Example: `edge-provision fleet key`
    """
    from edge_scanner.core.enrolment import fingerprints
    from edge_scanner.core.enrolment.documents import public_key
    from provisioning.fleet.fleet import signer_of

    terminal.say(fingerprints.words(public_key(signer_of(fleet)).public_bytes_raw()))


@founding_app.command("passphrase")
def fleet_passphrase(passphrase: Passphrase, new: NewPassphrase, fleet: FleetDir = FLEET) -> None:
    """Change the passphrase of the fleet's keys, and of those in offline/ if that folder is present.

    Example: `edge-provision fleet passphrase`
    """
    from provisioning.fleet.fleet import reseal

    terminal.say("\n".join(f"{path}: sealed anew" for path in reseal(fleet, passphrase, new)))


@founding_app.command("words")
def fleet_words(hotline: Hotline, label_address: LabelAddress, fleet: FleetDir = FLEET) -> None:
    """Change the hotline and the address on labels, for batches made from now on.

    Example: `edge-provision fleet words --hotline "1900 1234" --label-address HTTPS://Q.EXAMPLE.VN/D/`
    """
    from provisioning.fleet.fleet import write_words
    from provisioning.label import Words

    words = Words(address=label_address, phone=hotline)
    write_words(fleet, hotline=words.phone, label_address=words.address)
    terminal.say(f"{fleet}: the next batch's labels say {words.phone}, {words.address}")


@founding_app.command("move")
def fleet_move(
    device_id: Annotated[str, typer.Argument(metavar="ID", help="The id on the label.")],
    sites: Annotated[Path, typer.Option(help="The plan with the new location.", metavar="CSV")],
    site: Annotated[str, typer.Option(help="The new site, as in the plan.")],
    passphrase: Passphrase,
    room: Annotated[str, typer.Option(help="The room, if the site has several.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="Write the order here; to stdout if not given.", metavar="FILE")
    ] = None,
    label: Annotated[
        Path | None, typer.Option(help="Also write the box's new label, e.g. label.html.", metavar="PATH")
    ] = None,
    fleet: FleetDir = FLEET,
) -> None:
    """Move a box to another site: update the inventory and write a signed order for `edge-scanner enrol --move`.

    Example: `edge-provision fleet move K7MP-2R9C-X4 --sites sites.csv --site cho-ben-thanh | ssh
    fleet@edge-k7mp2r9cx4 sudo edge-scanner enrol --move -`
    """
    from provisioning.fleet import moving
    from provisioning.fleet.fleet import open_fleet

    opened, now_s = open_fleet(fleet, passphrase), time.time()
    order = moving.order(opened, device_id, sites, site=site, room=room, label_to=label, now_s=now_s)
    moving.hand_over(order, out)
