"""COMMANDS edge-authority verify | open | purge: files in, files out; the work is elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from edge_scanner import terminal
from edge_scanner.authority import files, translations
from edge_scanner.authority.collect import boxes as inventory
from edge_scanner.authority.collect import evidence
from edge_scanner.authority.collect import request as requesting
from edge_scanner.authority.collect import verdict as sentences
from edge_scanner.authority.collect import verify as verifying
from edge_scanner.authority.commands.options import passphrase
from edge_scanner.authority.keys import keys, mandates
from edge_scanner.authority.keys import recipients as recipient_sets
from edge_scanner.authority.keys.weeks import week_of
from edge_scanner.authority.open import opened, unseal
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.authority.collect.evidence import Published
    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.core.log.verifier import VerifiedSegment
    from edge_scanner.core.pull.request import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What releasing and opening both need: the signed request, the root, the inventory, the keys and their secret.

    `not_pulled` is the reason for opening what no box answered with, else empty.
    """

    request: Path
    root: Path
    boxes: Path
    keys: Path
    passphrase_file: Path | None
    checkpoints: Path | None = None
    not_pulled: str = ""


def run_verify(
    folder: Path,
    boxes: Path,
    checkpoints: Path | None,
    recipients: Sequence[Path],
    roots: tuple[Path, Sequence[Path]] | None,
    *,
    lang: str,
    as_json: bool,
) -> int:
    """Print the verdict of each bundle; 0, or 65 when one does not hold. Raises EdgeScannerError."""
    known = inventory.read(boxes)
    pinned = recipient_sets.read_roots(*roots) if roots else None
    sets = [recipient_sets.read(path, pinned) for path in recipients if pinned]
    verdicts = []
    for each in verifying.folders(folder):
        box = verifying.box_of(each, known)
        with progress("verifying") as step:
            verdicts.append(
                verifying.verify(
                    each,
                    box,
                    verifying.Question(
                        published=published(checkpoints, box.device), recipients=sets, now_s=time.time()
                    ),
                    on_segment=lambda _segment, step=step: step(),  # type: ignore[misc]
                )
            )
    holds = all(verdict.holds for verdict in verdicts)
    if as_json:
        terminal.say_json({"holds": holds, "boxes": [sentences.as_json(verdict) for verdict in verdicts]})
    else:
        for verdict in verdicts:
            sentences.show(verdict, lang)
    return 0 if holds else BadDataError.exit_code


def run_open(bundles: Sequence[Path], desk: Desk, releases: Sequence[Path], out: Path, *, days: int) -> None:
    """Open the minutes asked for into one file. Raises EdgeScannerError; nothing is left behind then."""
    asked, known = requesting.read(desk.request), inventory.read(desk.boxes)
    unseal.check_order(asked, mandates.pinned(desk.root))
    found = verified(bundles, known, asked, desk)
    released = unseal.merge((unseal.read_release(path) for path in releases), asked.request)
    wanted = unseal.key_ids(segment for _, segments in found.values() for segment in segments)
    private = keys.open_openers(desk.keys, passphrase(desk.passphrase_file), wanted)
    check_keys(desk, found, private)
    minutes = encounters = 0
    with (
        progress("opening", sum(len(segments) for _, segments in found.values())) as step,
        opened.create(out, request=asked.request, now_s=time.time(), days=days) as target,
    ):
        for device, (verdict, segments) in found.items():
            shares = unseal.shares_of(device, segments, private, asked.request)
            for place, theirs in released.items():
                shares.setdefault(place, {}).update(theirs)
            box_minutes, box_encounters = unseal.open_segments(device, segments, shares, asked.request, step)
            target.add(verdict, box_minutes, box_encounters)
            minutes, encounters = minutes + len(box_minutes), encounters + len(box_encounters)
        expires_s = target.expires_s
    terminal.console().print(
        f"{out}: {counted(minutes, 'minute')} of {counted(len(found), 'box')}, {counted(encounters, 'encounter')}; "
        f"to be gone by {translations.local(expires_s)} (edge-authority purge)",
        soft_wrap=True,
    )
    if absent := [translations.device_name(device) for device in asked.request.devices if device not in found]:
        for language in translations.LANGUAGES:
            terminal.say(translations.say(language, "open_absent", boxes=", ".join(absent)), stderr=True)


def run_purge(paths: Sequence[Path], *, everything: bool) -> None:
    """Shred expired files of opened records; say when the others expire. Raises StorageError."""
    console = terminal.console()
    found = [path for given in paths for path in (sorted(given.iterdir()) if given.is_dir() else [given])]
    for path in found:
        if not path.is_file() or (expires_s := opened.expiry(path)) is None:
            continue
        if everything or time.time() >= expires_s:
            files.shred(path)
            console.print(f"{path}: destroyed", soft_wrap=True)
        else:
            console.print(f"{path}: must be gone by {translations.local(expires_s)}", soft_wrap=True)


def published(path: Path | None, device: str) -> Published:
    """What boxes published, where it was collected."""
    return evidence.read(path, device) if path else evidence.NOTHING


def verified(
    bundles: Sequence[Path], boxes: Mapping[str, Box], asked: Asked, desk: Desk
) -> dict[str, tuple[Verdict, list[VerifiedSegment]]]:
    """The verified segments of every bundle, by box; raises EdgeScannerError."""
    found: dict[str, tuple[Verdict, list[VerifiedSegment]]] = {}
    for given in bundles:
        for folder in verifying.folders(given):
            box = verifying.box_of(folder, boxes)
            if box.device in found:
                raise StorageError("two bundles of one box", where=str(folder), hint="give one of them")
            question = verifying.Question(published=published(desk.checkpoints, box.device), now_s=time.time())
            found[box.device] = unseal.segments(folder, box, asked.request, question, unpulled=bool(desk.not_pulled))
    return found


def check_keys(
    desk: Desk, found: Mapping[str, tuple[Verdict, list[VerifiedSegment]]], private: Mapping[bytes, bytes]
) -> None:
    """Raise BadDataError that names the weeks for which no key is at hand."""
    weeks = {
        week_of(segment.header.hour * 3600)
        for _, segments in found.values()
        for segment in segments
        if not any(share.key_id in private for share in segment.header.shares)
    }
    if weeks:
        raise BadDataError(
            f"the key of week {', '.join(sorted(weeks))} is missing",
            where=str(desk.keys),
            hint="bring that week's .key file into this folder, or it was destroyed",
        )


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """A bar on stderr; call it for each segment."""
    console = terminal.console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("segments"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
