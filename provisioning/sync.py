"""The evening: a bench and headquarters compare what they have, over any internet, until both have the same.

The laptop asks with the assignments that headquarters lacks, and is always answered with how every box of the batch
stands there. So the first question is empty, what follows is only what was missing, and a sync that was cut off goes on
where it stopped. Taking over an assignment twice is taking it over once.

A question is signed by the bench's key, which the fleet's manifest named; an answer by the fleet's key, which the
laptop pinned, over the question's nonce. The broker between them is believed by neither. What headquarters revoked
comes with the answer: for the boxes of this batch, because no other box is named at this bench. It beat an upload over
HTTPS, which wants a second server and a second way of knowing a laptop; `fleet adopt` takes the same from a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core import signed
from edge_scanner.core.enrolment import documents
from edge_scanner.core.errors import MalformedError
from provisioning import certificates
from provisioning.inventory import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from edge_scanner.core.enrolment.documents import Assignment
    from provisioning.inventory import BoxRow

MAX_BYTES = 60 * 1024
"""The enrolment broker carries 64 KiB; how 500 boxes stand takes 46."""
PAGE_BYTES = 24 * 1024
"""Assignments in one question, about a dozen: so much is sent again when a bad line breaks."""
ENDED = "PRV-03"
"""Headquarters knows no such open batch: it was ended, so its bench names nobody any more."""
FILE_LABEL = "edge-scanner bench sync v1"
"""What the bench's signature on a sync file (`bench sync`, `fleet adopt`) covers first."""
MAX_FILE_BYTES = 8 << 20
"""Of a sync file: five hundred boxes take 1.5 MB."""
_QUESTION = "edge-scanner bench sync question v1"
_ANSWER = "edge-scanner bench sync answer v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a bench says: signed assignments that headquarters lacks, and the ids that were retired here."""

    batch: str
    nonce: str
    assignments: tuple[str, ...]
    retired: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One box that is not free any more; `identity` and `mqtt` are marks of its keys, empty where they are unknown."""

    device_id: str
    state: State
    identity: str
    mqtt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the batch stands at headquarters; or `refused`, a code, and `what`, a sentence."""

    batch: str
    nonce: str
    at_s: int
    boxes: tuple[Standing, ...]
    refused: str
    what: str


def write_question(question: Question, key: Ed25519PrivateKey) -> bytes:
    """Signed by the bench."""
    body = {
        "batch": question.batch,
        "nonce": question.nonce,
        "assignments": list(question.assignments),
        "retired": list(question.retired),
    }
    return signed.sign(body, label=_QUESTION, keys=[key])


def batch_of(document: bytes) -> tuple[str, str]:
    """Batch and nonce that a question claims, before it can be verified; raises MalformedError."""
    (body,) = signed.fields(signed.parse(document, limit=MAX_BYTES), body=dict)
    batch, nonce = signed.fields(body, batch=str, nonce=str)
    return batch, nonce


def read_question(document: bytes, key: Ed25519PublicKey) -> Question:
    """Raises MalformedError, DocumentForgedError."""
    body = signed.verify(document, label=_QUESTION, keys=[key], limit=MAX_BYTES)
    batch, nonce, assignments, retired = signed.fields(body, batch=str, nonce=str, assignments=list, retired=list)
    if not all(isinstance(text, str) for text in (*assignments, *retired)):
        raise MalformedError("assignments and ids must be texts", where="sync question")
    return Question(batch=batch, nonce=nonce, assignments=tuple(assignments), retired=tuple(retired))


def read_assignments(texts: Sequence[object], key: Ed25519PublicKey, batch: str) -> list[Assignment]:
    """What the bench of this batch gave to boxes of this batch, all of it or an error.

    Raises MalformedError, DocumentForgedError, BadDataError for one that no bench of ours would write.
    """
    found = [documents.verify_assignment(str(text).encode(), key) for text in texts]
    for assignment in found:
        certificates.load_certificate(assignment.certificate.encode())
        if assignment.batch != batch:
            raise MalformedError("an assignment of another batch", where=assignment.batch)
    return found


def write_answer(answer: Answer, key: Ed25519PrivateKey) -> bytes:
    """Signed by the fleet."""
    body = {
        "batch": answer.batch,
        "nonce": answer.nonce,
        "at_s": answer.at_s,
        "boxes": [
            {"id": box.device_id, "state": str(box.state), "identity": box.identity, "mqtt": box.mqtt}
            for box in answer.boxes
        ],
        "refused": answer.refused,
        "what": answer.what,
    }
    return signed.sign(body, label=_ANSWER, keys=[key])


def read_answer(document: bytes, key: Ed25519PublicKey) -> Answer:
    """Raises MalformedError, DocumentForgedError."""
    body = signed.verify(document, label=_ANSWER, keys=[key], limit=MAX_BYTES)
    batch, nonce, at_s, boxes, refused, what = signed.fields(
        body, batch=str, nonce=str, at_s=int, boxes=list, refused=str, what=str
    )
    return Answer(
        batch=batch, nonce=nonce, at_s=at_s, boxes=tuple(_standing(box) for box in boxes), refused=refused, what=what
    )


def standings(rows: Sequence[BoxRow]) -> tuple[Standing, ...]:
    """How the boxes of an inventory stand, without the free ones."""
    return tuple(
        Standing(device_id=row.device_id, state=row.state, identity=_mark(row.identity), mqtt=row.mqtt_key[:16])
        for row in rows
        if row.state is not State.FREE
    )


def lacking(ours: Sequence[Standing], theirs: Sequence[Standing]) -> tuple[str, ...]:
    """The boxes installed here that headquarters does not know, or knows without their identity key."""
    known = {box.device_id: box for box in theirs}
    return tuple(
        box.device_id
        for box in ours
        if box.state is State.ENROLLED
        and (
            (there := known.get(box.device_id)) is None
            or (there.state is State.ENROLLED and there.identity == "" != box.identity and there.mqtt == box.mqtt)
        )
    )


def differences(ours: Sequence[Standing], theirs: Sequence[Standing]) -> dict[str, str]:
    """What is left to be explained after a sync, by id: `missing` there, `unknown` here, other `keys`, or `state`."""
    here, there = {box.device_id: box for box in ours}, {box.device_id: box for box in theirs}
    found: dict[str, str] = {}
    for device_id in sorted(here.keys() | there.keys()):
        mine, other = here.get(device_id), there.get(device_id)
        if other is None:
            found[device_id] = "missing"
        elif mine is None:
            found[device_id] = "unknown"
        elif _contradict(other.mqtt, mine.mqtt) or _contradict(other.identity, mine.identity):
            found[device_id] = "keys"
        elif (mine.state is State.ENROLLED) != (other.state is State.ENROLLED):
            found[device_id] = "state"
    return found


def pages(documents: Sequence[bytes]) -> list[tuple[str, ...]]:
    """The documents in groups that fit into one question."""
    grouped: list[list[str]] = []
    room = 0
    for document in documents:
        if len(document) > room:
            grouped.append([])
            room = PAGE_BYTES
        grouped[-1].append(document.decode())
        room -= len(document)
    return [tuple(group) for group in grouped]


def _standing(box: object) -> Standing:
    device_id, state, identity, mqtt = signed.fields(box, id=str, state=str, identity=str, mqtt=str)
    try:
        return Standing(device_id=device_id, state=State(state), identity=identity, mqtt=mqtt)
    except ValueError as error:
        raise MalformedError("a box is in an unknown state", where="sync answer") from error


def _contradict(one: str, other: str) -> bool:
    return "" not in {one, other} and one != other


def _mark(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16] if identity else ""
