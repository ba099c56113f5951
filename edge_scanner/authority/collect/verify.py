"""COMMAND edge-authority verify: what a bundle proves, what it does not, and since when. No secret, no network.

The checks are core/log/verifier.py's; this file gathers what there is to hold a bundle against (the box's identity key,
the signed recipient sets, what the box published (witnesses.py), the order, the receiver's clock) and says the verdict
in words.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.authority import files, translations
from edge_scanner.authority.collect import witnesses
from edge_scanner.authority.collect.evidence import NOTHING
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.core.log import bundle
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.log.errors import EmptyError, LogError, MadeError, RecipientsUnknownError

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

PULLED, EXPORTED, CARD = "pull", "export", "card"
"""How a bundle left its box: as an answer; on a stick, with an entry in the box's published trail; or without."""

SLACK_S = 3600
"""How far two honest clocks may be apart."""

_READ_BYTES = 1 << 20
_HOUR_S = 3600
_MINUTE_S = 60
_MAX_LISTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found; times UTC seconds. `code` is empty when everything holds (core/log/errors.py otherwise).

    `proven_until_s` is the newest published statement that the bundle was held against, None without any: nothing
    before it was cut off or rewritten. `later` statements were made after the bundle, `unvouched` ones carry a key for
    which no boot record is at hand. `missing_hours` are hours asked for of which there is no segment. Of the
    `minutes_asked`, `minutes_at_most` can have a record: frames are sealed, so no more is known before they are opened.
    `source` is PULLED, EXPORTED or CARD. `findings` prove nothing by themselves: pairs of a kind and a topic.
    """

    device: str
    place: str
    code: str = ""
    what: str = ""
    where: str = ""
    request: str = ""
    from_s: int = 0
    to_s: int = 0
    made_s: int = 0
    segments: int = 0
    frames: int = 0
    minutes_asked: int = 0
    minutes_at_most: int = 0
    power_cuts: int = 0
    open_segment: bool = False
    missing_hours: tuple[int, ...] = ()
    clock: str = ""
    lowest_clock: str = ""
    recipients_checked: bool = False
    source: str = PULLED
    findings: tuple[tuple[str, str], ...] = ()
    checkpoints: int = 0
    links: int = 0
    boots: int = 0
    later: int = 0
    unvouched: int = 0
    proven_until_s: int | None = None
    audit_entries: int = 0
    audit_head: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts anything."""
        return not self.code


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
        document = json.loads(files.read(folder / MANIFEST_NAME, limit=bundle.MAX_MANIFEST_BYTES))
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
    segments: list[tuple[int, ClockQuality, bool | None, int]] = []
    for segment in bundle.verify_bundle(
        manifest,
        read_body(folder),
        identity=box.key,
        checkpoints=held.notes,
        boots=held.boots,
        recipients=question.recipients,
    ):
        segments.append((segment.header.hour, segment.header.quality, segment.unclean, len(segment.frames)))
        held.look(segment)
        on_segment(segment)
    hours = {hour for hour, _, _, _ in segments}
    asked = range(context.from_s // _HOUR_S, -(-context.to_s // _HOUR_S))
    empty = {} if segments else {"code": EmptyError.code, "what": "there is no record in it", "where": "bundle"}
    return Verdict(
        device=box.device,
        place=box.place,
        request=context.request,
        source=_source(context, question.published),
        from_s=context.from_s,
        to_s=context.to_s,
        made_s=context.made_s,
        segments=len(segments),
        frames=sum(frames for _, _, _, frames in segments),
        minutes_asked=len(minutes_of(context.from_s, context.to_s)),
        minutes_at_most=sum(
            min(frames, len(minutes_of(max(context.from_s, hour * _HOUR_S), min(context.to_s, (hour + 1) * _HOUR_S))))
            for hour, _, _, frames in segments
        ),
        power_cuts=sum(unclean is True for _, _, unclean, _ in segments),
        open_segment=any(unclean is None for _, _, unclean, _ in segments),
        missing_hours=tuple(hour * _HOUR_S for hour in asked if hour not in hours),
        clock=context.quality.name.lower(),
        lowest_clock=min((quality for _, quality, _, _ in segments), default=context.quality).name.lower(),
        recipients_checked=bool(question.recipients),
        checkpoints=len(held.notes),
        links=held.agreed,
        boots=len(held.boots),
        later=held.later,
        unvouched=held.unvouched,
        findings=tuple(dict.fromkeys(held.findings)),
        proven_until_s=max(held.compared_s, default=None),
        audit_entries=context.audit_entries,
        audit_head=context.audit_head,
        **empty,
    )


def minutes_of(from_s: float, to_s: float) -> range:
    """The minutes that begin in [from_s, to_s), as a box stamps them, UTC seconds."""
    return range(-(-int(from_s) // _MINUTE_S) * _MINUTE_S, int(to_s), _MINUTE_S)


def _source(context: Context, published: Published) -> str:
    """How the bundle left the box: an answer, an export that its published trail names, or neither."""
    if context.request:
        return PULLED
    heads = {statement.export for statement in published.statements if statement.export}
    return EXPORTED if context.audit_head in heads else CARD


def from_values(values: Mapping[str, Any]) -> Verdict:
    """A verdict out of JSON; raises TypeError, ValueError."""
    lists = {
        "missing_hours": tuple(values["missing_hours"]),
        "findings": tuple((kind, source) for kind, source in values["findings"]),
    }
    return Verdict(**{**values, **lists})


def as_json(verdict: Verdict) -> dict[str, object]:
    """For programs."""
    return {"holds": verdict.holds, **asdict(verdict)}


def proven(verdict: Verdict, language: str) -> list[str]:
    """What the bundle proves, sentence by sentence."""

    def say(key: str, **values: object) -> str:
        return translations.say(language, key, **values)

    if not verdict.holds:
        return []
    lines = [
        say("verify_box", device=translations.device_name(verdict.device)),
        say("verify_segments", segments=verdict.segments, frames=verdict.frames),
        say("verify_order"),
    ]
    if verdict.recipients_checked:
        lines.append(say("verify_recipients"))
    if verdict.proven_until_s is not None:
        lines.append(
            say(
                "verify_published",
                checkpoints=verdict.checkpoints,
                links=verdict.links,
                boots=verdict.boots,
                until=translations.local(verdict.proven_until_s),
            )
        )
    return lines


def not_proven(verdict: Verdict, language: str) -> list[str]:
    """What it does not prove, sentence by sentence."""

    def say(key: str, **values: object) -> str:
        return translations.say(language, key, **values)

    if verdict.code == EmptyError.code:
        return [say("verify_empty"), say(f"verify_source_{verdict.source}")]
    if not verdict.holds:
        return [say("verify_contradiction", what=verdict.what, where=verdict.where, code=verdict.code)]
    lines = _tail(verdict, say)
    lines += [say(f"finding_{kind}", source=source) for kind, source in verdict.findings]
    lines += _gaps(verdict, say)
    if verdict.lowest_clock in ("none", "rtc"):
        lines.append(say(f"verify_clock_{verdict.lowest_clock}"))
    if not verdict.recipients_checked:
        lines.append(say("verify_no_recipients"))
    if verdict.source != PULLED:
        lines.append(say(f"verify_source_{verdict.source}"))
    lines.append(say("verify_person"))
    return lines


def _tail(verdict: Verdict, say: Callable[..., str]) -> list[str]:
    """How far published statements reach; "nothing later" only where there is nothing."""
    if verdict.proven_until_s is None:
        lines = [say("verify_nothing_published")]
    else:
        lines = [say("verify_after", until=translations.local(verdict.proven_until_s))]
    if verdict.later:
        lines.append(say("verify_later", count=verdict.later))
    elif verdict.proven_until_s is not None:
        lines.append(say("verify_nothing_later"))
    return lines


def _gaps(verdict: Verdict, say: Callable[..., str]) -> list[str]:
    """Hours and minutes without a record."""
    lines = []
    if verdict.missing_hours:
        listed = ", ".join(translations.local(hour_s) for hour_s in verdict.missing_hours[:_MAX_LISTED])
        more = "" if len(verdict.missing_hours) <= _MAX_LISTED else ", …"
        lines.append(say("verify_missing", hours=listed + more))
    if (absent := verdict.minutes_asked - verdict.minutes_at_most) > 0:
        lines.append(say("verify_minutes", absent=absent, asked=verdict.minutes_asked))
    if verdict.power_cuts:
        lines.append(say("verify_power_cuts", count=verdict.power_cuts))
    if verdict.open_segment:
        lines.append(say("verify_open"))
    return lines


def show(verdict: Verdict, language: str) -> None:
    """The one-page verdict."""
    say = translations.catalogue(language)
    good, unproven, bad = Text("✔ ", "bold green"), Text("? ", "bold yellow"), Text("✘ ", "bold red")
    lines = [
        Text.assemble((translations.device_name(verdict.device), "bold"), "  ", verdict.place),
        Text(),
    ]
    if verdict.holds:
        hours = translations.say(
            language, "verify_hours", start=translations.local(verdict.from_s), end=translations.local(verdict.to_s)
        )
        lines += [
            Text(hours),
            Text(translations.say(language, "verify_made", at=translations.local_second(verdict.made_s))),
        ]
        lines += [Text(), Text(say["verify_proven"], style="bold")]
        lines += [good + Text(line) for line in proven(verdict, language)]
        lines += [Text(), Text(say["verify_not_proven"], style="bold")]
    mark = unproven if verdict.holds else bad
    lines += [mark + Text(line) for line in not_proven(verdict, language)]
    title = say["verify_holds"] if verdict.holds else say["verify_fails"]
    style = "green" if verdict.holds else "red"
    terminal.console().print(
        Panel(Group(*lines), title=Text(title), title_align="left", border_style=style, padding=(1, 2))
    )
