"""A box of the order of which nothing was opened is in the report, and its minutes are in the denominator."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.match import match, report
from edge_scanner.authority.open import opened
from tests.support.answered import NOW_S, OFFICE, Scene
from tests.support.authority import edge_authority
from tests.support.box_lists import write_boxes

if TYPE_CHECKING:
    from pathlib import Path

AWAY = "82ZFBVSXKY"


@pytest.fixture(autouse=True)
def _order(scene: Scene, tmp_path: Path, in_files: None) -> None:  # noqa: ARG001 (beside its files)
    """An order for two boxes, of which one was exported and the other is away."""
    other = replace(scene.box.box, device=AWAY, identity=OFFICE.root.public_key().public_bytes_raw())
    write_boxes(tmp_path / "boxes.csv", [scene.box.box, other])
    both = replace(scene.request, devices=(scene.box.identity.device_id, AWAY))
    (tmp_path / "approved.json").write_bytes(OFFICE.signed(both))
    scene.exported()


async def test_a_box_that_gave_nothing_is_told_and_counted(scene: Scene, tmp_path: Path) -> None:
    """At the desk when the others are opened, and on the report: 100 of 200 minutes, and the box in the table."""
    assert scene.request
    common = (
        tmp_path / "bundles", "--request", tmp_path / "approved.json", "--root", tmp_path / "root.pem", "--boxes",
        tmp_path / "boxes.csv", "--passphrase-file", tmp_path / "secret", "--not-pulled", "box without network",
    )  # fmt: skip
    released = await asyncio.to_thread(
        edge_authority, "custodian", "release", *common, "--keys", tmp_path / "custodian", "--out", tmp_path / "r",
        "--confirm", "2 1:40", now_s=NOW_S,
    )  # fmt: skip
    done = await asyncio.to_thread(
        edge_authority, "open", *common, "--keys", tmp_path / "desk", "--release", tmp_path / "r", "--out",
        tmp_path / "case.opened", now_s=NOW_S,
    )  # fmt: skip

    assert (released.code, done.code) == (0, 0), (released, done)
    assert "Not opened: 82ZF-BVSX-KY" in done.stderr
    result = match.match([], [tmp_path / "case.opened"], now_s=NOW_S)
    match.save(result, tmp_path / "case.sightings")
    page = report.page(match.load(tmp_path / "case.sightings"))
    assert "in the 100 minutes in which these boxes listened, out of 200 minutes asked for" in page
    assert "82ZF-BVSX-KY" in page
    assert "nothing of this box was opened" in page
    assert "100 min without a record" in page


def test_a_box_whose_records_are_in_another_file_is_not_absent(scene: Scene, tmp_path: Path) -> None:
    """Two boxes, opened one by one under one order, are two boxes and no third."""
    device, order = scene.box.identity.device_id, replace(scene.request, devices=(scene.box.identity.device_id, AWAY))
    verdict = scene.verify()
    for name, one in (("a", device), ("b", AWAY)):
        with opened.create(tmp_path / name, request=order, now_s=NOW_S) as target:
            target.add(replace(verdict, device=one), [], [])

    result = match.match([], [tmp_path / "a", tmp_path / "b"], now_s=NOW_S)

    assert sorted(one.device for one in result.coverage) == sorted([device, AWAY])
    assert "was opened" not in report.page(result)


def test_a_box_that_was_opened_twice_is_counted_in_both_rows(scene: Scene, tmp_path: Path) -> None:
    """Two files of one box under one order: each verdict stands beside what the box heard."""
    verdict = scene.verify()
    for name in ("a", "b"):
        with opened.create(tmp_path / name, request=scene.request, now_s=NOW_S) as target:
            target.add(verdict, [], [])

    page = report.page(match.match([], [tmp_path / "a", tmp_path / "b"], now_s=NOW_S))

    assert page.count("100 min without a record") == 2
