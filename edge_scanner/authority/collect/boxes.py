"""Which boxes there are: the fleet's signed list, with each box's identity key, read into `Box`es.

`edge-provision fleet boxes` writes it: `boxes.csv` with the columns `device_id`, `site`, `room`, `name_vi`, `identity`
(the box's Ed25519 key, base64) and `state`, and `boxes.csv.sig`, the fleet's word about its SHA-256. The key is what
makes an answer believable, so a list that the fleet did not sign is not read. `fleet.pub`, the key that must have
signed it, lies beside the list on the authority's machine; it comes once, by hand, and its fingerprint is compared.

A box that was taken out stays in the list: what it gave before can be checked, and it is asked nothing more. A list
older than the one last used on this machine is refused (newest.py): in it, that box may still be in service.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.authority import files, newest
from edge_scanner.core import public_keys, signed, text
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import BoxList
from edge_scanner.core.errors import BadDataError, DocumentForgedError, LogError, MalformedError, RefusedError
from edge_scanner.core.log.format import check_device
from edge_scanner.core.signed import unbase64

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FLEET_KEY_NAME = "fleet.pub"
COLUMNS = ("device_id", "site", "room", "name_vi", "identity", "state")
IN_SERVICE = "enrolled"
STATES = (IN_SERVICE, "revoked", "retired")
_MAX_PLACE = 200
_NEW_LIST = "ask the fleet's operator for a list of `edge-provision fleet boxes`: boxes.csv and boxes.csv.sig together"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box: where it hangs and the key it signs with; `identity` is empty while the fleet has not heard its key."""

    device: str
    site: str
    room: str
    name: str
    identity: bytes
    state: str = IN_SERVICE

    @property
    def key(self) -> Ed25519PublicKey:
        """The identity key as an object; raises BadDataError for a box whose key nobody has."""
        if not self.identity:
            raise BadDataError("the list has no key of this box", where=self.device, hint=_NEW_LIST)
        return public_keys.ed25519(self.identity, self.device)

    @property
    def place(self) -> str:
        """Where it hangs, for people: name (or site) and room."""
        return ", ".join(part for part in (self.name or self.site, self.room) if part) or self.device

    @property
    def why_not_asked(self) -> str:
        """`revoked`, `retired` or `no_key`; empty for a box that may be asked."""
        if self.state != IN_SERVICE:
            return self.state
        return "" if self.identity else "no_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who signed a list and when it was made (UTC seconds); `key` is the raw fleet key that is pinned here."""

    fleet: str
    made_s: int
    key: bytes


def read(path: Path) -> dict[str, Box]:
    """The boxes by id; raises RefusedError for a list that the pinned key did not sign, BadDataError, StorageError."""
    content = files.read(path)
    _check(path, content)
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataError("not a CSV file in UTF-8", where=str(path)) from error
    boxes: dict[str, Box] = {}
    for line, row in enumerate(rows, 2):
        box = _box(row, f"{path}, line {line}")
        if boxes.setdefault(box.device, box) != box:
            raise BadDataError("a box stands twice with different data", where=f"{path}, line {line}")
    if not boxes:
        raise BadDataError("no boxes", where=str(path), hint=f"columns: {','.join(COLUMNS)}")
    return boxes


def source(path: Path) -> Source:
    """Whose list it is; raises as `read`."""
    return _check(path, files.read(path))


def choose(boxes: Mapping[str, Box], devices: Sequence[str], sites: Sequence[str]) -> tuple[str, ...]:
    """Ids of the boxes named and of all at the sites that may be asked, each once.

    Raises BadDataError for one that is not known, RefusedError for one that is named and may not be asked.
    """
    chosen = {device.replace("-", "").upper(): None for device in devices}
    for device in chosen:
        box = _known(boxes, device)
        if box.why_not_asked:
            raise RefusedError(f"this box is not asked: {box.why_not_asked}", code=box.why_not_asked, where=device)
    for site in sites:
        at_site = [box for box in boxes.values() if box.site == site]
        if not at_site:
            raise BadDataError("no box at this site", where=site)
        asked = [box.device for box in at_site if not box.why_not_asked]
        if not asked:
            raise RefusedError("no box at this site may be asked", code="not_asked", where=site)
        chosen.update(dict.fromkeys(asked))
    return tuple(chosen)


def left_out(boxes: Mapping[str, Box], sites: Sequence[str]) -> tuple[Box, ...]:
    """The boxes at these sites that are not asked: nobody shall believe that a whole site was."""
    return tuple(box for box in boxes.values() if box.site in sites and box.why_not_asked)


def check_known(boxes: Mapping[str, Box], devices: Sequence[str]) -> None:
    """Raises BadDataError for a box of a request that the list does not have."""
    for device in devices:
        _known(boxes, device)


def _known(boxes: Mapping[str, Box], device: str) -> Box:
    if device not in boxes:
        raise BadDataError("no such box in the list", where=device, hint=_NEW_LIST)
    return boxes[device]


def _check(path: Path, content: bytes) -> Source:
    """The fleet's word about these bytes; raises RefusedError where it is another's, or about other bytes."""
    pinned, signature = path.with_name(FLEET_KEY_NAME), path.with_name(f"{path.name}.sig")
    for needed, hint in (
        (pinned, "signer.pub of the fleet, once and by hand; compare it with `edge-authority boxes`"),
        (signature, _NEW_LIST),
    ):
        if not needed.exists():
            raise RefusedError(
                "a list of boxes without it is not believed", code="unsigned", where=str(needed), hint=hint
            )
    try:
        key = documents.public_key(files.read(pinned, limit=4096).decode("ascii", "replace").strip())
    except MalformedError as error:
        raise BadDataError("not a fleet's key", where=str(pinned)) from error
    try:
        word = documents.verify(BoxList, files.read(signature).rstrip(b"\n"), key)
    except DocumentForgedError as error:
        raise RefusedError(
            f"the list was not signed by the key of {pinned}", code="forged", where=str(signature), hint=_NEW_LIST
        ) from error
    except LogError as error:
        raise BadDataError("not a signature of a list of boxes", where=str(signature), hint=_NEW_LIST) from error
    if word.sha256 != hashlib.sha256(content).hexdigest():
        raise RefusedError("the list is not the one that was signed", code="forged", where=str(path), hint=_NEW_LIST)
    newest.check("boxes", signed.key_name(key), word.made_s, where=str(path))
    return Source(fleet=word.fleet, made_s=word.made_s, key=key.public_bytes_raw())


def _box(row: Mapping[str | None, str | list[str] | None], where: str) -> Box:
    """A line's box."""
    values = {name: str(row.get(name) or "").strip() for name in COLUMNS}
    try:
        device = check_device(values["device_id"].replace("-", ""))
        identity = unbase64(values["identity"])
        if identity:
            public_keys.ed25519(identity, where)
    except MalformedError as error:
        raise BadDataError(f"device_id or identity is malformed: {error.what}", where=where) from error
    for name in ("site", "room", "name_vi"):
        if values[name]:
            text.parse(values[name], limit=_MAX_PLACE, name=name, where=where)
    if values["state"] not in STATES:
        raise BadDataError(f"state must be one of {', '.join(STATES)}", where=where)
    return Box(
        device=device,
        site=values["site"],
        room=values["room"],
        name=values["name_vi"],
        identity=identity,
        state=values["state"],
    )
