"""What a bundle is held against: the check itself, which needs no secret and no network.

The checks are core/log/verifier.py's; this file gathers what there is to hold a bundle against (the box's identity key,
the signed recipient sets, what the box published (witnesses.py), the order, the receiver's clock).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_scanner.authority import files
from edge_scanner.authority.collect import witnesses
from edge_scanner.authority.collect.evidence import NOTHING, Announced
from edge_scanner.authority.collect.verdict import CARD, EXPORTED, PULLED, Verdict
from edge_scanner.core import json_documents
from edge_scanner.core.errors import BadDataError, LogError, StorageError
from edge_scanner.core.log import bundle
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.log.errors import EmptyError, MadeError, RecipientsUnknownError
from edge_scanner.core.messages import AuditAction, topic
from edge_scanner.core.model import MessageKind
from edge_scanner.core.pull import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.authority.collect.evidence import Published
    from edge_scanner.core.log.bundle import Context, Manifest
    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.log.verifier import VerifiedSegment
    from edge_scanner.core.model import ClockQuality
    from edge_scanner.core.pull.request import Request

SLACK_S = 3600
"""How far two honest clocks may be apart."""

_READ_BYTES = 1 << 20
_HOUR_S = 3600
_MINUTE_S = 60


def folders(path: Path) -> list[Path]:
    """The bundle at `path`, or all bundles in its sub-folders; raises StorageError for neither."""
    if (path / MANIFEST_NAME).exists():
        return [path]
    found = sorted(folder for folder in path.glob("*") if (folder / MANIFEST_NAME).exists())
    if not found:
        raise StorageError("no bundle here", where=str(path), hint=f"a bundle is a folder with {MANIFEST_NAME}")
    return found


def device_of(folder: Path) -> str:
    """Which box a bundle says it is of, unverified; raises BadDataError."""
    try:
        document = json_documents.value(files.read(folder / MANIFEST_NAME, limit=bundle.MAX_MANIFEST_BYTES))
        return str(document["body"]["device"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataError("not a manifest", where=str(folder / MANIFEST_NAME)) from error


def box_of(folder: Path, boxes: Mapping[str, Box]) -> Box:
    """The inventory's box for a bundle; raises BadDataError."""
    device = device_of(folder)
    if device not in boxes:
        raise BadDataError(f"box {device} is not in the inventory", where=str(folder))
    return boxes[device]


def read_body(folder: Path) -> Iterator[bytes]:
    """The body in pieces; raises StorageError."""
    try:
        with (folder / BODY_NAME).open("rb") as file:
            yield from iter(lambda: file.read(_READ_BYTES), b"")
    except OSError as error:
        raise StorageError("cannot be read", where=str(folder / BODY_NAME), hint=error.strerror or "") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a bundle is held against beside itself; `now_s` is the receiver's clock, `request` the order if it is known.

    All of it may be absent: the verdict says what was not checked.
    """

    published: Published = NOTHING
    recipients: Sequence[RecipientSet] = ()
    request: Request | None = None
    now_s: float | None = None


ALONE = Question()
"""A bundle by itself."""


def verify(
    folder: Path,
    box: Box,
    question: Question = Question(),
    *,
    on_segment: Callable[[VerifiedSegment], None] = lambda _segment: None,
) -> Verdict:
    """Check a bundle against everything given; `on_segment` gets each segment that passed. Raises StorageError;
    RecipientsUnknownError when a segment names a set that is not among `recipients`.
    """
    try:
        document = files.read(folder / MANIFEST_NAME, limit=bundle.MAX_MANIFEST_BYTES)
        manifest = bundle.read_manifest(document, device=box.device, identity=box.key)
        _check_made(manifest.context, question)
        return _hold(folder, box, manifest, question, on_segment)
    except RecipientsUnknownError:
        raise
    except (LogError, BadDataError) as error:
        code = error.code if isinstance(error, LogError) else "malformed"
        return Verdict(device=box.device, place=box.place, code=code, what=error.what, where=error.where)


def _check_made(context: Context, question: Question) -> None:
    """Hold the bundle's own time, which is the box's word, against what others say; raises MadeError, EmptyError."""
    if context.made_s < context.to_s:
        raise MadeError("made before the hours were over", where="manifest")
    if question.now_s is not None and context.made_s > question.now_s + SLACK_S:
        raise MadeError("made later than now", where="manifest")
    if question.request is not None and context.request and context.made_s < question.request.not_before_s - SLACK_S:
        raise MadeError("made before the order that it answers", where="manifest")


def _hold(
    folder: Path,
    box: Box,
    manifest: Manifest,
    question: Question,
    on_segment: Callable[[VerifiedSegment], None],
) -> Verdict:
    context = manifest.context
    held = witnesses.sort(
        question.published,
        witnesses.Extent(
            device=box.device,
            identity=box.key,
            made_s=context.made_s,
            first=manifest.before.size,
            size=manifest.before.size + len(manifest.leaves),
        ),
        bundle.boot_records(manifest, read_body(folder)),
    )
    segments = []
    for segment in bundle.verify_bundle(
        manifest,
        read_body(folder),
        identity=box.key,
        checkpoints=held.notes,
        boots=held.boots,
        recipients=question.recipients,
    ):
        segments.append(_Seen(segment.header.hour, segment.header.quality, segment.unclean, len(segment.frames)))
        held.look(segment)
        on_segment(segment)
    return Verdict(
        device=box.device,
        place=box.place,
        request=context.request,
        source=_source(context, question.published),
        from_s=context.from_s,
        to_s=context.to_s,
        made_s=context.made_s,
        recipients_checked=bool(question.recipients),
        checkpoints=len(held.notes),
        links=held.agreed,
        boots=len(held.boots),
        later=held.later,
        unvouched=held.unvouched,
        findings=tuple(dict.fromkeys([*held.findings, *_missing(context, question.published)])),
        proven_until_s=min(max(held.compared_s), context.made_s) if held.compared_s else None,
        audit_entries=context.audit_entries,
        audit_head=context.audit_head,
        **_coverage(context, segments),
    )


class _Seen(NamedTuple):
    """What of a segment that passed goes into the verdict; `hour` since 1970, `unclean` None for an open segment."""

    hour: int
    quality: ClockQuality
    unclean: bool | None
    frames: int


def _coverage(context: Context, segments: Sequence[_Seen]) -> dict[str, Any]:
    """How much of the hours asked for there is, and by which clock: fields of a verdict."""
    empty = {} if segments else {"code": EmptyError.code, "what": "there is no record in it", "where": "bundle"}
    asked = range(context.from_s // _HOUR_S, -(-context.to_s // _HOUR_S))
    hours = {segment.hour for segment in segments}
    return {
        **empty,
        "segments": len(segments),
        "frames": sum(segment.frames for segment in segments),
        "minutes_asked": len(minutes_of(context.from_s, context.to_s)),
        "minutes_at_most": sum(
            min(segment.frames, len(minutes_of(max(context.from_s, start_s), min(context.to_s, start_s + _HOUR_S))))
            for segment in segments
            for start_s in [segment.hour * _HOUR_S]
        ),
        "power_cuts": sum(segment.unclean is True for segment in segments),
        "open_segment": any(segment.unclean is None for segment in segments),
        "missing_hours": tuple(hour * _HOUR_S for hour in asked if hour not in hours),
        "clock": context.quality.name.lower(),
        "lowest_clock": min((segment.quality for segment in segments), default=context.quality).name.lower(),
    }


def minutes_of(from_s: float, to_s: float) -> range:
    """The minutes that begin in [from_s, to_s), as a box stamps them, UTC seconds."""
    return range(-(-int(from_s) // _MINUTE_S) * _MINUTE_S, int(to_s), _MINUTE_S)


def _source(context: Context, published: Published) -> str:
    """How the bundle left the box: an answer, an export that its published trail names, or neither.

    The head alone does not say so: a card that is read after an export still has that export's entry as its last.
    """
    if context.request:
        return PULLED
    name = answer.export_name(context.device, context.from_s, context.to_s, context.made_s).hex()
    return EXPORTED if _announced(published, AuditAction.EXPORT, name, context.audit_head) else CARD


def _missing(context: Context, published: Published) -> Iterator[tuple[str, str]]:
    """A finding where the box's messages go on after an answer and none of them announces its order.

    Whoever has the box's card can sign a bundle that claims to be an answer; a box announces each before it is made.
    """
    heard_s = max((one.at_s for one in published.statements if one.at_s is not None), default=0)
    told = _announced(published, AuditAction.REQUEST, context.request, context.audit_head)
    if context.request and heard_s > context.made_s + SLACK_S and not told:
        yield witnesses.UNANNOUNCED, topic(context.device, MessageKind.AUDIT)


def _announced(published: Published, action: AuditAction, request: str, head: str) -> bool:
    return Announced(action, request, head) in (statement.entry for statement in published.statements)
