"""The fleet's signed list of boxes, which the authority's desk and the centre believe: `boxes.csv` and its signature.

Columns: `device_id`, `site`, `room`, `name_vi`, `identity` (the box's Ed25519 key, base64) and `state`; a reader passes
over others, but for `province`, `district` and `kind` of the place and its `hall_rule`, empty where a list has none.
`hall_rule` says whether the site's boxes hear the same people (`same hall`) or not (`separate`, or empty). The
signature is the fleet's word (`documents.BoxList`) about the SHA-256 of the whole file, made with its signer's key.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core import public_keys, text
from edge_scanner.core.counts.site_total import SAME_HALL, SEPARATE
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.documents import BoxList
from edge_scanner.core.errors import BadDataError, DocumentForgedError, LogError, MalformedError, RefusedError
from edge_scanner.core.log.format import check_device
from edge_scanner.core.signed import unbase64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FLEET_KEY_NAME = "fleet.pub"
"""The key that must have signed, beside the list; it comes once, by hand."""
COLUMNS = ("device_id", "site", "room", "name_vi", "identity", "state")
PLACE_COLUMNS = ("province", "district", "kind", "hall_rule")
HALL_RULES = ("", SEPARATE, SAME_HALL)
IN_SERVICE = "enrolled"
STATES = (IN_SERVICE, "revoked", "retired")
NEW_LIST = "ask the fleet's operator for a list of `edge-provision fleet boxes`: boxes.csv and boxes.csv.sig together"
MAX_PINNED_BYTES = 4096
_MAX_PLACE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box: where it hangs and the key it signs with; `identity` is empty while the fleet has not heard its key."""

    device: str
    site: str
    room: str
    name: str
    identity: bytes
    state: str = IN_SERVICE
    province: str = ""
    district: str = ""
    kind: str = ""
    hall_rule: str = ""

    @property
    def key(self) -> Ed25519PublicKey:
        """The identity key as an object; raises BadDataError for a box whose key nobody has."""
        if not self.identity:
            raise BadDataError("the list has no key of this box", where=self.device, hint=NEW_LIST)
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


def source(content: bytes, signature: bytes, pinned: bytes, where: str) -> Source:
    """Whose word it is; raises RefusedError where it is another's or about other bytes, BadDataError.

    `pinned` is the text of the fleet's key; `where` is the list's place, for people.
    """
    try:
        key = documents.public_key(pinned.decode("ascii", "replace").strip())
    except MalformedError as error:
        raise BadDataError("not a fleet's key", where=f"{FLEET_KEY_NAME} beside {where}") from error
    try:
        word = documents.verify(BoxList, signature.rstrip(b"\n"), key)
    except DocumentForgedError as error:
        raise RefusedError(
            f"the list was not signed by the key of {FLEET_KEY_NAME}",
            code="forged", where=f"{where}.sig", hint=NEW_LIST,
        ) from error  # fmt: skip
    except LogError as error:
        raise BadDataError("not a signature of a list of boxes", where=f"{where}.sig", hint=NEW_LIST) from error
    if word.sha256 != hashlib.sha256(content).hexdigest():
        raise RefusedError("the list is not the one that was signed", code="forged", where=where, hint=NEW_LIST)
    return Source(fleet=word.fleet, made_s=word.made_s, key=key.public_bytes_raw())


def boxes(content: bytes, where: str) -> dict[str, Box]:
    """The boxes of a list whose `source` is known; raises BadDataError that names the line."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataError("not a CSV file in UTF-8", where=where) from error
    found: dict[str, Box] = {}
    for line, row in enumerate(rows, 2):
        box = _box(row, f"{where}, line {line}")
        if found.setdefault(box.device, box) != box:
            raise BadDataError("a box is listed twice with different data", where=f"{where}, line {line}")
    if not found:
        raise BadDataError("no boxes", where=where, hint=f"columns: {','.join(COLUMNS)}")
    return found


def _box(row: Mapping[str | None, str | list[str] | None], where: str) -> Box:
    """A line's box."""
    values = {name: str(row.get(name) or "").strip() for name in (*COLUMNS, *PLACE_COLUMNS)}
    try:
        device = check_device(values["device_id"].replace("-", ""))
        identity = unbase64(values["identity"])
        if identity:
            public_keys.ed25519(identity, where)
    except MalformedError as error:
        raise BadDataError(f"device_id or identity is malformed: {error.what}", where=where) from error
    for name in ("site", "room", "name_vi", *PLACE_COLUMNS):
        if values[name]:
            text.parse(values[name], limit=_MAX_PLACE, name=name, where=where)
    if values["hall_rule"] not in HALL_RULES:
        raise BadDataError("hall_rule is separate or same hall", where=where)
    if values["state"] not in STATES:
        raise BadDataError(f"state must be one of {', '.join(STATES)}", where=where)
    return Box(
        device=device,
        site=values["site"],
        room=values["room"],
        name=values["name_vi"],
        identity=identity,
        state=values["state"],
        **{name: values[name] for name in PLACE_COLUMNS},
    )
