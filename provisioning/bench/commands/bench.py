"""COMMANDS edge-provision bench start | show | retire, card and label: the technician's laptop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from rich.live import Live

from edge_scanner import terminal
from edge_scanner.core.enrolment.device_id import is_device_id
from edge_scanner.core.enrolment.documents import public_key, public_text
from edge_scanner.core.errors import BadDataError, ConfigurationError
from provisioning import files
from provisioning.bench import bench, card, label, table
from provisioning.bench.batch import open_batch, signer_of
from provisioning.inventory import State, open_inventory

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from provisioning.bench.batch import Batch
    from provisioning.bench.label import Paper, Words
    from provisioning.inventory import Inventory

REFRESH_S = 0.5


def pinned_signer(home: Path, batch_file: Path) -> Ed25519PublicKey:
    """The fleet's key that this laptop pinned, or pins now from its first batch; raises BadDataError."""
    pin = home / "fleet.pub"
    if not pin.exists():
        found = signer_of(batch_file)
        text = public_text(found)
        files.write(pin, text.encode() + b"\n", mode=0o644)
        line = f"edge-provision: fleet key pinned: {text[:16]}… compare it with headquarters' signer.pub"
        terminal.say(line, stderr=True)
        return found
    return public_key(files.read(pin, hint="delete it to pin another fleet").decode().strip())


def load_batch(batch_file: Path, *, home: Path, passphrase: str) -> Batch:
    """The batch under this laptop's pin."""
    signer = pinned_signer(home, batch_file)
    return open_batch(batch_file, passphrase=passphrase, signer=signer, now_s=time.time())


def start(batch_file: Path, *, home: Path, passphrase: str, port: int, host: str | None) -> None:
    """Serve the batch and show the table until Ctrl-C."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    with open_inventory(home / "inventory.db") as inventory, contextlib.suppress(KeyboardInterrupt):
        here = bench.Bench(batch, inventory, signer=pinned_signer(home, batch_file))
        asyncio.run(_serve(here, inventory, port=port, host=host))


async def _serve(here: bench.Bench, inventory: Inventory, *, port: int, host: str | None) -> None:
    console = terminal.console()
    async with bench.serve(here, host=host, port=port) as bound, asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.call(bound), name="beacon")
        if not console.is_terminal:
            terminal.say(f"bench {here.batch.manifest.batch} on port {bound}")
            await asyncio.Event().wait()
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(table.draw(here.batch, inventory, port=bound, now_s=time.time()), refresh=True)
                await asyncio.sleep(REFRESH_S)


def show(batch_file: Path, *, home: Path, passphrase: str, as_json: bool) -> None:
    """Print the table once, or what it is drawn from as one JSON object."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    with open_inventory(home / "inventory.db") as inventory:
        inventory.plan(batch.manifest)
        if as_json:
            terminal.say_json(table.as_document(batch, inventory, now_s=time.time()))
        else:
            terminal.console().print(table.draw(batch, inventory, port=0, now_s=time.time()))


def retire(device_id: str, reason: str, *, home: Path) -> None:
    """Free the board of a box whose card was written again; its id is never given again."""
    wanted = device_id.replace("-", "").upper()
    if not is_device_id(wanted):
        raise ConfigurationError(f"{device_id} is no box id", hint="read the label again")
    with open_inventory(home / "inventory.db") as inventory:
        inventory.retire(wanted, State.RETIRED, reason)


def write_card(batch_file: Path, target: Path, *, home: Path, passphrase: str, ssh_key: Path | None) -> str:
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
        )
    return row.device_id


def labels(batch_file: Path, target: Path, words: Words, *, home: Path, passphrase: str, paper: Paper) -> int:
    """Write the labels of the batch's installed boxes, or of all its ids before any is installed; how many."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    with open_inventory(home / "inventory.db") as inventory:
        inventory.plan(batch.manifest)
        rows = inventory.boxes(batch.manifest.batch)
    chosen = [row for row in rows if row.state is State.ENROLLED] or list(rows)
    if not chosen:
        raise BadDataError("the batch has no boxes", where=str(batch_file), hint="ask for a new batch")
    label.write(chosen, target, words, date=time.strftime("%Y-%m-%d"), paper=paper)
    return len(chosen)
