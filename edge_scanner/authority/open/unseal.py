"""COMMANDS edge-authority custodian release | open | purge: the only code that can open a segment, and it takes two.

The custodian checks that two people signed the request and that the bundle is the box's, then turns his key into his
part of the keys of exactly the minutes asked for. It is half of each key: it travels in the clear, opens nothing
without the recipient's half, and says nothing about any other minute. The authority combines both and puts the minutes
into one file (opened.py).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edge_scanner.authority import files
from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.collect import verify
from edge_scanner.authority.open.opened import OpenedEncounter, OpenedMinute
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, MalformedError, RefusedError
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import opener
from edge_scanner.core.log.errors import EmptyError
from edge_scanner.core.log.frames import ClockEvent, Minute
from edge_scanner.core.log.ratchet import MINUTES, PartKeys
from edge_scanner.core.pull import policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.authority.collect.verify import Question
    from edge_scanner.authority.keys.mandates import Pinned
    from edge_scanner.core.log.verifier import VerifiedSegment
    from edge_scanner.core.model import ClockQuality
    from edge_scanner.core.pull.request import Asked, Request

_FORMAT = "edge-scanner/release/2"
_HOUR_S = 3600
_MINUTE_S = 60
_MAX_RELEASE_BYTES = 16 << 20
_SHIFT_S = 1.0
"""A step below this is the clock's everyday slewing."""

Shares = dict[tuple[str, int], dict[int, PartKeys]]
"""Keys of minutes by device and segment, then by part of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One party's part of the keys of the minutes of one request."""

    request: bytes
    shares: Shares


def check_order(asked: Asked, pinned: Pinned) -> None:
    """Raise RefusedError unless both roles signed under the root, with mandates valid when the order began.

    For who opens what a custodian has released; the custodian himself judges by his own clock (policy.check_order).
    """
    judged_s = max(asked.request.not_before_s, asked.request.to_s)
    policy.check_order(asked, pinned.roots, policy.CUSTODIAN, now_s=judged_s, revoked=pinned.revoked)


def segments(
    folder: Path,
    box: Box,
    request: Request,
    question: Question = verify.ALONE,
    *,
    unpulled: bool = False,
) -> tuple[Verdict, list[VerifiedSegment]]:
    """A bundle's verified segments that hold an hour asked for, none of a box without records.

    A bundle with which no box answered this order is refused unless `unpulled`. Raises RefusedError, BadDataError,
    StorageError.
    """
    if box.device not in request.devices:
        policy.refuse(policy.Code.NOT_NAMED, f"the request does not name box {box.device}")
    found: list[VerifiedSegment] = []

    def keep(segment: VerifiedSegment) -> None:
        start_s = segment.header.hour * _HOUR_S
        if start_s < request.to_s and start_s + _HOUR_S > request.from_s:
            found.append(segment)

    verdict = verify.verify(folder, box, replace(question, request=request), on_segment=keep)
    if verdict.request not in ("", request.digest.hex()):
        raise RefusedError("the bundle answers another order", code="other_request", where=str(folder))
    if verdict.source != verdicts.PULLED and not unpulled:
        raise RefusedError(
            "no box answered the order with this bundle: it was taken by stick or card",
            code="not_pulled",
            where=str(folder),
            hint="pull it; or say why it must be opened: --not-pulled 'reason', which the register and the report keep",
        )
    if not verdict.holds and verdict.code != EmptyError.code:
        raise BadDataError(verdict.what, where=f"{folder}, {verdict.where}", hint=f"verify says {verdict.code}")
    if verdict.from_s > request.from_s or verdict.to_s < request.to_s:
        raise BadDataError(
            "the bundle was not made for all hours of the order: the rest would look like hours without a record",
            where=str(folder),
            hint="export all hours of the order",
        )
    return verdict, found


def key_ids(found: Iterable[VerifiedSegment]) -> set[bytes]:
    """Which opening keys these segments are sealed to."""
    return {share.key_id for segment in found for share in segment.header.shares}


def minutes_of(hour: int, request: Request) -> list[int]:
    """The minutes of an hour, 0 to 59, that the request asks for, as the box stamped them."""
    starts_s = range(hour * _HOUR_S, (hour + 1) * _HOUR_S, _MINUTE_S)
    return [number for number, start_s in enumerate(starts_s) if request.from_s <= start_s < request.to_s]


def shares_of(
    device: str, found: Iterable[VerifiedSegment], private: Mapping[bytes, bytes], request: Request
) -> Shares:
    """What these keys yield for the minutes asked for, and no other; raises ShareRefusedError, CommitmentError."""
    return {
        (device, segment.row.seq): parts
        for segment in found
        if (parts := opener.part_keys(segment.row.header, private, minutes_of(segment.header.hour, request)))
    }


def pack_release(request: bytes, shares: Shares) -> bytes:
    """The file that goes from the custodian to the authority."""
    entries: list[dict[str, Any]] = [
        {
            "device": device,
            "segment": seq,
            "part": part,
            "events": base64.b64encode(keys.events).decode(),
            "minutes": [[minute, base64.b64encode(key).decode()] for minute, key in sorted(keys.minutes.items())],
        }
        for (device, seq), parts in sorted(shares.items())
        for part, keys in sorted(parts.items())
    ]
    return signed.canonical({"format": _FORMAT, "request": request.hex(), "shares": entries}) + b"\n"


def read_release(path: Path) -> Release:
    """A release; raises BadDataError, StorageError."""
    try:
        value = signed.parse(files.read(path, limit=_MAX_RELEASE_BYTES).rstrip(b"\n"), limit=_MAX_RELEASE_BYTES)
        kind, request, entries = signed.fields(value, format=str, request=str, shares=list)
        shares: Shares = {}
        for entry in entries:
            device, seq, part, events, minutes = signed.fields(
                entry, device=str, segment=int, part=int, events=str, minutes=list
            )
            shares.setdefault((layout.check_device(device), seq), {})[part] = PartKeys(
                events=signed.unbase64(events),
                minutes={MINUTES[minute]: signed.unbase64(key) for minute, key in minutes},
            )
        digest = bytes.fromhex(request)
    except (MalformedError, ValueError, TypeError, IndexError) as error:
        raise BadDataError("not a release", where=str(path)) from error
    if kind != _FORMAT:
        raise BadDataError("not a release of format 2", where=str(path))
    return Release(request=digest, shares=shares)


def merge(releases: Iterable[Release], request: Request) -> Shares:
    """All parts together; raises RefusedError for a release that was made for another request."""
    merged: Shares = {}
    for release in releases:
        if release.request != request.digest:
            raise RefusedError("the release is for another request", code="other_request")
        for place, shares in release.shares.items():
            merged.setdefault(place, {}).update(shares)
    return merged


def open_segments(
    device: str,
    found: Sequence[VerifiedSegment],
    shares: Shares,
    request: Request,
    on_segment: Callable[[], None] = lambda: None,
) -> tuple[list[OpenedMinute], list[OpenedEncounter]]:
    """The minutes asked for, in true time; raises a LogError (SharesMissingError, FrameAlteredError, ...)."""
    minutes: list[OpenedMinute] = []
    encounters: list[OpenedEncounter] = []
    stretches: dict[bytes, list[tuple[Minute, ClockQuality]]] = {}
    steps: dict[bytes, list[ClockEvent]] = {}
    for segment in found:
        parts = shares.get((device, segment.row.seq), {})
        quality, boot = segment.header.quality, segment.header.boot_id
        for content in opener.open_frames(segment.row.header, parts, segment.frames, unclean=segment.unclean):
            if isinstance(content, ClockEvent):
                quality = content.after
                steps.setdefault(boot, []).append(content)
            elif isinstance(content, Minute):
                stretches.setdefault(boot, []).append((content, quality))
        on_segment()
    for boot, stretch in stretches.items():
        for minute, quality in stretch:
            shift_s = _shift(minute, steps.get(boot, ()))
            if request.from_s <= minute.minute_s + shift_s < request.to_s:
                minutes.append(
                    OpenedMinute(
                        device=device,
                        minute_s=minute.minute_s,
                        shift_s=shift_s,
                        listened_s=minute.listened_s,
                        dropped=minute.dropped,
                        quality=quality,
                    )
                )
                encounters += _encounters(device, minute, shift_s)
    return minutes, encounters


def _shift(minute: Minute, events: Iterable[ClockEvent]) -> float:
    """Seconds from the box's stamp to true time: every step that its clock made later in the same run."""
    later = ((event.utc_ms - event.expected_ms) / 1000 for event in events if event.monotonic_ms > minute.monotonic_ms)
    return sum(step for step in later if abs(step) >= _SHIFT_S)


def _encounters(device: str, minute: Minute, shift_s: float) -> Iterator[OpenedEncounter]:
    begin_s = round(minute.minute_s + shift_s)
    for encounter in minute.encounters:
        yield OpenedEncounter(
            device=device,
            first_s=begin_s + encounter.first_second,
            last_s=begin_s + encounter.last_second,
            protocol=encounter.protocol_tag,
            payload=encounter.payload,
            adverts=encounter.adverts,
            rssi_mean=encounter.rssi_mean,
            rssi_max=encounter.rssi_max,
        )
