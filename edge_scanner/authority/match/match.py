"""COMMAND edge-authority match: which cases were near which boxes, minute by minute; keys are not kept.

The result names cases by their file and number and holds no identifier. A minute counts for a case when one of its
identifiers was heard in it, under the strict or the tolerant rule (join.py). Near and far are a threshold on the
strongest packet of the minute: RSSI through pockets and crowds tells no more, so no distance is given.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_scanner.authority import files
from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.match import bulk, join
from edge_scanner.authority.match.bulk import Key
from edge_scanner.authority.match.sieve import Sieve
from edge_scanner.authority.match.workers import Memory, sifted
from edge_scanner.authority.open.opened import Coverage, use
from edge_scanner.core import json_documents
from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.authority.match.cases import Case
    from edge_scanner.authority.match.join import Hits, Wanted
    from edge_scanner.authority.open.opened import OpenedFile

NEAR_DBM = -74
"""The floor of the Singapore token's zone rule; phones in pockets a metre away are heard at about -80 (exp34)."""

RSSI_UNKNOWN = 127
MINUTE_S = 60
GAP_MINUTES = 5
"""A silence longer than this ends a visit: an Android phone is off the air for 15 s, a bad line for minutes."""

CHUNK = 100_000
"""Rows read at a time."""

Step = Literal["reading", "deriving", "looking up"]

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
    on_step: Callable[[Step, int, int], None] = lambda _step, _done, _of: None,
) -> Matches:
    """Match cases with opened files of one request; raises RefusedError for an expired file, BadDataError.

    `on_step` is told what is done, how many so far and of how many.
    """
    verdicts: list[Verdict] = []
    coverage: dict[str, Coverage] = {}
    with ExitStack() as stack:
        files = [stack.enter_context(use(path, now_s=now_s)) for path in paths]
        for opened in files:
            found = opened.verdicts()
            there = {verdict.device for verdict in found}
            verdicts += found
            # A box of the order that this file has nothing of may be in another one.
            coverage |= {
                one.device: one for one in opened.coverage() if one.device in there or one.device not in coverage
            }
        heads = {(opened.request, opened.case) for opened in files}
        if len(heads) != 1:
            raise BadDataError("these files were opened for different requests", where=", ".join(map(str, paths)))
        request, case = heads.pop()
        search = Search(files, cases, near_dbm=near_dbm, tolerant=tolerant, on_step=on_step)
        search.run()
        return Matches(
            request=request,
            case=case,
            made_s=int(now_s),
            expires_s=max(opened.expires_s for opened in files),
            cases=len(cases),
            identifiers=search.identifiers,
            near_dbm=near_dbm,
            tolerant=tolerant,
            verdicts=tuple(verdicts),
            coverage=tuple(coverage.values()),
            sightings=tuple(one for _, one in sorted(search.minutes.items())),
        )


class Search:
    """One run over open files: `run` fills `minutes` and counts `identifiers`."""

    def __init__(
        self,
        files: Sequence[OpenedFile],
        cases: Sequence[Case],
        *,
        near_dbm: int,
        tolerant: bool,
        on_step: Callable[[Step, int, int], None],
    ) -> None:
        self.minutes: dict[tuple[str, str, int], HeardMinute] = {}
        self.identifiers = 0
        self._files = files
        self._size = sum(opened.size for opened in files)
        self._cases = cases
        self._near_dbm = near_dbm
        self._tolerant = tolerant
        self._on_step = on_step

    def run(self) -> None:
        """Sift what is derived by what was heard, and look the rest up."""
        if not self._size:
            return
        keys = [Key(case=index, protocol=one.protocol.tag, key=one.key) for index, one in enumerate(self._cases)]
        with closing(Memory()) as memory:
            sieve = Sieve(self._size, memory.make)
            for _, _, ids in self._read("reading"):
                sieve.add(ids)
            for wanted in join.held(sifted(keys, sieve, self._size, memory, self._derived)):
                self._look_up(wanted)

    def _derived(self, done: int, total: int) -> None:
        self.identifiers = done
        self._on_step("deriving", done, total)

    def _read(self, step: Step) -> Iterator[tuple[OpenedFile, list[tuple[int, bytes]], NDArray[np.uint64]]]:
        """Every encounter, CHUNK at a time: whose, number and payload, the first 16 bytes."""
        done = 0
        for opened in self._files:
            for rows in opened.payloads(CHUNK):
                wide = np.frombuffer(b"".join([payload for _, payload in rows]), dtype=np.uint8)
                yield opened, rows, np.ascontiguousarray(wide.reshape(len(rows), -1)[:, : bulk.ID_BYTES]).view("<u8")
                done += len(rows)
                self._on_step(step, done, self._size)

    def _look_up(self, wanted: Sequence[Wanted]) -> None:
        for opened, rows, ids in self._read("looking up"):
            for one in wanted:
                places, derived = one.among(ids)
                if not len(places):
                    continue
                numbers = [rows[place][0] for place in places.tolist()]
                heard = opened.chosen(set(numbers))
                columns = [heard[number] for number in numbers]
                _, first_s, last_s, protocol, _, _ = zip(*columns, strict=True)
                pairs = np.arange(len(numbers))
                hits = one.judge(pairs, derived, np.array(protocol), np.array(first_s), np.array(last_s))
                self._take(hits, columns)

    def _take(self, hits: Hits, columns: Sequence[tuple[str, int, int, int, int, int]]) -> None:
        """Put hits into minutes; two identifiers of one phone in one minute are one minute."""
        for index, case_index, offset_s, strict in zip(
            hits.encounter.tolist(), hits.case.tolist(), hits.offset_s.tolist(), hits.strict.tolist(), strict=True
        ):
            if not strict and not self._tolerant:
                continue
            device, first_s, _, _, adverts, rssi_max = columns[index]
            minute = HeardMinute(
                case=self._cases[case_index].label,
                device=device,
                minute_s=first_s // MINUTE_S * MINUTE_S,
                adverts=adverts,
                rssi_max=None if rssi_max == RSSI_UNKNOWN else rssi_max,
                near=rssi_max != RSSI_UNKNOWN and rssi_max >= self._near_dbm,
                strict=strict,
                offset_s=offset_s,
            )
            place = (minute.case, minute.device, minute.minute_s)
            self.minutes[place] = _merged(self.minutes[place], minute) if place in self.minutes else minute


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
        values = json_documents.value(files.read(path, limit=1 << 30))
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
