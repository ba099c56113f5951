"""The country as a tree, and what is the matter with a box."""

from __future__ import annotations

from typing import Any

import pytest

from edge_scanner.central.serve import view
from edge_scanner.central.serve.view import Trouble
from edge_scanner.central.store.model import Box, Site
from edge_scanner.central.store.reading import BoxNow
from edge_scanner.central.store.site_bins import SiteBin

NOW_S = 1_795_507_600.0
WELL = {"lights": {"radio": {"light": "ok", "code": ""}}}
SITES = (
    Site(site="a", name="A", province="P", district="D", kind="school"),
    Site(site="b", name="B", province="P", district="E", kind="school"),
    Site(site="c", name="C"),
)


def _box(device: str = "A", site: str = "a", **changes: Any) -> BoxNow:
    fields: dict[str, Any] = {"heard": int(NOW_S) - 60, "status": {"software": "1.0.0"}, "health": WELL}
    state = changes.pop("state", "enrolled")
    return BoxNow(box=Box(device=device, site=site, room="", state=state, identity=b""), **(fields | changes))


def _bin(site: str, nearby: int = 2400) -> SiteBin:
    variance = 2 * 130.0**2
    return SiteBin(
        site=site, bin_start=1_795_503_600, boxes=1, minutes=60, nearby=nearby, figures={}, variance=variance,
        mean=nearby / 60, mean_variance=variance / 3600,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "troubles"),
    [
        ({}, ()),
        ({"heard": None}, (Trouble.NEVER,)),
        ({"heard": int(NOW_S) - 901}, (Trouble.SILENT,)),
        ({"status": {"software": "1.0.0", "state": "offline"}}, (Trouble.SILENT,)),
        ({"health": {"lights": {"radio": {"light": "fail", "code": "RAD-03"}}}}, (Trouble.ILL,)),
        ({"health": {"lights": {"clock": {"light": "warn", "code": "CLK-01"}}}}, (Trouble.LOOK,)),
        ({"health": WELL | {"certificate_expires": NOW_S + 86_400}}, (Trouble.EXPIRING,)),
        ({"health": WELL | {"recipients_expire": NOW_S - 1, "certificate_expires": NOW_S * 2}}, (Trouble.EXPIRED,)),
        ({"status": {"software": "0.9.0"}}, (Trouble.OUTDATED,)),
        ({"status": {"software": "1.0.0", "recipients_version": 1}}, (Trouble.OLD_SET,)),
        ({"status": {"software": "1.0.0", "recipients_version": 2}}, ()),
        ({"status": {"software": "1.0.0", "recipients_version": None}}, ()),
        ({"status": {}, "health": {}}, ()),
    ],
)
def test_what_is_the_matter_is_named(changes: dict[str, Any], troubles: tuple[Trouble, ...]) -> None:
    """Each reason has its name; a box of which nothing bad is known has none."""
    assert view.box_view(_box(**changes), now_s=NOW_S, newest="1.0.0", recipients=2).troubles == troubles


def test_a_box_with_an_old_recipient_set_is_told_by_the_newest() -> None:
    """A box that states a newer one than there is makes nobody old."""
    boxes = [
        _box(name, status={"software": "1.0.0", "recipients_version": version})
        for name, version in (("A", 1), ("B", 2), ("C", 2), ("L", 9))
    ]

    found = view.country(SITES, boxes, [], [], now_s=NOW_S, recipients=2)

    assert [(one.device, one.troubles) for one in found.ill] == [("A", (Trouble.OLD_SET,))]


def test_a_branch_sums_the_sites_that_told() -> None:
    """And says how many of its sites it speaks for; who has no province stands last."""
    boxes = [_box("A", "a"), _box("B", "b", heard=None), _box("C", "c"), _box("R", "a", state="revoked")]
    found = view.country(SITES, boxes, [_bin("a"), _bin("c", 1200)], [], now_s=NOW_S, recipients=0)

    assert [(one.name, one.told, one.sites, one.ill) for one in found.root.branches] == [("P", 1, 2, 1), ("", 1, 1, 0)]
    assert str(found.root.level) == "60 ± 9"
    assert found.hour == 1_795_503_600
    assert found.root.boxes == 3
    assert [one.device for one in found.ill] == ["B"]
    assert [(kind.name, kind.sites, kind.told) for kind in found.kinds] == [("school", 2, False), ("", 1, False)]


def test_the_worst_stands_first() -> None:
    """A silent box before one that is out of date."""
    boxes = [_box("A", status={"software": "0.9.0"}), _box("B", heard=1), _box("C")]

    found = view.country(SITES, boxes, [], [], now_s=NOW_S, recipients=0)

    assert [one.device for one in found.ill] == ["B", "A"]
    assert found.hour is None


@pytest.mark.parametrize(("older", "newer"), [("1.9.0", "1.10.0"), ("1.0.0rc1", "1.0.0"), ("1.0.0", "1.0.1")])
def test_versions_are_numbers(older: str, newer: str) -> None:
    """1.10 is newer than 1.9, and a candidate is older than its release."""
    boxes = [_box("A", status={"software": older}), _box("B", status={"software": newer})]

    found = view.country(SITES, boxes, [], [], now_s=NOW_S, recipients=0)

    assert [one.device for one in found.ill] == ["A"]
