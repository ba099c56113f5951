"""COMMAND edge-authority match: which cases were near which boxes, minute by minute; keys are not kept.

The result names cases by their file and number and holds no identifier. A minute counts for a case when one of its
identifiers was heard in it, under the strict or the tolerant rule (join.py). Near and far are a threshold on the
strongest packet of the minute: RSSI through pockets and crowds tells no more, so no distance is given.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_scanner.authority import files
from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.match import join
from edge_scanner.authority.open.opened import Coverage, use
from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.authority.match.cases import Case
    from edge_scanner.authority.open.opened import OpenedFile

NEAR_DBM = -74
"""The floor of the Singapore token's zone rule; phones in pockets a metre away are heard at about -80 (exp34)."""

RSSI_UNKNOWN = 127
MINUTE_S = 60
GAP_MINUTES = 5
"""A silence longer than this ends a visit: an Android phone is off the air for 15 s, a bad line for minutes."""

CHUNK = 100_000
"""Rows read at a time."""

_FORMAT = "edge-scanner/sightings/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardMinute:
    """One minute in which a case's phone was heard by a box; `rssi_max` is None when no packet had an RSSI."""

    case: str
    device: str
    minute_s: int
    adverts: int
    rssi_max: int | None
    near: bool
    strict: bool
    offset_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A stretch of a case's minutes at one box without a silence longer than GAP_MINUTES."""

    case: str
    device: str
    start_s: int
    end_s: int
    minutes: int
    near_minutes: int
    strict_minutes: int
    rssi_max: int | None
    offset_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """All that a report needs. `cases` counts what was looked for; `expires_s` is the opened records' end."""

    request: str
    case: str
    made_s: int
    expires_s: int
    cases: int
    identifiers: int
    near_dbm: int
    tolerant: bool
    verdicts: tuple[Verdict, ...]
    coverage: tuple[Coverage, ...]
    sightings: tuple[HeardMinute, ...]


def match(
    cases: Sequence[Case],
    paths: Sequence[Path],
    *,
    now_s: float,
    tolerant: bool = True,
    near_dbm: int = NEAR_DBM,
    on_block: Callable[[int], None] = lambda _identifiers: None,
) -> Matches:
    """Match cases with opened files of one request; raises RefusedError for an expired file, BadDataError."""
    heard: list[Heard] = []
    verdicts: list[Verdict] = []
    coverage: dict[str, Coverage] = {}
    heads: set[tuple[str, str]] = set()
    expires_s = 0
    for path in paths:
        with use(path, now_s=now_s) as opened:
            heads.add((opened.request, opened.case))
            expires_s = max(expires_s, opened.expires_s)
            found = opened.verdicts()
            there = {verdict.device for verdict in found}
            verdicts += found
            # A box of the order that this file has nothing of may be in another one.
            coverage |= {
                one.device: one for one in opened.coverage() if one.device in there or one.device not in coverage
            }
            heard += _read(opened)
    if len(heads) != 1:
        raise BadDataError("these files were opened for different requests", where=", ".join(map(str, paths)))
    request, case = heads.pop()
    minutes: dict[tuple[str, str, int], HeardMinute] = {}
    identifiers = 0
    if heard:
        everything = Heard.join(heard)
        heard.clear()
        encounters = join.Encounters(everything.payload, everything.protocol, everything.first_s, everything.last_s)

        def count(done: int) -> None:
            nonlocal identifiers
            identifiers = done
            on_block(done)

        for hits in join.join(encounters, join.blocks(cases), count):
            _take(minutes, hits, cases, everything, near_dbm=near_dbm, tolerant=tolerant)
    return Matches(
        request=request,
        case=case,
        made_s=int(now_s),
        expires_s=expires_s,
        cases=len(cases),
        identifiers=identifiers,
        near_dbm=near_dbm,
        tolerant=tolerant,
        verdicts=tuple(verdicts),
        coverage=tuple(coverage.values()),
        sightings=tuple(one for _, one in sorted(minutes.items())),
    )


def visits(sightings: Iterable[HeardMinute]) -> list[Visit]:
    """Contacts of each case and box joined into stretches, in order of case, time and box."""
    found: list[list[HeardMinute]] = []
    for heard in sorted(sightings, key=lambda one: (one.case, one.device, one.minute_s)):
        last = found[-1][-1] if found else None
        if (
            last is not None
            and (last.case, last.device) == (heard.case, heard.device)
            and heard.minute_s - last.minute_s <= (GAP_MINUTES + 1) * MINUTE_S
        ):
            found[-1].append(heard)
        else:
            found.append([heard])
    stretches = [
        Visit(
            case=stretch[0].case,
            device=stretch[0].device,
            start_s=stretch[0].minute_s,
            end_s=stretch[-1].minute_s + MINUTE_S,
            minutes=len(stretch),
            near_minutes=sum(one.near for one in stretch),
            strict_minutes=sum(one.strict for one in stretch),
            rssi_max=max((one.rssi_max for one in stretch if one.rssi_max is not None), default=None),
            offset_s=max((one.offset_s for one in stretch), key=abs),
        )
        for stretch in found
    ]
    return sorted(stretches, key=lambda visit: (visit.case, visit.start_s, visit.device))


def save(matches: Matches, path: Path) -> None:
    """Write the result, mode 600; raises StorageError."""
    files.write(path, json.dumps({"format": _FORMAT, **asdict(matches)}, ensure_ascii=False).encode())


def load(path: Path) -> Matches:
    """Read a result; raises BadDataError, StorageError."""
    try:
        values = json.loads(files.read(path, limit=1 << 30))
        if values.pop("format") != _FORMAT:
            raise BadDataError("not a result of format 1", where=str(path))
        return Matches(
            **{
                **values,
                "verdicts": tuple(map(verdicts.from_values, values["verdicts"])),
                "coverage": tuple(
                    Coverage(**{**one, "gaps": tuple((begin, end) for begin, end in one["gaps"])})
                    for one in values["coverage"]
                ),
                "sightings": tuple(HeardMinute(**one) for one in values["sightings"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadDataError("not a result of match", where=str(path)) from error


def _read(opened: OpenedFile) -> Iterator[Heard]:
    """The file's encounters, CHUNK at a time, as columns: 40 bytes each instead of a tuple's 250."""
    for rows in opened.encounters(CHUNK):
        device, first_s, last_s, protocol, payload, adverts, _, rssi_max = zip(*rows, strict=True)
        yield Heard(
            devices=device,
            payload=np.frombuffer(b"".join(payload), dtype=np.uint8).reshape(len(rows), -1),
            protocol=np.array(protocol, dtype=np.uint8),
            first_s=np.array(first_s, dtype=np.int64),
            last_s=np.array(last_s, dtype=np.int64),
            adverts=np.array(adverts, dtype=np.int32),
            rssi_max=np.array(rssi_max, dtype=np.int16),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Encounters as columns of one length; `devices` are interned texts."""

    devices: Sequence[str]
    payload: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    first_s: NDArray[np.int64]
    last_s: NDArray[np.int64]
    adverts: NDArray[np.int32]
    rssi_max: NDArray[np.int16]

    @classmethod
    def join(cls, parts: Sequence[Heard]) -> Heard:
        """One after the other."""
        return cls(
            devices=[sys.intern(device) for part in parts for device in part.devices],
            payload=np.concatenate([part.payload for part in parts]),
            protocol=np.concatenate([part.protocol for part in parts]),
            first_s=np.concatenate([part.first_s for part in parts]),
            last_s=np.concatenate([part.last_s for part in parts]),
            adverts=np.concatenate([part.adverts for part in parts]),
            rssi_max=np.concatenate([part.rssi_max for part in parts]),
        )


def _take(
    minutes: dict[tuple[str, str, int], HeardMinute],
    hits: join.Hits,
    cases: Sequence[Case],
    heard: Heard,
    *,
    near_dbm: int,
    tolerant: bool,
) -> None:
    """Put hits into minutes; two identifiers of one phone in one minute are one minute."""
    for index, case_index, offset_s, strict in zip(
        hits.encounter.tolist(), hits.case.tolist(), hits.offset_s.tolist(), hits.strict.tolist(), strict=True
    ):
        if not strict and not tolerant:
            continue
        rssi_max = int(heard.rssi_max[index])
        minute = HeardMinute(
            case=cases[case_index].label,
            device=heard.devices[index],
            minute_s=int(heard.first_s[index]) // MINUTE_S * MINUTE_S,
            adverts=int(heard.adverts[index]),
            rssi_max=None if rssi_max == RSSI_UNKNOWN else rssi_max,
            near=rssi_max != RSSI_UNKNOWN and rssi_max >= near_dbm,
            strict=strict,
            offset_s=offset_s,
        )
        place = (minute.case, minute.device, minute.minute_s)
        minutes[place] = _merged(minutes[place], minute) if place in minutes else minute


def _merged(one: HeardMinute, other: HeardMinute) -> HeardMinute:
    """The same case, box and minute under two identifiers."""
    return replace(
        one,
        adverts=one.adverts + other.adverts,
        rssi_max=max((rssi for rssi in (one.rssi_max, other.rssi_max) if rssi is not None), default=None),
        near=one.near or other.near,
        strict=one.strict or other.strict,
        offset_s=min(one.offset_s, other.offset_s, key=abs),
    )
