"""A box that hangs somewhere else now: the inventory, and the order that tells the box, signed with the fleet's key.

The order is a box's assignment with the same id and its newest certificate (none, if it has only the bench's), a new
place and a later time; no other box takes it, and a box takes none that is older than its own. The PIN stays.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_scanner import terminal
from edge_scanner.core.enrolment import documents
from edge_scanner.core.errors import ConfigurationError, RefusedError
from provisioning import files, label, places
from provisioning.inventory import open_inventory

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.enrolment.documents import Place
    from provisioning.fleet.fleet import Fleet


def order(
    fleet: Fleet, device_id: str, sites: Path, *, site: str, room: str, label_to: Path | None, now_s: float
) -> bytes:
    """Move the box in the inventory and return the order; raises ConfigurationError, RefusedError."""
    plain = device_id.replace("-", "").upper()
    place = _chosen(places.read(sites), site, room)
    with open_inventory(fleet.inventory) as inventory:
        certificate = inventory.newest_certificate(plain)
        known = inventory.box(plain)
        if known is not None and not known.identity:
            raise RefusedError(
                "headquarters has not heard of this box yet", code="unheard", hint="run bench sync, or connect the box"
            )
        row = inventory.move(plain, place)
    assignment = documents.assign(
        place,
        batch=row.batch,
        device_id=row.device_id,
        identity=row.identity,
        certificate=(certificate or b"").decode(),
        ops_pin="",
        now_s=now_s,
    )
    if label_to is not None:
        words = label.Words(address=fleet.label_address, phone=fleet.hotline)
        label.write([row], label_to, words, date=time.strftime("%Y-%m-%d", time.gmtime(now_s)), paper="roll")
    return documents.sign(assignment, fleet.signer)


def hand_over(order: bytes, out: Path | None) -> None:
    """Write the order to a file, or to stdout; raises StorageError."""
    if out is None:
        terminal.say(order.decode())
    else:
        files.write(out, order + b"\n", mode=0o644)
        terminal.say(f"{out}: take it to the box: sudo edge-scanner enrol --move {out.name}")


def _chosen(plan: tuple[Place, ...], site: str, room: str) -> Place:
    found = [one for one in plan if one.site == site and room in {"", one.room}]
    if not found:
        raise ConfigurationError("the plan has no such place", where=f"{site} {room}".strip(), hint="add its line")
    if len(found) > 1:
        raise ConfigurationError("the site has several places", where=site, hint="give --room")
    return found[0]
