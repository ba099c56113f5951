"""COMMANDS edge-authority request new | approve | show: from a case to a document that two people have signed.

The file travels by e-mail or stick from the health officer to the approver, who reads it in words, signs on a machine
of his own, and sends it back. Its format is core/pull/request.py's.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.authority import files, translations
from edge_scanner.authority.keys import keys
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.pull import policy
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.authority.keys.mandates import Pinned
    from edge_scanner.core.pull.request import Asked

DAY_S = 86400
ZONE = "Asia/Ho_Chi_Minh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the health officer types; times are texts in local time of `zone`, or with an offset."""

    case: str
    legal_basis: str
    purpose: str
    start: str
    end: str
    zone: str = ZONE
    valid_days: int = 7
    sealed_days: int = 0


def parse_time(text: str, zone: str) -> int:
    """UTC seconds of an ISO time; without an offset it is local time of `zone`. Raises BadDataError."""
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp())
    except (ZoneInfoNotFoundError, ValueError, OverflowError) as error:
        raise BadDataError(
            "not a time", where=f"{text} {zone}", hint="write 2026-11-20T08:00 and --zone Asia/Ho_Chi_Minh"
        ) from error


def new(order: Order, devices: Sequence[str], mandate: bytes, pinned: Pinned, *, now_s: float) -> bytes:
    """The drafted request of the mandate's authority; raises BadDataError, RefusedError where boxes would refuse."""
    now = int(now_s)
    request = Request(
        case=order.case,
        legal_basis=order.legal_basis,
        authority=requests.peek_mandate(mandate).authority,
        devices=tuple(devices),
        from_s=parse_time(order.start, order.zone),
        to_s=parse_time(order.end, order.zone),
        purpose=order.purpose,
        not_before_s=now,
        expires_s=now + order.valid_days * DAY_S,
        nonce=secrets.token_bytes(requests.NONCE_BYTES),
        sealed_until_s=now + order.sealed_days * DAY_S if order.sealed_days else 0,
    )
    document = requests.draft(request)
    check(requests.read(document), pinned, mandate, now_s=now_s)
    return document


def check(asked: Asked, pinned: Pinned, *own: bytes, now_s: float) -> None:
    """Raise RefusedError where boxes would refuse the order with the signatures so far and one under `own` mandate."""
    policy.check_signing(asked, own, pinned.roots, policy.DESK, now_s=now_s, revoked=pinned.revoked)


def approve(document: bytes, key: Path, mandate: bytes, passphrase: str, pinned: Pinned, *, now_s: float) -> bytes:
    """The document with one more signature.

    Raises BadDataError; RefusedError for a role that signed already, and where boxes would refuse the order.
    """
    check(requests.read(document), pinned, mandate, now_s=now_s)
    _, private = keys.open_signer(key, passphrase)
    done = requests.approve(document, private, mandate)
    check(requests.read(done), pinned, now_s=now_s)
    return done


def read(path: Path) -> Asked:
    """A request file; raises BadDataError, StorageError."""
    return parse(read_document(path))


def read_document(path: Path) -> bytes:
    """A request file's bytes: who signs reads them once, so that what he saw is what he signs. Raises StorageError."""
    return files.read(path, limit=requests.MAX_DOCUMENT_BYTES).rstrip(b"\n")


def parse(document: bytes) -> Asked:
    """The request in these bytes; raises BadDataError."""
    return requests.read(document)


def state(asked: Asked, pinned: Pinned, *, now_s: float) -> str:
    """The code with which every box would refuse the request now, empty when both signatures and all terms are good.

    A missing signature is what is said last: what no further signature can mend comes before it.
    """
    try:
        check(asked, pinned, now_s=now_s)
        policy.check_order(asked, pinned.roots, policy.DESK, now_s=now_s, revoked=pinned.revoked)
    except RefusedError as refusal:
        return refusal.code
    return ""


def figures(request: Request) -> str:
    """What approver and custodian type to show that they read it: boxes and hours, `21 24` or `1 1:40`."""
    hours, minutes = divmod((request.to_s - request.from_s) // 60, 60)
    return f"{len(request.devices)} {hours}:{minutes:02d}" if minutes else f"{len(request.devices)} {hours}"


def check_figures(request: Request, typed: str) -> None:
    """Raise RefusedError unless the figures typed are those that the program computed from the order."""
    if " ".join(re.split(r"[\s,;]+", typed.strip())) != figures(request):
        raise RefusedError(
            "the figures typed are not those of the order; nothing was signed",
            code="not_confirmed",
            where=typed,
            hint="read the order again: number of boxes, then hours, as 21 24 or 1 1:40",
        )


def sentences(asked: Asked, boxes: Mapping[str, Box], language: str) -> list[tuple[str, str]]:
    """The request as a lawyer reads it: headings and sentences in one language."""
    request = asked.request

    def say(key: str, **values: object) -> str:
        return translations.say(language, key, **values)

    places = [
        f"{translations.device_name(device)} ({boxes[device].place})"
        if device in boxes
        else translations.device_name(device)
        for device in request.devices
    ]
    signers = [
        f"{mandate.name} ({say('role_' + mandate.role.replace('-', '_'))})"
        for mandate in map(requests.peek_mandate, asked.mandates)
    ]
    minutes = (request.to_s - request.from_s) // 60
    sealed = (
        say("request_sealed", until=translations.local(request.sealed_until_s))
        if request.sealed_until_s
        else say("request_open")
    )
    return [
        (say("request_case"), request.case),
        (say("request_authority"), request.authority),
        (say("request_basis"), request.legal_basis),
        (say("request_purpose"), request.purpose),
        (say("request_boxes", count=len(places)), "\n".join(places)),
        (
            say("request_hours"),
            say(
                "request_span",
                start=translations.local(request.from_s),
                end=translations.local(request.to_s),
                hours=minutes // 60,
                minutes=minutes % 60,
            ),
        ),
        (
            say("request_valid"),
            say(
                "request_validity",
                start=translations.local(request.not_before_s),
                end=translations.local(request.expires_s),
            ),
        ),
        (say("request_venue"), sealed),
        (say("request_gets"), say("request_what")),
        (say("request_signed"), "\n".join(signers) or say("request_nobody")),
        (say("request_number"), request.digest.hex()),
    ]


def show(asked: Asked, boxes: Mapping[str, Box], verdict: str | None) -> None:
    """Print the request in both languages; `verdict` is `state`'s code, None for one that is about to be signed."""
    console = terminal.console()
    for language in translations.LANGUAGES:
        table = Table(box=None, show_header=False, pad_edge=False, expand=True)
        table.add_column(style="bold", ratio=1)
        table.add_column(ratio=3)
        for heading, text in sentences(asked, boxes, language):
            table.add_row(heading, text)
        known = translations.catalogue(language)
        sentence = known["request_next" if verdict is None else "request_good"]
        if verdict:
            sentence = f"{translations.refusal(language, verdict)} ({verdict})"
        table.add_row(known["request_state"], Text(sentence, "bold"))
        console.print(Panel(table, title=Text(known["request_title"]), title_align="left"))


def as_json(asked: Asked, verdict: str) -> dict[str, object]:
    """For programs; times in UTC."""
    request = asked.request

    def utc(at_s: int) -> str:
        return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")

    return {
        "request": request.digest.hex(),
        "case": request.case,
        "authority": request.authority,
        "legal_basis": request.legal_basis,
        "purpose": request.purpose,
        "devices": list(request.devices),
        "from": utc(request.from_s),
        "to": utc(request.to_s),
        "not_before": utc(request.not_before_s),
        "expires": utc(request.expires_s),
        "signed_by": [
            {"role": mandate.role, "name": mandate.name} for mandate in map(requests.peek_mandate, asked.mandates)
        ],
        "signatures": verdict,
    }
