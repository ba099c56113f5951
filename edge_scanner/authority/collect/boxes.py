"""Which boxes there are: a CSV from the fleet's operator, with each box's identity key, read into `Box`es.

It is what `edge-provision` exports: columns `device_id`, `site`, `room`, `name_vi` and `identity` (the box's Ed25519
key, base64) are read, others passed over, and so are ids that no box has yet. The key is what makes an answer
believable, so the file comes by a way that can be trusted; a box's label shows its fingerprint.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_scanner.authority import files
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.log.errors import MalformedError
from edge_scanner.core.log.format import check_device
from edge_scanner.core.signed import unbase64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_IDENTITY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box: where it hangs and the key it signs with."""

    device: str
    site: str
    room: str
    name: str
    identity: bytes

    @property
    def key(self) -> Ed25519PublicKey:
        """The identity key as an object."""
        return Ed25519PublicKey.from_public_bytes(self.identity)

    @property
    def place(self) -> str:
        """Where it hangs, for people: name (or site) and room."""
        return ", ".join(part for part in (self.name or self.site, self.room) if part) or self.device


def read(path: Path) -> dict[str, Box]:
    """The boxes by id; raises BadDataError that names the line, StorageError."""
    try:
        rows = list(csv.DictReader(io.StringIO(files.read(path).decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataError("not a CSV file in UTF-8", where=str(path)) from error
    boxes: dict[str, Box] = {}
    for line, row in enumerate(rows, 2):
        box = _box(row, f"{path}, line {line}")
        if box is not None and boxes.setdefault(box.device, box) != box:
            raise BadDataError("a box stands twice with different data", where=f"{path}, line {line}")
    if not boxes:
        raise BadDataError("no boxes", where=str(path), hint="columns: device_id,site,room,name_vi,identity")
    return boxes


def choose(boxes: Mapping[str, Box], devices: Sequence[str], sites: Sequence[str]) -> tuple[str, ...]:
    """Ids of the boxes named and of all at the sites, each once; raises BadDataError for one that is not known."""
    chosen = {device.replace("-", "").upper(): None for device in devices}
    for device in chosen:
        if device not in boxes:
            raise BadDataError("no such box in the inventory", where=device)
    for site in sites:
        at_site = [box.device for box in boxes.values() if box.site == site]
        if not at_site:
            raise BadDataError("no box at this site", where=site)
        chosen.update(dict.fromkeys(at_site))
    return tuple(chosen)


def _box(row: Mapping[str | None, str | list[str] | None], where: str) -> Box | None:
    """A line's box; None for an id that no box has been given yet."""
    values = {name: str(row.get(name) or "").strip() for name in ("device_id", "site", "room", "name_vi", "identity")}
    if not values["identity"]:
        return None
    try:
        device = check_device(values["device_id"].replace("-", ""))
        identity = unbase64(values["identity"])
    except MalformedError as error:
        raise BadDataError("device_id or identity is malformed", where=where) from error
    if len(identity) != _IDENTITY_BYTES:
        raise BadDataError(f"identity must be base64 of {_IDENTITY_BYTES} bytes", where=where)
    return Box(device=device, site=values["site"], room=values["room"], name=values["name_vi"], identity=identity)
