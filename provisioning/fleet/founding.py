"""COMMAND edge-provision fleet new: a fleet is founded, its labels' words are checked before any key is made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.core.enrolment import fingerprints
from provisioning.fleet.fleet import endpoint, new_fleet
from provisioning.hsm import Token

if TYPE_CHECKING:
    from pathlib import Path

    from provisioning.label import Words


def new(
    folder: Path, name: str, passphrase: str, *, broker: str, enrol: str, words: Words, module: Path | None, token: str
) -> None:
    """Make the fleet; `enrol` is on the broker's host if it is empty, `module` a token's library."""
    central = endpoint(broker, default_port=8883)
    made = new_fleet(
        folder,
        name=name,
        broker=central,
        enrol=endpoint(enrol or central.host, default_port=8884),
        passphrase=passphrase,
        now_s=time.time(),
        token=Token(module=module, label=token) if module else None,
        hotline=words.phone,
        label_address=words.address,
    )
    terminal.say(
        f"{made.folder}: fleet {name} made; move {made.folder / 'offline'} to a safe place\n"
        f"its key: {fingerprints.words(made.signer.public_key().public_bytes_raw())}"
    )
