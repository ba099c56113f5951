"""What a message is, or why it is not believed. No clock, no database: one function of topic, payload and list.

Rules
* The topic says who speaks: the broker lets only the box itself write there. A payload that denies it is set aside.
* The payload follows the published schema of its topic, the files of `edge_scanner/schemas` themselves.
* Its key is the one that its content has, so that nobody keeps a place for another bin.
* The signed list says whether there is such a box, and at which site: the site in the payload is not used.
* A checkpoint or a boot record is signed by the box's identity key. Counts, health, status and audit entries are not
  signed: they are believed as far as the broker's permissions are.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec

from edge_scanner.central.store.model import Reason, Release, SetAside, State, Statement
from edge_scanner.core import public_keys
from edge_scanner.core.enrolment.box_list import IN_SERVICE
from edge_scanner.core.errors import BadDataError, LogError
from edge_scanner.core.log import merkle
from edge_scanner.core.log.verifier import verify_boot
from edge_scanner.core.messages import KINDS, MAX_PAYLOAD_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.central.store.model import Box

PREFIX = ("edge-scanner", "v1", "d")
EARLY_S = 3600
"""How far a bin may end in the future: an honest clock without NTP, and a bin's own end."""
LATE_S = 62 * 86_400
"""How old a bin may be: far beyond the 14 days after which a box throws its message away."""
MAX_TOPIC = 200
WILL_SEQ = -1
_MAX_INTEGER = 1 << 53

Row = Release | Statement | State | SetAside


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A message as it came; `received` in UTC seconds."""

    topic: str
    payload: bytes
    retained: bool
    received: int


class _NotBelievedError(Exception):
    """Inside this file: why a message is set aside."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Judge:
    """Judges by one state of the list."""

    def __init__(self, boxes: Mapping[str, Box]) -> None:
        self._boxes = boxes
        self._schemas = _schemas()

    def judge(self, heard: Heard) -> Row:
        """The row that a message becomes; never raises for what somebody sent."""
        try:
            return self._judge(heard)
        except _NotBelievedError as no:
            return SetAside(
                received=heard.received,
                reason=no.reason,
                topic=heard.topic[:MAX_TOPIC].replace("\0", ""),
                payload=heard.payload[:MAX_PAYLOAD_BYTES],
            )

    def _judge(self, heard: Heard) -> Row:
        device, kind = _topic(heard.topic)
        body = self._body(kind, heard.payload)
        if body["device"] != device:
            raise _NotBelievedError(Reason.TOPIC)
        if body["key"] != _key(kind, body):
            raise _NotBelievedError(Reason.KEY)
        box = self._boxes.get(device)
        if box is None:
            raise _NotBelievedError(Reason.UNLISTED)
        if box.state != IN_SERVICE:
            raise _NotBelievedError(Reason.OUT_OF_SERVICE)
        if kind == "counts":
            return _release(body, box, heard)
        if kind in {"status", "health"}:
            return _state(kind, body, heard)
        if kind != "audit":
            _check_signature(kind, body, box)
        return Statement(
            device=device,
            kind=kind,
            mark=body["key"].removeprefix(f"{device}/{kind}/"),
            number=int(body["segments" if kind == "checkpoint" else "number"]),
            at=int(body["at"]),
            received=heard.received,
            payload=heard.payload,
        )

    def _body(self, kind: str, payload: bytes) -> dict[str, Any]:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise _NotBelievedError(Reason.SIZE)
        try:
            # No text of ours has a NUL, and PostgreSQL keeps none.
            body = None if b"\\u0000" in payload else msgspec.json.decode(payload)
            sound = _is_sound(body) and self._schemas[kind].is_valid(body)
        except (ValueError, RecursionError):
            # Lists in lists in lists: whoever looks into them may run out of stack as well as who reads them.
            body, sound = None, False
        if not sound or not isinstance(body, dict):
            raise _NotBelievedError(Reason.SCHEMA)
        if body["kind"] != kind:
            raise _NotBelievedError(Reason.TOPIC)
        return body


def _schemas() -> dict[str, jsonschema_rs.Draft202012Validator]:
    """The published schemas as validators."""
    folder = resources.files("edge_scanner.schemas")
    names = ("envelope", *KINDS)
    documents = {name: json.loads(folder.joinpath(f"{name}.schema.json").read_text("utf-8")) for name in names}
    registry = jsonschema_rs.Registry([(document["$id"], document) for document in documents.values()])
    return {kind: jsonschema_rs.Draft202012Validator(documents[kind], registry=registry) for kind in KINDS}


def _topic(topic: str) -> tuple[str, str]:
    """Device and kind."""
    parts = topic.split("/")
    if tuple(parts[:3]) != PREFIX or len(parts) != len(PREFIX) + 3 or parts[4] != "up" or parts[5] not in KINDS:
        raise _NotBelievedError(Reason.TOPIC)
    return parts[3], parts[5]


def _is_sound(value: object) -> bool:
    """Whether every number is one that a column can hold."""
    if isinstance(value, dict):
        return all(_is_sound(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_sound(item) for item in value)
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) <= _MAX_INTEGER
    return True


def _key(kind: str, body: Mapping[str, Any]) -> str:
    """The key that this content has (docs/mqtt.md)."""
    if kind == "counts":
        mark = f"{body['ledger']}/{int(body['bin_start'])}"
    elif kind == "checkpoint":
        mark = f"{int(body['boot'])}/{int(body['segments'])}"
    elif kind in {"audit", "boot"}:
        mark = str(int(body["number"]))
    else:
        mark = f"{int(body['boot'])}/{'will' if body.get('state') == 'offline' else int(body['seq'])}"
    return f"{body['device']}/{kind}/{mark}"


def _release(body: Mapping[str, Any], box: Box, heard: Heard) -> Release:
    start, length = int(body["bin_start"]), int(body["bin_s"])
    if start + length > heard.received + EARLY_S or start < heard.received - LATE_S:
        raise _NotBelievedError(Reason.CLOCK)
    link = body.get("link")
    return Release(
        device=box.device,
        ledger=body["ledger"],
        bin_start=start,
        bin_s=length,
        site=box.site,
        boot=int(body["boot"]),
        minutes_covered=min(int(body["minutes_covered"]), length // 60),
        epsilon=float(body["epsilon"]),
        scale=float(body["scale"]),
        tracing_scale=float(body["tracing_scale"]) if "tracing_scale" in body else None,
        parts=int(body.get("parts", 1)),
        clock=body["clock"],
        figures={name: int(value) for name, value in body["figures"].items()},
        at=int(body["at"]),
        received=heard.received,
        payload=heard.payload,
        segment=int(link["segment"]) if link else None,
        link=bytes.fromhex(link["link"]) if link else None,
    )


def _state(kind: str, body: Mapping[str, Any], heard: Heard) -> State:
    """What the broker kept for us is as old as it says: nobody is heard again by it."""
    at = int(body["at"])
    return State(
        device=body["device"],
        kind=kind,
        boot=int(body["boot"]),
        seq=int(body.get("seq", WILL_SEQ)),
        at=at,
        received=min(at, heard.received) if heard.retained else heard.received,
        body={name: value for name, value in body.items() if name not in {"v", "kind", "device", "key"}},
    )


def _check_signature(kind: str, body: Mapping[str, Any], box: Box) -> None:
    """Raises unless the box's identity key signed the checkpoint or the boot record."""
    if not box.identity:
        raise _NotBelievedError(Reason.UNLISTED)
    try:
        identity = public_keys.ed25519(box.identity, box.device)
        if kind == "boot":
            record = base64.b64decode(body["record"], validate=True)
            if verify_boot(record, device=box.device, identity=identity).number != body["number"]:
                raise _NotBelievedError(Reason.KEY)
        else:
            note = body["note"].encode()
            head = merkle.parse_checkpoint(note)
            if (head.device, head.size) != (box.device, body["segments"]):
                raise _NotBelievedError(Reason.KEY)
            merkle.check_origin(note, identity)
    except (LogError, BadDataError, ValueError) as error:  # also what is no base64, or no ASCII
        raise _NotBelievedError(Reason.SIGNATURE) from error
