"""One box's log as its published statements show it: the head before, a new statement, and what does not fit. Pure.

A statement is signed by the box (judge.py has checked that), so two that contradict each other prove that the log was
rolled back, forked or run twice. What travels around it is not signed: the number of the run and the time in the
envelope, the proof that joins two heads, a status, a count's link. It accuses nobody. Where it contradicts what was
signed, the alarm is a `doubt`, which the broker's operator may have to explain as well as the box's owner.
`proven` heads are joined to the first contact by consistency proofs (RFC 9162) without a hole; a hole is an alarm of
its own and proves nothing.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_scanner.central.store.model import Alarm, Head
from edge_scanner.core.log import merkle
from edge_scanner.core.log.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.central.store.model import Release, State
    from edge_scanner.core.log.format import BootStatement

FORK, ROLLED_BACK, GAP, CLONE, CLOCK, LINK = "fork", "rolled-back", "gap", "clone", "clock", "link"
DOUBT = "doubt"
AHEAD_S = 3600
"""A box's time this far ahead of ours, or behind its own earlier word, is a clock that nobody should believe."""
_SENTENCES = {
    FORK: "two tree heads that cannot both be true: the log was rewritten, or two boxes run with one identity",
    ROLLED_BACK: "a later statement knows less of the log: it was rolled back or cut",
    GAP: "statements are missing between two that came: what lies between is not proven",
    CLONE: "two boot records of one number: a copied card",
    DOUBT: "an unsigned word contradicts what the box signed: a copied card, a log that was rewritten, or a message "
    "that was changed or invented at the broker",
    CLOCK: "its clock contradicts ours or its own earlier word",
    LINK: "a count message saw a later segment than any checkpoint",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A signed checkpoint as it came; `old_size` and `proof` are the box's proof that it extends an earlier one."""

    device: str
    boot: int
    at: int
    received: int
    size: int
    root: bytes
    boot_id: bytes
    note: bytes
    payload: bytes
    old_size: int | None = None
    proof: tuple[bytes, ...] = ()


def checkpoint(head: Head | None, seen: Seen, claims: Mapping[int, bytes]) -> tuple[Head | None, list[Alarm]]:
    """The head after a checkpoint, and what is wrong with it; `claims` are signed roots that are known by size."""
    alarms = _clock(head, seen, seen.at)
    known = claims.get(seen.size, seen.root)
    if known != seen.root or (head is not None and head.size == seen.size and head.root != seen.root):
        return head, [*alarms, forked(seen, head)]
    if head is None:
        return replace(_head(seen, proven=seen.size <= 1), boot_id=b""), alarms
    if seen.size < head.size:
        return head, [*alarms, *_smaller(head, seen)]
    if seen.size == head.size:
        return (_further(head, seen, proven=head.proven) if seen.boot >= head.boot else head), alarms
    new, found = _larger(head, seen)
    return new, [*alarms, *found]


def _larger(head: Head, seen: Seen) -> tuple[Head, list[Alarm]]:
    """A checkpoint about more segments: with a proof from our head it extends it, or forks it."""
    alarms = []
    if seen.boot < head.boot and seen.at > head.at:
        alarms.append(_alarm(DOUBT, seen, f"{seen.boot}/{head.boot}", head))
    if seen.old_size != head.size:
        alarms.append(_alarm(GAP, seen, f"{head.size}-{'' if seen.old_size is None else seen.old_size}", head))
        return _further(head, seen, proven=False), alarms
    try:
        _extends(head, seen)
    except ProofError:
        return head, [*alarms, _alarm(DOUBT, seen, f"{seen.size}/{seen.root.hex()[:16]}", head)]
    return _further(head, seen, proven=head.proven), alarms


def boot(head: Head | None, record: BootStatement, seen: Seen, runs: Mapping[int, bytes]) -> tuple[Head, list[Alarm]]:
    """The head after a boot record, which states the tree that its run began with; `seen` is its message.

    `runs` are the signed ids of runs that are known by number.
    """
    alarms = _clock(head, seen, record.utc_ms // 1000)
    if runs.get(record.number, record.boot_id) != record.boot_id:
        alarms.append(_alarm(CLONE, seen, f"boot/{record.number}", head))
    if head is None:
        return _head(seen, proven=seen.size == 0), alarms
    if record.number <= head.boot:
        return head, alarms
    if record.number > head.boot + 1:
        alarms.append(_alarm(GAP, seen, f"boot/{head.boot}-{record.number}", head))
    if seen.size < head.size:
        alarms.append(_alarm(ROLLED_BACK, seen, f"{record.number}/{seen.size}", head))
    elif seen.size == head.size and seen.root != head.root:
        alarms.append(forked(seen, head))
    return replace(head, boot=record.number, boot_id=record.boot_id, at=max(head.at, seen.at)), alarms


def run(head: Head | None, status: State, payload: bytes) -> list[Alarm]:
    """What a status says by the number of its run: an older run that speaks after a newer one may be a copy's."""
    if head is None or status.boot >= head.boot or status.at <= head.at:
        return []
    return [_raise(DOUBT, f"{status.boot}/{head.boot}", head, status, payload)]


def link(head: Head | None, release: Release) -> list[Alarm]:
    """What a count message's link says; it is not signed, so it accuses nobody."""
    if head is None or release.segment is None or release.segment <= head.size + 1:
        return []
    return [_raise(LINK, str(release.segment), head, release, release.payload)]


def forked(seen: Seen, head: Head | None) -> Alarm:
    """Another root at a size that is known from elsewhere."""
    return _alarm(FORK, seen, f"{seen.size}/{seen.root.hex()[:16]}", head)


def _smaller(head: Head, seen: Seen) -> list[Alarm]:
    """An old statement that comes late, or again; which run and when is the envelope's word.

    A log that was rolled back is found by what its next run signs, the boot record (`boot`).
    """
    late = seen.at <= head.at and seen.boot <= head.boot
    return [] if late else [_alarm(DOUBT, seen, f"{seen.boot}/{seen.size}", head)]


def _extends(head: Head, seen: Seen) -> None:
    """Raise ProofError unless the box's proof joins the head to the new checkpoint; everything extends nothing."""
    if head.size > 0:
        merkle.check_consistency(head.size, head.root, seen.size, seen.root, seen.proof)


def _clock(head: Head | None, seen: Seen, at: int) -> list[Alarm]:
    """A time ahead of ours, or far behind what the box itself said in an earlier run."""
    if at > seen.received + AHEAD_S:
        return [_alarm(CLOCK, seen, f"ahead/{seen.received // 86_400}", head)]
    if head is not None and seen.boot > head.boot and at < head.at - AHEAD_S:
        return [_alarm(CLOCK, seen, f"back/{seen.boot}", head)]
    return []


def _head(seen: Seen, *, proven: bool) -> Head:
    return Head(
        device=seen.device,
        size=seen.size,
        root=seen.root,
        boot=seen.boot,
        boot_id=seen.boot_id,
        note=seen.note,
        at=seen.at,
        received=seen.received,
        proven=proven,
    )


def _further(head: Head, seen: Seen, *, proven: bool) -> Head:
    """A larger head; which run is the newest is said by boot records only."""
    return replace(_head(seen, proven=proven), boot=head.boot, boot_id=head.boot_id)


def _alarm(kind: str, seen: Seen, mark: str, head: Head | None) -> Alarm:
    return _raise(kind, mark, head, seen, seen.payload)


def _raise(kind: str, mark: str, head: Head | None, cause: Seen | State | Release, payload: bytes) -> Alarm:
    """An alarm with the message that caused it and the head that it does not fit."""
    evidence: dict[str, object] = {"message": base64.b64encode(payload).decode()}
    if head is not None:
        evidence["head"] = {
            "size": head.size,
            "root": head.root.hex(),
            "boot": head.boot,
            "note": base64.b64encode(head.note).decode(),
        }
    return Alarm(
        device=cause.device, kind=kind, mark=mark, raised=cause.received, what=_SENTENCES[kind], evidence=evidence
    )
