"""What is asked of the store for one page or one answer. Every call blocks: routes run them in threads."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_scanner.central.serve import view
from edge_scanner.central.store.model import Site
from edge_scanner.central.store.site_bins import SiteBin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_scanner.central.store.model import Statement
    from edge_scanner.central.store.reading import Reading

HOUR_S = 3600
WEEK_S = 7 * 86_400
DAY_S = 86_400
APP = ("bluezone", "bluezone_presence")
SHOWN = 50
"""Entries on the start page; a place has all of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An entry of a box's audit trail: somebody asked for its log, got it, was refused, or changed who can open it."""

    device: str
    at: int
    number: int
    action: str
    authority: str
    code: str


@dataclass(slots=True)
class Week:
    """The bins of seven days, which shares come from: asked once for each newest hour, since a country's take seconds.

    While one reader asks for a new hour's, the others get those of the hour before.
    """

    _hour_s: int | None = None
    _bins: tuple[SiteBin, ...] = ()
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def bins(self, read: Reading, hour_s: int) -> tuple[SiteBin, ...]:
        """The seven days until the end of this hour."""
        if not self._asking.acquire(blocking=self._hour_s is None):
            return self._bins
        try:
            if self._hour_s != hour_s:
                end_s = hour_s + HOUR_S
                start_s = end_s - WEEK_S
                self._bins = read.bins(start_s, end_s, figures=APP, step_s=WEEK_S, origin_s=start_s)
                self._hour_s = hour_s
            return self._bins
        finally:
            self._asking.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The page of one venue."""

    site: Site
    boxes: tuple[view.BoxView, ...]
    bins: tuple[SiteBin, ...]
    step_s: int
    openings: tuple[Opening, ...]


def newest_hour(read: Reading, now_s: float) -> int | None:
    """The start of the newest hour with figures that is over, of the last day; None where there is none."""
    newest = read.newest_bin()
    if newest is None or newest < now_s - DAY_S:
        return None
    last_whole = int(now_s) // HOUR_S * HOUR_S - HOUR_S
    return min(newest // HOUR_S * HOUR_S, last_whole)


def country(read: Reading, week: Week, *, now_s: float, silent_s: int, signed_set: Callable[[], int]) -> view.Country:
    """The tree of now, the shares of the last seven days."""
    hour_s = newest_hour(read, now_s)
    hour = read.bins(hour_s, hour_s + HOUR_S) if hour_s is not None else ()
    days = week.bins(read, hour_s) if hour_s is not None else ()
    sets = newest_set(read, signed_set)
    return view.country(read.sites(), read.fleet(), hour, days, now_s=now_s, recipients=sets, silent_s=silent_s)


def newest_set(read: Reading, signed_set: Callable[[], int]) -> int:
    """What boxes' recipient sets are held against: the signed one that we were given, else what two of them state."""
    return signed_set() or read.recipients()


def place(
    read: Reading, site: str, *, now_s: float, days: int, silent_s: int, signed_set: Callable[[], int]
) -> Place | None:
    """One venue over time: hours up to a fortnight, days beyond; None for a venue that is not on the list."""
    found = read.sites(site)
    if not found:
        return None
    step_s = HOUR_S if days <= 14 else DAY_S  # noqa: PLR2004 (the docstring's fortnight)
    bins = read.bins(int(now_s) - days * DAY_S, int(now_s), site=site, step_s=step_s)
    boxes = read.fleet(site)
    newest, sets = view.newest(read.software()), newest_set(read, signed_set)
    return Place(
        site=found[0],
        boxes=tuple(
            view.box_view(box, now_s=now_s, newest=newest, recipients=sets, silent_s=silent_s) for box in boxes
        ),
        bins=bins,
        step_s=step_s,
        openings=openings(read, [box.box.device for box in boxes]),
    )


def newest_openings(read: Reading) -> tuple[Opening, ...]:
    """The newest entries of all boxes' trails."""
    return tuple(_opening(statement) for statement in read.newest("audit", limit=SHOWN))


def openings(read: Reading, devices: Sequence[str]) -> tuple[Opening, ...]:
    """Every entry of these boxes' trails, the newest first. Cases stay in the trail: they are the authority's."""
    found = [_opening(one) for device in devices for one in read.statements(device, kinds=("audit",))]
    return tuple(sorted(found, key=lambda one: (-one.at, one.device, -one.number)))


def _opening(statement: Statement) -> Opening:
    body: dict[str, Any] = json.loads(statement.payload)
    return Opening(
        device=statement.device,
        at=statement.at,
        number=statement.number,
        action=str(body.get("action", "")),
        authority=str(body.get("authority", "")),
        code=str(body.get("code", "")),
    )
