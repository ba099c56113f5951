"""COMMANDS edge-provision bench start | show | confirm | secret | retire, card and label: the technician's laptop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from rich.live import Live

from edge_scanner import terminal
from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.enrolment.device_id import is_device_id
from edge_scanner.core.enrolment.documents import public_key, public_text
from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.language import errors
from provisioning import files, label
from provisioning.bench import bench, card, interfaces, pins, slip, table
from provisioning.bench.batch import open_batch, signer_of
from provisioning.inventory import State, open_inventory

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from provisioning.bench.batch import Batch
    from provisioning.bench.interfaces import Interface
    from provisioning.inventory import BoxRow, Inventory
    from provisioning.label import Paper

REFRESH_S = 0.5
CABLE_S = 5.0
"""How long a cable that was just plugged in may take to get its address."""


def pinned_signer(home: Path, batch_file: Path) -> Ed25519PublicKey:
    """The fleet's key that this laptop pinned, or pins now from its first batch; raises BadDataError."""
    pin = home / "fleet.pub"
    if not pin.exists():
        found = signer_of(batch_file)
        files.write(pin, public_text(found).encode() + b"\n", mode=0o644)
        line = errors.told(f"fleet key pinned: {words_of(found)}; compare with `edge-provision fleet key`")
        terminal.say(f"edge-provision: {line}", stderr=True)
        return found
    return public_key(files.read(pin, hint="delete it to pin another fleet").decode("ascii", "replace").strip())


def words_of(key: Ed25519PublicKey) -> str:
    """A key's six words."""
    return fingerprints.words(key.public_bytes_raw())


def load_batch(batch_file: Path, *, home: Path, passphrase: str) -> Batch:
    """The batch under this laptop's pin."""
    signer = pinned_signer(home, batch_file)
    return open_batch(batch_file, passphrase=passphrase, signer=signer, now_s=time.time())


def start(batch_file: Path, *, home: Path, passphrase: str, port: int, host: str, interface: str) -> None:
    """Serve the batch on one cable and show the table until Ctrl-C.

    `host` is an address of this machine alone, for trying it without a cable: then nobody is called.
    """
    if host and not ip_address(host).is_loopback:
        raise ConfigurationError("the bench answers only on a cable", where=host, hint="name it with --interface")
    cable = None if host else interfaces.choose(interface, wait_s=CABLE_S)
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    signer = pinned_signer(home, batch_file)
    with open_inventory(home / "inventory.db") as inventory, contextlib.suppress(KeyboardInterrupt):
        here = bench.Bench(batch, inventory, signer=signer)
        here.check_open()
        asyncio.run(_serve(here, inventory, port=port, host=host, cable=cable, fleet=words_of(signer)))


async def _serve(
    here: bench.Bench, inventory: Inventory, *, port: int, host: str, cable: Interface | None, fleet: str
) -> None:
    console = terminal.console()
    at = cable.host if cable else host
    async with bench.serve(here, host=at, port=port) as bound, asyncio.TaskGroup() as tasks:
        if cable is not None:
            tasks.create_task(bench.call(bound, cable), name="beacon")

            def heard(place: str) -> None:
                if here.visitors.hear(place, time.time()) and not console.is_terminal:
                    line = errors.told(f"another bench announces itself on this cable: {place}")
                    terminal.say(f"PRV-07 {line}", stderr=True)

            tasks.create_task(bench.watch(bound, cable, heard), name="other benches")
        if not console.is_terminal:
            terminal.say(f"bench {here.batch.manifest.batch} on {at} port {bound}, fleet {fleet}")
            await _tell(here)
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                screen = table.draw(
                    here.batch, inventory, port=bound, now_s=time.time(), fleet=fleet, visitors=here.visitors
                )
                live.update(screen, refresh=True)
                await asyncio.sleep(REFRESH_S)


async def _tell(here: bench.Bench) -> None:
    """Without a screen: a line to stderr, once, for each board that waits and each machine that asks as no box does."""
    told: set[str] = set()
    while True:
        now_s = time.time()
        lines = {
            board.words: f"{board.code} {board.words} …{board.serial[-6:]} from {board.peer}"
            for board in here.visitors.waiting(now_s)
        }
        lines |= {
            peer: "PRV-08 " + errors.told(f"a request that no box would send, from {peer}")
            for peer in here.visitors.strangers(now_s)
        }
        for who, line in lines.items():
            if who not in told:
                terminal.say(line, stderr=True)
        told = set(lines)
        await asyncio.sleep(REFRESH_S)


def confirm(words: str, *, home: Path) -> str:
    """Let a box without the batch's secret be named: its six words, as they stand on the box. The words as kept."""
    kept = fingerprints.typed(words)
    if not kept:
        raise ConfigurationError(f"{words!r} are not six words", hint="type them from the box's own screen")
    with open_inventory(home / "inventory.db") as inventory:
        inventory.confirm(kept, now_s=time.time())
    return kept


def write_secret(batch_file: Path, target: Path, *, home: Path, passphrase: str) -> None:
    """Write the batch's secret for its card images."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    files.write(target, batch.enrol_secret.hex().encode() + b"\n")


def show(batch_file: Path, *, home: Path, passphrase: str, as_json: bool) -> None:
    """Print the table once, or what it is drawn from as one JSON object."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    with open_inventory(home / "inventory.db") as inventory:
        inventory.plan(batch.manifest)
        if as_json:
            terminal.say_json(table.as_document(batch, inventory, now_s=time.time()))
        else:
            fleet = words_of(pinned_signer(home, batch_file))
            terminal.console().print(table.draw(batch, inventory, port=0, now_s=time.time(), fleet=fleet))


def retire(device_id: str, reason: str, *, home: Path) -> None:
    """Free the board of a box whose card was written again; its id is never given again."""
    wanted = device_id.replace("-", "").upper()
    if not is_device_id(wanted):
        raise ConfigurationError(f"{device_id} is not a box id", hint="read the label again")
    with open_inventory(home / "inventory.db") as inventory:
        inventory.retire(wanted, State.RETIRED, reason)


def wifi(name: str, passphrase_file: Path | None, country: str) -> card.Wifi | None:
    """The venue's Wi-Fi, None without one; raises ConfigurationError, StorageError."""
    if not name and passphrase_file is None:
        return None
    if passphrase_file is None:
        raise ConfigurationError("a Wi-Fi passphrase has 8 to 63 characters", hint="give --wifi-passphrase-file")
    text = files.read(passphrase_file, hint="give --wifi-passphrase-file").decode(errors="replace")
    return card.Wifi(name=name, passphrase=text.rstrip("\r\n"), country=country)


def write_card(
    batch_file: Path, target: Path, *, home: Path, passphrase: str, ssh_key: Path | None, wifi: card.Wifi | None = None
) -> str:
    """Write a boot-partition folder for the next id; the id."""
    key = files.read(ssh_key, hint="name the .pub file").decode(errors="replace") if ssh_key else ""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    with open_inventory(home / "inventory.db") as inventory:
        row = card.write_card(
            batch,
            inventory,
            target,
            signer=pinned_signer(home, batch_file),
            now_s=time.time(),
            ssh_key=key.strip(),
            wifi=wifi,
        )
    return row.device_id


def labels(batch_file: Path, target: Path, *, home: Path, passphrase: str, paper: Paper) -> tuple[int, int]:
    """Write the labels of the boxes that are ready or wait on a card; how many, and how many were left out.

    What is printed is what the fleet signed; a box without a place has no true label. Raises BadDataError for none.
    """
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    words = label.Words(address=batch.manifest.label_address, phone=batch.manifest.hotline)
    chosen, left_out = _ready(batch, home)
    label.write(chosen, target, words, date=time.strftime("%Y-%m-%d"), paper=paper)
    return len(chosen), left_out


def slips(batch_file: Path, target: Path, *, home: Path, passphrase: str) -> int:
    """Write the slips with the operators' PINs of the boxes that have a label; how many."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    chosen, _left_out = _ready(batch, home)
    found = [(row, pins.pin(batch.bench_key, row.device_id)) for row in chosen]
    files.write(target, slip.sheet(found, hotline=batch.manifest.hotline).encode())
    return len(chosen)


def _ready(batch: Batch, home: Path) -> tuple[list[BoxRow], int]:
    """The boxes that may have a label, and how many in service may not; raises BadDataError for none."""
    with open_inventory(home / "inventory.db") as inventory:
        inventory.plan(batch.manifest)
        rows, reports = inventory.boxes(batch.manifest.batch), inventory.reports(batch.manifest.batch)
    enrolled = [row for row in rows if row.state is State.ENROLLED]
    chosen = [
        row
        for row in enrolled
        if row.place.site and table.stage(row, reports.get(row.device_id, ())) in {table.Stage.READY, table.Stage.CARD}
    ]
    if not chosen:
        raise BadDataError("no box is ready for a label", where=str(batch.path), hint="look at the bench's screen")
    return chosen, len(enrolled) - len(chosen)
