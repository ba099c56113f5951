"""COMMAND edge-authority verify: what a bundle proves, what it does not, and since when. No secret, no network.

The checks are core/log/verifier.py's; this file gathers what there is to hold a bundle against (the box's identity key,
the signed recipient set, what the box published earlier) and says the verdict in words. A statement published after the
bundle was made rightly knows of more than is in it, so it is counted and not compared.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.authority import files, translations
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.core.log import bundle, merkle
from edge_scanner.core.log import format as layout
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.log.errors import LogError, RecipientsUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.authority.collect.evidence import Statement
    from edge_scanner.core.log.bundle import Manifest
    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.core.log.verifier import VerifiedSegment
    from edge_scanner.core.model import ClockQuality

_READ_BYTES = 1 << 20
_HOUR_S = 3600
_MAX_LISTED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found; times UTC seconds. `code` is empty when everything holds (core/log/errors.py otherwise).

    `proven_until_s` is the newest published statement that the bundle was held against, None without any: nothing
    before it was cut off or rewritten. `later` statements were made after the bundle, `unvouched` ones carry a key for
    which no boot record is at hand. `missing_hours` are hours asked for of which there is no segment.
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
    power_cuts: int = 0
    open_segment: bool = False
    missing_hours: tuple[int, ...] = ()
    clock: str = ""
    lowest_clock: str = ""
    recipients_checked: bool = False
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


def verify(
    folder: Path,
    box: Box,
    *,
    statements: Sequence[Statement] = (),
    recipients: Sequence[RecipientSet] = (),
    on_segment: Callable[[VerifiedSegment], None] = lambda _segment: None,
) -> Verdict:
    """Check a bundle against everything given; `on_segment` gets each segment that passed. Raises StorageError;
    RecipientsUnknownError when a segment names a set that is not among `recipients`.
    """
    try:
        document = files.read(folder / MANIFEST_NAME, limit=bundle.MAX_MANIFEST_BYTES)
        manifest = bundle.read_manifest(document, device=box.device, identity=box.key)
        return _hold(folder, box, manifest, statements=statements, recipients=recipients, on_segment=on_segment)
    except RecipientsUnknownError:
        raise
    except (LogError, BadDataError) as error:
        code = error.code if isinstance(error, LogError) else "malformed"
        return Verdict(device=box.device, place=box.place, code=code, what=error.what, where=error.where)


def _hold(
    folder: Path,
    box: Box,
    manifest: Manifest,
    *,
    statements: Sequence[Statement],
    recipients: Sequence[RecipientSet],
    on_segment: Callable[[VerifiedSegment], None],
) -> Verdict:
    context = manifest.context
    usable = [one for one in statements if one.at_s is None or one.at_s <= context.made_s]
    boots = [one.boot for one in usable if one.boot]
    vouched = {
        layout.parse_boot(record).boot_id for record in (*boots, *bundle.boot_records(manifest, read_body(folder)))
    }
    notes, unvouched = [], 0
    compared = [one.at_s for one in usable if not one.note and one.at_s is not None]
    for one in usable:
        if one.note and (head := merkle.parse_checkpoint(one.note)).size >= manifest.before.size:
            if head.boot_id in vouched:
                notes.append(one.note)
                compared += [] if one.at_s is None else [one.at_s]
            else:
                unvouched += 1
    links = [one.link for one in usable if one.link is not None]
    segments: list[tuple[int, ClockQuality, bool | None]] = []
    frames = 0
    for segment in bundle.verify_bundle(
        manifest,
        read_body(folder),
        identity=box.key,
        checkpoints=notes,
        boots=boots,
        recipients=recipients,
        links=links,
    ):
        segments.append((segment.header.hour, segment.header.quality, segment.unclean))
        frames += len(segment.frames)
        on_segment(segment)
    hours = {hour for hour, _, _ in segments}
    asked = range(context.from_s // _HOUR_S, -(-context.to_s // _HOUR_S))
    lowest = min((quality for _, quality, _ in segments), default=context.quality)
    return Verdict(
        device=box.device,
        place=box.place,
        request=context.request,
        from_s=context.from_s,
        to_s=context.to_s,
        made_s=context.made_s,
        segments=len(segments),
        frames=frames,
        power_cuts=sum(unclean is True for _, _, unclean in segments),
        open_segment=any(unclean is None for _, _, unclean in segments),
        missing_hours=tuple(hour * _HOUR_S for hour in asked if hour not in hours),
        clock=context.quality.name.lower(),
        lowest_clock=lowest.name.lower(),
        recipients_checked=bool(recipients),
        checkpoints=len(notes),
        links=len(links),
        boots=len(boots),
        later=len(statements) - len(usable),
        unvouched=unvouched,
        proven_until_s=max(compared, default=None),
        audit_entries=context.audit_entries,
        audit_head=context.audit_head,
    )


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

    if not verdict.holds:
        return [say("verify_contradiction", what=verdict.what, where=verdict.where, code=verdict.code)]
    lines = []
    if verdict.proven_until_s is None:
        lines.append(say("verify_nothing_published"))
    else:
        lines.append(say("verify_after", until=translations.local(verdict.proven_until_s)))
    if verdict.missing_hours:
        listed = ", ".join(translations.local(hour_s) for hour_s in verdict.missing_hours[:_MAX_LISTED])
        more = "" if len(verdict.missing_hours) <= _MAX_LISTED else ", …"
        lines.append(say("verify_missing", hours=listed + more))
    if verdict.power_cuts:
        lines.append(say("verify_power_cuts", count=verdict.power_cuts))
    if verdict.open_segment:
        lines.append(say("verify_open"))
    if verdict.lowest_clock == "none":
        lines.append(say("verify_clock_none"))
    elif verdict.lowest_clock == "rtc":
        lines.append(say("verify_clock_rtc"))
    if not verdict.recipients_checked:
        lines.append(say("verify_no_recipients"))
    lines.append(say("verify_person"))
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
