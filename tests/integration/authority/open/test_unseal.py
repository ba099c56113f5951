"""Verify, release, open, purge: what each says of good, tampered and foreign material."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.collect import verify
from edge_scanner.authority.collect.collection import copy_bundle
from edge_scanner.authority.keys.mandates import Pinned
from edge_scanner.authority.open import opened, unseal
from edge_scanner.authority.open.unseal import Release
from edge_scanner.core.errors import BadDataError, RefusedError, StorageError
from edge_scanner.core.log import opener
from edge_scanner.core.log.bundle import BODY_NAME
from edge_scanner.core.log.errors import BodyAlteredError, FrameAlteredError, SharesMissingError
from edge_scanner.core.log.frames import ClockEvent, Minute
from edge_scanner.core.model import ClockQuality
from edge_scanner.core.pull import request as requests
from tests.support.answered import NOW_S, OFFICE, PHONE, Scene
from tests.support.authority import edge_authority
from tests.support.box_lists import write_boxes
from tests.support.office import DAY_S

if TYPE_CHECKING:
    from pathlib import Path


ORDER = OFFICE.request("K7MP2R9CX4")


async def test_it_takes_both_and_opens_the_minutes_asked_for_only(scene: Scene) -> None:
    """One part alone opens nothing, wrong keys are noticed, both give exactly 100 minutes."""
    device = scene.box.identity.device_id
    _, found = unseal.segments(scene.folder, scene.box.box, scene.request)
    ours = unseal.shares_of(device, found, scene.keys("health-authority"), scene.request)
    theirs = unseal.shares_of(device, found, scene.keys("custodian"), scene.request)

    for half in (ours, theirs):
        with pytest.raises(SharesMissingError):
            unseal.open_segments(device, found, half, scene.request)
    both = {place: {**ours[place], **theirs[place]} for place in ours}
    minutes, encounters = unseal.open_segments(device, found, both, scene.request)
    assert [one.minute_s for one in minutes] == list(range(scene.request.from_s, scene.request.to_s, 60))
    assert {one.payload[:12] for one in encounters} == {PHONE}
    assert len(encounters) == 100
    wrong = {place: dict.fromkeys(parts, parts[0]) for place, parts in both.items()}
    with pytest.raises(FrameAlteredError):
        unseal.open_segments(device, found, wrong, scene.request)


async def test_a_release_for_ten_minutes_opens_ten_minutes_whatever_the_authority_runs(scene: Scene) -> None:
    """With the authority's whole key and the custodian's release for ten minutes, no road opens an eleventh."""
    device = scene.box.identity.device_id
    order = replace(scene.request, from_s=scene.request.from_s + 600, to_s=scene.request.from_s + 1200)
    _, found = unseal.segments(scene.folder, scene.box.box, scene.request)
    released = unseal.shares_of(device, found, scene.keys("custodian"), order)
    opened_minutes = []
    for segment in found:
        ours = opener.part_keys(segment.row.header, scene.keys("health-authority"))
        parts = {**ours, **released[device, segment.row.seq]}
        contents = opener.open_frames(segment.row.header, parts, segment.frames)
        opened_minutes += [one.minute_s for one in contents if isinstance(one, Minute)]

    assert opened_minutes == list(range(order.from_s, order.to_s, 60))
    assert sum(len(segment.frames) for segment in found) > 30


async def test_a_release_is_for_its_request(scene: Scene, tmp_path: Path) -> None:
    """It survives the journey; another request's release is refused; so is a request that one person signed."""
    device = scene.box.identity.device_id
    _, found = unseal.segments(scene.folder, scene.box.box, scene.request)
    shares = unseal.shares_of(device, found, scene.keys("custodian"), scene.request)
    path = tmp_path / "release"
    path.write_bytes(unseal.pack_release(scene.request.digest, shares))

    read = unseal.read_release(path)

    assert read == Release(request=scene.request.digest, shares=shares)
    assert unseal.merge([read], scene.request) == shares
    with pytest.raises(RefusedError):
        unseal.merge([read], OFFICE.request(device))
    once = requests.read(OFFICE.signed(scene.request, OFFICE.officer))
    with pytest.raises(RefusedError):
        unseal.check_order(once, Pinned(roots=(OFFICE.root.public_key(),), revoked=frozenset()))
    with pytest.raises(RefusedError, match="does not name"):
        unseal.segments(scene.folder, scene.box.box, replace(scene.request, devices=("7K3M9Q2X4T",)))


SHARE = '{"device":"K7MP2R9CX4","events":"AA==","minutes":[%s],"part":0,"segment":0}'


RELEASE = '{"format":"edge-scanner/release/2","request":"","shares":[' + SHARE + "]}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"format":"x","request":"","shares":[]}',
        b"\xff",
        *((RELEASE % minute).encode() for minute in ('[60,"AA=="]', '["1","AA=="]', "[1]", "7", '[1,"?"]')),
    ],
)
def test_other_files_are_no_release(tmp_path: Path, content: bytes) -> None:
    """One line."""
    (tmp_path / "odd").write_bytes(content)

    with pytest.raises(BadDataError):
        unseal.read_release(tmp_path / "odd")


def test_a_step_of_the_clock_moves_earlier_minutes_to_true_time() -> None:
    """Minutes before a step of 90 s are shifted by it, later ones are not; slewing below a second is nothing."""
    minute = Minute(minute_s=600, listened_s=60, monotonic_ms=1000, dropped=0, encounters=())
    step = ClockEvent(
        monotonic_ms=2000, before=ClockQuality.NONE, after=ClockQuality.NTP, expected_ms=660_000, utc_ms=750_000
    )
    slew = replace(step, monotonic_ms=3000, expected_ms=0, utc_ms=500)

    assert unseal._shift(minute, [step, slew]) == 90.0
    assert unseal._shift(replace(minute, monotonic_ms=2500), [step, slew]) == 0


async def test_a_stick_is_copied_with_care(scene: Scene, tmp_path: Path) -> None:
    """Whole, or not at all believed; never over an existing folder."""
    copy_bundle(scene.folder, tmp_path / "copy", scene.box.box)
    assert verify.verify(tmp_path / "copy", scene.box.box).holds
    with pytest.raises(StorageError, match="exists"):
        copy_bundle(scene.folder, tmp_path / "copy", scene.box.box)
    bad = tmp_path / "bad"
    shutil.copytree(scene.folder, bad)
    (bad / BODY_NAME).write_bytes(b"x" + (bad / BODY_NAME).read_bytes()[1:])
    with pytest.raises(BodyAlteredError):
        copy_bundle(bad, tmp_path / "copy2", scene.box.box)


async def test_the_programs_on_a_stick(scene: Scene, tmp_path: Path) -> None:
    """`pull --from-usb` and verify, with their exit codes and JSON."""
    box = scene.box.box
    write_boxes(tmp_path / "boxes.csv", [box])
    done = edge_authority(
        "pull",
        "--from-usb",
        tmp_path / "bundles",
        "--out",
        tmp_path / "in",
        "--boxes",
        tmp_path / "boxes.csv",
        now_s=NOW_S,
    )
    assert done.code == 0, done.stderr

    good = edge_authority("verify", tmp_path / "in", "--boxes", tmp_path / "boxes.csv", "--json", now_s=NOW_S)
    assert (good.code, json.loads(good.stdout)["holds"]) == (0, True)
    page = edge_authority(
        "verify", tmp_path / "in" / box.device, "--boxes", tmp_path / "boxes.csv", "--lang", "en", now_s=NOW_S
    )
    assert "The bundle is intact" in page.stdout
    body = tmp_path / "in" / box.device / BODY_NAME
    body.write_bytes(body.read_bytes()[:-1])
    bad = edge_authority("verify", tmp_path / "in", "--boxes", tmp_path / "boxes.csv", now_s=NOW_S)
    assert bad.code == 65
    assert "KHÔNG hợp lệ" in bad.stdout


def test_opened_files_expire_and_are_purged(tmp_path: Path) -> None:
    """A failed opening leaves nothing; purge shreds what has expired and leaves everything else alone."""
    with pytest.raises(ZeroDivisionError), opened.create(tmp_path / "a", request=ORDER, now_s=NOW_S):
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()
    with pytest.raises(BadDataError), opened.create(tmp_path / "a", request=ORDER, now_s=NOW_S, days=31):
        pass
    with opened.create(tmp_path / "old", request=ORDER, now_s=NOW_S - 400 * DAY_S):
        pass
    with opened.create(tmp_path / "new", request=ORDER, now_s=NOW_S + 400 * DAY_S):
        pass
    (tmp_path / "letter.txt").write_text("mine")

    done = edge_authority("purge", tmp_path, now_s=NOW_S)

    assert done.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt", "new"]
    assert edge_authority("purge", "--now", tmp_path / "new", now_s=NOW_S).code == 0
    assert not (tmp_path / "new").exists()
