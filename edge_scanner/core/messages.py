"""What the box says to the central broker: every noun that may leave it -> `Message`; health.py has its own.

Promises: canonical JSON (sorted keys, no spaces, UTF-8) with `v`, at most `MAX_PAYLOAD_BYTES`, on the topic
`edge-scanner/v1/d/<device>/up/<kind>`, with a `key` that a repeat carries unchanged. Whatever a reader needs is in the
payload and nothing only in an MQTT 5 property, so that a 3.1.1 broker loses nothing but convenience. A counts message
is made from a `Report` only: a raw `Tally` does not type-check here.

Specification: docs/mqtt.md, with one JSON Schema per kind and an AsyncAPI document in `edge_scanner/schemas/`.
Plain JSON beat CBOR (a counts message is 271 against 200 bytes) because an operator can read it, and beat Sparkplug
because that prescribes its own topics and QoS 0 for data.

Times in payloads are whole UTC seconds; fields are named as the columns and settings are.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_scanner.core.model import Message, MessageKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.core.model import BootRecord, ClockQuality, Extension, Link, Report

VERSION = 1
"""A reader of version 1 accepts every payload with `v` 1 and passes over fields that it does not know."""
MAX_PAYLOAD_BYTES = 8 * 1024
"""Ten times the largest message we make, and an eighth of the smallest packet limit among brokers (64 KiB)."""
COUNTS_LIFE_S = 14 * 86400
"""Counts outlive an outage as long as the log that they summarise is kept by default."""


class AuditAction(StrEnum):
    """What happened to an authority's request; an export is sealed hours that left on a stick, without one.

    `RECIPIENTS` and `REVOCATION`: who can open the log, or who may order it, was changed.
    """

    REQUEST = "request"
    REFUSAL = "refusal"
    ANSWER = "answer"
    EXPORT = "export"
    RECIPIENTS = "recipients"
    REVOCATION = "revocation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Where a message comes from: the box, the venue it stands in, and the process run."""

    device: str
    site: str
    boot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a box says about itself whenever it connects.

    `settings_digest` and `key_digest` are SHA-256 of the settings in force and of the raw identity key, None while that
    key is lost; `audit_head` is the last link of the audit trail, None while it is empty. `certificate_expires_s` is
    None without TLS. `recipients_version` is that of the recipient set in force, `revocations_version` that of the list
    of revoked mandates, None without one.
    """

    software: str
    clock: ClockQuality
    settings_digest: bytes
    key_digest: bytes | None
    certificate_expires_s: float | None = None
    audit_head: bytes | None = None
    recipients_version: int | None = None
    revocations_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """People per device at a venue, with the range that a counted hour allows; `empty` devices are always here.

    People = (devices - `empty`) * `people_per_device`; `empty_error` is half a 95 % interval.
    """

    people_per_device: float
    low: float
    high: float
    measured_s: float
    empty: float = 0.0
    empty_error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Link `number` (from 1) of the audit trail: `head` is its 32-byte hash, `request` the SHA-256 of the request.

    `code` is the reason of a refusal, else empty; `from_s` and `to_s` bound the hours that were asked for. Where the
    recipient set or the revoked mandates changed, `request` is the SHA-256 of that document's body, `case` its version.
    """

    number: int
    action: AuditAction
    authority: str
    case: str
    request: bytes
    code: str = ""
    from_s: float
    to_s: float
    head: bytes


KINDS = (
    MessageKind.STATUS, MessageKind.COUNTS, MessageKind.HEALTH, MessageKind.CHECKPOINT, MessageKind.AUDIT,
    MessageKind.BOOT,
)  # fmt: skip
"""What a box speaks about, each on a topic of its own."""


def topic(device: str, kind: MessageKind) -> str:
    """The one topic on which `device` speaks about `kind`."""
    return f"edge-scanner/v1/d/{device}/up/{kind}"


def counts(
    report: Report,
    *,
    sender: Sender,
    link: Link | None,
    clock: ClockQuality,
    created_s: float,
    calibration: Calibration | None = None,
) -> Message:
    """One noised bin. `link` says where the sealed log stood, None before the first frame."""
    body: dict[str, object] = {
        "ledger": report.ledger,
        "bin_start": report.bin_start_s,
        "bin_s": report.bin_s,
        "minutes_covered": report.minutes_covered,
        "epsilon": report.epsilon,
        "scale": report.scale,
        "parts": report.parts,
        "figures": dict(report.figures),
        "clock": clock.name.lower(),
    }
    if report.tracing_scale is not None:
        body["tracing_scale"] = report.tracing_scale
    if link is not None:
        body["link"] = {"segment": link.seq, "link": link.digest.hex()}
    if calibration is not None:
        body["calibration"] = {
            "people_per_device": calibration.people_per_device,
            "low": calibration.low,
            "high": calibration.high,
            "measured": int(calibration.measured_s),
            "empty": calibration.empty,
            "empty_error": calibration.empty_error,
        }
    return message(
        MessageKind.COUNTS,
        sender,
        body,
        mark=f"{report.ledger}/{report.bin_start_s}",
        created_s=created_s,
        expires_s=created_s + COUNTS_LIFE_S,
    )


def status(birth: Birth, *, sender: Sender, seq: int, created_s: float) -> Message:
    """The birth: retained, sent on every connection before anything else; `seq` counts the connections of this run."""
    body: dict[str, object] = {
        "state": "online",
        "seq": seq,
        "software": birth.software,
        "clock": birth.clock.name.lower(),
        "settings_digest": birth.settings_digest.hex(),
        "key_digest": None if birth.key_digest is None else birth.key_digest.hex(),
        "certificate_expires": second(birth.certificate_expires_s),
        "audit_head": None if birth.audit_head is None else birth.audit_head.hex(),
        "recipients_version": birth.recipients_version,
        "revocations_version": birth.revocations_version,
    }
    return message(
        MessageKind.STATUS, sender, body, mark=f"{sender.boot}/{seq}", retain=True, created_s=created_s, expires_s=None
    )


def will(*, sender: Sender, created_s: float) -> Message:
    """What the broker says in our name once we are gone; `at` is when the run began, as nobody knows when it ends."""
    return message(
        MessageKind.STATUS,
        sender,
        {"state": "offline"},
        mark=f"{sender.boot}/will",
        retain=True,
        created_s=created_s,
        expires_s=None,
    )


def checkpoint(
    note: str, *, sender: Sender, segments: int, created_s: float, extends: Extension | None = None
) -> Message:
    """A signed statement (chain.py) about the first `segments` finished segments; retained, so the newest can be read.

    The note travels as it was signed, line ends included. A run may repeat its predecessor's statement with another
    time, so the key names the run. `extends` proves that it extends the statement before it.
    """
    body: dict[str, object] = {"segments": segments, "note": note}
    if extends is not None:
        body["extends"] = {"size": extends.size, "proof": [b64encode(one).decode() for one in extends.proof]}
    return message(
        MessageKind.CHECKPOINT,
        sender,
        body,
        mark=f"{sender.boot}/{segments}",
        retain=True,
        created_s=created_s,
        expires_s=None,
    )


def audit(entry: AuditEntry, *, sender: Sender, created_s: float) -> Message:
    """One link of the audit trail; never expires and never makes room for anything else."""
    body: dict[str, object] = {
        "number": entry.number,
        "action": entry.action,
        "authority": entry.authority,
        "case": entry.case,
        "request": entry.request.hex(),
        "code": entry.code,
        "from": int(entry.from_s),
        "to": int(entry.to_s),
        "head": entry.head.hex(),
    }
    return message(MessageKind.AUDIT, sender, body, mark=str(entry.number), created_s=created_s, expires_s=None)


def boot(record: BootRecord, *, sender: Sender, created_s: float) -> Message:
    """The identity key vouches for this run's signing key; the record is base64 of what segment.py specifies."""
    body: dict[str, object] = {"number": record.number, "record": b64encode(record.record).decode()}
    return message(MessageKind.BOOT, sender, body, mark=str(record.number), created_s=created_s, expires_s=None)


def message(
    kind: MessageKind,
    sender: Sender,
    body: Mapping[str, object],
    *,
    mark: str,
    qos: int = 1,
    retain: bool = False,
    created_s: float,
    expires_s: float | None,
) -> Message:
    """`body` in the common envelope; `mark` tells it from every other message of the device and kind."""
    key = f"{sender.device}/{kind}/{mark}"
    envelope: dict[str, object] = {
        "v": VERSION,
        "kind": kind,
        "device": sender.device,
        "site": sender.site,
        "boot": sender.boot,
        "key": key,
        "at": int(created_s),
        **body,
    }
    if expires_s is not None:
        envelope["expires"] = int(expires_s)
    text = json.dumps(envelope, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    payload = text.encode()
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a {kind} message of {len(payload)} bytes exceeds {MAX_PAYLOAD_BYTES}")
    return Message(
        kind=kind,
        topic=topic(sender.device, kind),
        payload=payload,
        key=key,
        qos=qos,
        retain=retain,
        created_s=created_s,
        expires_s=expires_s,
    )


def second(time_s: float | None) -> int | None:
    """A moment as a payload has it."""
    return None if time_s is None else int(time_s)
