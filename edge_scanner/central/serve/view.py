"""What the pages and the API show of the store's rows. Pure: rows and a time in, documents out.

The country is a tree: province, district, site, box, from the signed list alone. A branch's figure is the sum of its
sites in the newest whole hour that was told; a site without a box that listened then has no figure, and its branch
says how many of its sites it speaks for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from edge_scanner.central.serve.figures import level, share
from edge_scanner.central.store.model import MAX_SET, Site
from edge_scanner.core.counts.adoption import Share
from edge_scanner.core.counts.intervals import Present

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_scanner.central.store.reading import BoxNow
    from edge_scanner.central.store.site_bins import SiteBin

SILENT_S = 900
"""A box speaks every five minutes."""
SOON_S = 28 * 86_400
"""From so long before its end an expiry is shown."""


class Trouble(StrEnum):
    """Why a box needs somebody, the worst first; each is a text of the catalogue."""

    SILENT = "silent"
    NEVER = "never"
    ILL = "ill"
    LOOK = "look"
    EXPIRED = "expired"
    EXPIRING = "expiring"
    OLD_SET = "old-set"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxView:
    """A box of the list: what it says of itself, and what is the matter, nothing for a box that is well."""

    device: str
    site: str
    room: str
    heard: int | None
    software: str
    lights: Mapping[str, str]
    codes: Sequence[str]
    expires: int | None
    troubles: tuple[Trouble, ...]

    @property
    def well(self) -> bool:
        """Nothing is the matter."""
        return not self.troubles


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """A venue with its boxes and its newest figure, of which `told` boxes spoke (`site.rule`: sum or largest)."""

    site: Site
    level: Present | None
    told: int
    boxes: tuple[BoxView, ...]

    @property
    def ill(self) -> int:
        """How many of its boxes need somebody."""
        return sum(not box.well for box in self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A province or district: the sum of its sites, of which `told` have a figure."""

    name: str
    level: Present | None
    sites: int
    told: int
    boxes: int
    ill: int
    branches: tuple[Branch, ...] = ()
    leaves: tuple[SiteView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of place (school, hotel, ...) and the share of phones there that run the app; `told`: it has figures."""

    name: str
    sites: int
    told: bool
    share: Share | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """The page `/` and `/api/v1/tree`. `hour` is when the hour of all figures began, None before one."""

    hour: int | None
    root: Branch
    kinds: tuple[Kind, ...]
    versions: Mapping[str, int]
    ill: tuple[BoxView, ...] = field(default=())


def newest(versions: Iterable[str]) -> str:
    """The newest software of the fleet, empty where no box has said what it runs."""
    return max((version for version in versions if version), key=_version, default="")


def _recipient_set(box: BoxNow) -> int:
    """The version that the box states; 0 for a box that keeps no log, or states nonsense."""
    version = box.status.get("recipients_version")
    return version if type(version) is int and version <= MAX_SET else 0


def box_view(box: BoxNow, *, now_s: float, newest: str, recipients: int, silent_s: int = SILENT_S) -> BoxView:
    """One box; `newest` is the newest software of the fleet, `recipients` the newest recipient set."""
    lights = {name: str(one.get("light", "")) for name, one in dict(box.health.get("lights") or {}).items()}
    codes = sorted({str(one["code"]) for one in dict(box.health.get("lights") or {}).values() if one.get("code")})
    software = str(box.status.get("software") or "")
    ends = [box.health.get("certificate_expires"), box.health.get("recipients_expire")]
    expires = min((int(end) for end in ends if end), default=None)
    troubles = []
    if box.heard is None:
        troubles.append(Trouble.NEVER)
    elif box.heard < now_s - silent_s or box.status.get("state") == "offline":
        troubles.append(Trouble.SILENT)
    if "fail" in lights.values():
        troubles.append(Trouble.ILL)
    elif "warn" in lights.values():
        troubles.append(Trouble.LOOK)
    if expires is not None and expires < now_s + SOON_S:
        troubles.append(Trouble.EXPIRED if expires < now_s else Trouble.EXPIRING)
    if 0 < _recipient_set(box) < recipients:
        troubles.append(Trouble.OLD_SET)
    if software and newest and software != newest:
        troubles.append(Trouble.OUTDATED)
    return BoxView(
        device=box.box.device,
        site=box.box.site,
        room=box.box.room,
        heard=box.heard,
        software=software,
        lights=lights,
        codes=codes,
        expires=expires,
        troubles=tuple(troubles),
    )


def country(
    sites: Iterable[Site],
    boxes: Iterable[BoxNow],
    hour: Sequence[SiteBin],
    week: Sequence[SiteBin],
    *,
    now_s: float,
    recipients: int,
    silent_s: int = SILENT_S,
) -> Country:
    """All of it. `recipients` is the newest recipient set.

    `hour` are the bins of the newest hour, `week` those that the shares are computed from.
    """
    fleet = tuple(box for box in boxes if box.box.state != "revoked")
    versions = Counter(str(box.status.get("software") or "") for box in fleet)
    latest = newest(versions)
    seen = [box_view(box, now_s=now_s, newest=latest, recipients=recipients, silent_s=silent_s) for box in fleet]
    of_site: dict[str, list[BoxView]] = defaultdict(list)
    for view in seen:
        of_site[view.site].append(view)
    bins = {one.site: one for one in hour}
    listed = tuple(sites)
    leaves = [
        SiteView(
            site=site,
            level=level([bins[site.site]]) if site.site in bins else None,
            told=bins[site.site].boxes if site.site in bins else 0,
            boxes=tuple(of_site.get(site.site, ())),
        )
        for site in listed
    ]
    worst = sorted(
        (view for view in seen if not view.well), key=lambda view: (list(Trouble).index(view.troubles[0]), view.device)
    )
    return Country(
        hour=min((one.bin_start for one in hour), default=None),
        root=_branch("", leaves, bins, ("province", "district")),
        kinds=_kinds(listed, week),
        versions=dict(versions),
        ill=tuple(worst),
    )


def _branch(name: str, leaves: Sequence[SiteView], bins: Mapping[str, SiteBin], below: Sequence[str]) -> Branch:
    branches: list[Branch] = []
    if below:
        groups: dict[str, list[SiteView]] = defaultdict(list)
        for leaf in leaves:
            groups[getattr(leaf.site, below[0])].append(leaf)
        # Who has no name in the list comes last.
        branches = [
            _branch(key, groups[key], bins, below[1:]) for key in sorted(groups, key=lambda key: (not key, key))
        ]
    told = [bins[leaf.site.site] for leaf in leaves if leaf.level is not None]
    return Branch(
        name=name,
        level=level(told),
        sites=len(leaves),
        told=len(told),
        boxes=sum(len(leaf.boxes) for leaf in leaves),
        ill=sum(leaf.ill for leaf in leaves),
        branches=tuple(branches),
        leaves=() if below else tuple(sorted(leaves, key=lambda leaf: leaf.site.name)),
    )


def _kinds(sites: Sequence[Site], week: Sequence[SiteBin]) -> tuple[Kind, ...]:
    kind_of = {site.site: site.kind for site in sites}
    groups: dict[str, list[SiteBin]] = defaultdict(list)
    for one in week:
        groups[kind_of.get(one.site, "")].append(one)
    counted = Counter(kind_of.values())
    return tuple(
        Kind(name=kind, sites=counted[kind], told=kind in groups, share=share(groups.get(kind, ())))
        for kind in sorted(counted, key=lambda key: (not key, key))
    )


def _version(text: str) -> tuple[tuple[int, str], ...]:
    """For comparing: numbers as numbers, so that 1.10 is newer than 1.9, and 1.0.0rc1 older than 1.0.0."""
    parts = []
    for part in f"{text.replace('rc', '.-1.')}.0".split("."):
        try:
            parts.append((int(part), ""))
        except ValueError:
            parts.append((0, part))
    return tuple(parts)
