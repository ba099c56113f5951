"""COMMAND edge-provision fleet boxes: the list of boxes that a health authority asks and believes.

A CSV that a spreadsheet opens, and beside it the fleet's signed word about it (`boxes.csv.sig`, a `BoxList`): the list
holds the key by which each box's answers are believed, so it must not matter how it travels. The authority pins the
fleet's key, `signer.pub`, once.
"""

from __future__ import annotations

import csv
import hashlib
import io
import time
from typing import TYPE_CHECKING

from edge_scanner.core.enrolment import documents, fingerprints
from edge_scanner.core.enrolment.box_list import COLUMNS, PLACE_COLUMNS
from edge_scanner.core.enrolment.documents import BoxList
from edge_scanner.core.wording import counted
from provisioning import files
from provisioning.inventory import State, open_inventory
from provisioning.options import answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from provisioning.fleet.fleet import Fleet
    from provisioning.inventory import BoxRow


def export(fleet: Fleet, target: Path, *, now_s: float) -> tuple[BoxRow, ...]:
    """Write the list and its signature; the boxes in it, without ids that no box has yet. Raises StorageError."""
    with open_inventory(fleet.inventory) as inventory:
        rows = tuple(row for row in inventory.boxes() if row.state is not State.FREE)
    write(target, rows, fleet=fleet.name, signer=fleet.signer, now_s=now_s)
    return rows


def run_export(fleet: Fleet, target: Path, *, as_json: bool) -> None:
    """Write the list and say what is in it, and the words of the key that signed it."""
    rows = export(fleet, target, now_s=time.time())
    enrolled = [row for row in rows if row.state is State.ENROLLED]
    unknown = sum(not row.identity for row in enrolled)
    mark = fingerprints.words(fleet.signer.public_key().public_bytes_raw())
    notes = f"; {unknown} of them without a key yet, which cannot be asked" if unknown else ""
    answer(
        f"{target} and {target.name}.sig: {counted(len(enrolled), 'box')} in service{notes}, "
        f"{len(rows) - len(enrolled)} taken out\n"
        f"{fleet.folder / 'signer.pub'}: the key that signed it, {mark}",
        as_json=as_json,
        file=str(target),
        boxes=len(enrolled),
        without_key=unknown,
        taken_out=len(rows) - len(enrolled),
        fleet_key=mark,
    )


def write(target: Path, rows: Sequence[BoxRow], *, fleet: str, signer: Ed25519PrivateKey, now_s: float) -> None:
    """These boxes as a signed list at `target`; raises StorageError."""
    content = text(rows).encode("utf-8-sig")
    word = BoxList(fleet=fleet, made_s=int(now_s), sha256=hashlib.sha256(content).hexdigest())
    files.write(target, content, mode=0o644)
    files.write(target.with_name(f"{target.name}.sig"), documents.sign(word, signer) + b"\n", mode=0o644)


def text(rows: Sequence[BoxRow]) -> str:
    """One line a box; `identity` is empty where headquarters has not heard the box's key yet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*COLUMNS, *PLACE_COLUMNS])
    for row in rows:
        place = row.place
        writer.writerow(
            [
                *(row.device_id, place.site, place.room, place.name_vi, row.identity, str(row.state)),
                *(getattr(place, name) for name in PLACE_COLUMNS),
            ]
        )
    return out.getvalue()
