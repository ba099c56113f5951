"""Verify, release, open, purge: what each says of good, tampered and foreign material."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority.collect import evidence, verify
from edge_scanner.authority.collect.collection import copy_bundle
from edge_scanner.authority.open import opened, unseal
from edge_scanner.authority.open.unseal import Release
from edge_scanner.core import messages
from edge_scanner.core.errors import BadDataError, RefusedError, StorageError
from edge_scanner.core.log import bundle, merkle, opener
from edge_scanner.core.log import format as layout
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.log.errors import BodyAlteredError, FrameAlteredError, SharesMissingError
from edge_scanner.core.log.frames import ClockEvent, Minute
from edge_scanner.core.messages import AuditAction, Sender
from edge_scanner.core.model import ClockQuality, Encounter, Link
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.answer import AuditRecord, Extent, Part
from edge_scanner.device.storage.extract import extract
from tests.support.authority import edge_authority
from tests.support.box_lists import write_boxes
from tests.support.office import DAY_S, HOUR_S, Office
from tests.support.pulling import PullBox, pull_box
from tests.support.recipients import Parties, parties

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW_S = 1_795_903_200 + 600
OFFICE = Office(NOW_S)
PHONE = hashlib.sha256(b"phone").digest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A bundle of two hours on disk, the box it came from, and both parties."""

    folder: Path
    box: PullBox
    people: Parties
    asked: requests.Asked

    @property
    def request(self) -> requests.Request:
        """What was asked."""
        return self.asked.request

    def verify(self, **given: Any) -> verify.Verdict:
        """The verdict."""
        return verify.verify(self.folder, self.box.box, **given)

    def keys(self, *roles: str) -> dict[bytes, bytes]:
        """Private keys by id."""
        return self.people.keys(*roles)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Four hours sealed, two of them answered."""
    async with make(tmp_path) as made:
        yield made


@asynccontextmanager
async def make(tmp_path: Path) -> AsyncIterator[Scene]:
    """A phone was there in every minute; the request is for 100 minutes of two segments."""
    heard = {
        minute_s: [
            Encounter(
                protocol_tag=1, payload=PHONE, adverts=2, rssi_mean=-70, rssi_max=-66, first_second=3, last_second=30
            )
        ]
        for minute_s in range(NOW_S - 4 * HOUR_S, NOW_S, 60)
    }
    people = parties(NOW_S)
    async with pull_box(tmp_path / "box", OFFICE, people, start_s=NOW_S - 4 * HOUR_S, end_s=NOW_S, heard=heard) as box:
        device = box.identity.device_id
        document = OFFICE.signed(OFFICE.request(device, from_s=NOW_S - 3 * HOUR_S, to_s=NOW_S - 3 * HOUR_S + 6000))
        asked = requests.read(document)
        record = AuditRecord(
            action=AuditAction.ANSWER,
            at_s=NOW_S,
            device=device,
            request=asked.request.digest,
            from_s=asked.request.from_s,
            to_s=asked.request.to_s,
        )
        extent = Extent(
            made_s=NOW_S, quality=ClockQuality.NTP, audit_entries=0, audit_head="", tree_size=0, first=-1, last=-1,
            last_frames=0,
        )  # fmt: skip
        made = await extract(box.store, box.identity.key, record, extent)
        folder = tmp_path / "bundles" / device
        folder.mkdir(parents=True)
        (folder / MANIFEST_NAME).write_bytes(made.manifest)
        body, number = b"", 0
        while piece := await made.piece(Part.BODY, number):
            body, number = body + piece, number + 1
        (folder / BODY_NAME).write_bytes(body)
        (tmp_path / "approved.json").write_bytes(document)
        (tmp_path / "root.pem").write_bytes(OFFICE.root_pem)
        yield Scene(folder=folder, box=box, people=people, asked=asked)


async def published(box: PullBox) -> list[bytes]:
    """What a collector would have kept of this box: its boot records."""
    boots = [boot async for boot in box.store.boots()]
    sender = Sender(device=box.identity.device_id, site="x", boot=0)
    return [messages.boot(boot, sender=sender, created_s=NOW_S - 4 * HOUR_S).payload for boot in boots]


async def test_a_good_bundle_holds_and_says_what_it_cannot_prove(scene: Scene) -> None:
    """Without anything published the tail is the box's word; with the recipient set that is checked, too."""
    verdict = scene.verify(recipients=[scene.people.recipients])

    assert verdict.holds
    assert verdict.segments == 2
    assert verdict.recipients_checked
    assert verdict.proven_until_s is None
    assert verdict.request == scene.request.digest.hex()
    for language in ("vi", "en"):
        assert len(verify.proven(verdict, language)) == 4
        assert len(verify.not_proven(verdict, language)) >= 2


async def test_published_statements_move_the_proof(scene: Scene, tmp_path: Path) -> None:
    """Boot records and links before the bundle was made are compared; later ones are counted and left out."""
    header = [one async for one in scene.box.store.headers(float("-inf"), float("inf"))][1]
    frames = [frame async for frame in scene.box.store.frames(header.seq)]
    link = layout.link_of(hashlib.sha256(header.header).digest(), frames[:30])
    count = {
        "kind": "counts", "device": scene.box.identity.device_id, "at": NOW_S - 2 * HOUR_S,
        "link": {"segment": header.seq, "frame": 30, "link": link.hex()},
    }  # fmt: skip
    later = {**count, "at": NOW_S + 60, "link": {**count["link"], "segment": 99}}  # type: ignore[dict-item]
    lines = [*await published(scene.box), json.dumps(count).encode(), json.dumps(later).encode()]
    path = tmp_path / "published.jsonl"
    path.write_bytes(b"\n".join([*lines, b'{"kind":"counts","device":"7K3M9Q2X4T"}']))

    verdict = scene.verify(statements=evidence.read(path, scene.box.identity.device_id))

    assert verdict.holds
    assert (verdict.boots, verdict.links, verdict.later) == (1, 1, 1)
    assert verdict.proven_until_s == NOW_S - 2 * HOUR_S
    count["link"]["link"] = "00" * 32  # type: ignore[index]
    path.write_bytes(json.dumps(count).encode())
    forged = scene.verify(statements=evidence.read(path, scene.box.identity.device_id))
    assert forged.code == "link-mismatch"


async def test_a_checkpoint_that_saw_more_proves_a_roll_back(scene: Scene, tmp_path: Path) -> None:
    """A note about a longer log than the box now admits, as a plain file of notes."""
    device = scene.box.identity.device_id
    stranger = merkle.checkpoint(device, bytes(8), Ed25519PrivateKey.generate(), merkle.tree_of([bytes(32)] * 9))
    path = tmp_path / "notes.txt"
    path.write_bytes(stranger + b"\n" + stranger)

    statements = evidence.read(path, device)
    verdict = scene.verify(statements=statements)

    assert [one.note for one in statements] == [stranger, stranger]
    assert (verdict.holds, verdict.unvouched, verdict.checkpoints) == (True, 2, 0)
    link = evidence.Statement(device=device, at_s=NOW_S - 60, link=Link(seq=9, frame=1, digest=bytes(32)))
    assert scene.verify(statements=[link]).code == "rolled-back"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body[:-5], "body-altered"),
        (lambda body: body[:40_000] + bytes([body[40_000] ^ 1]) + body[40_001:], ""),
        (lambda body: body + b"F", "body-altered"),
        (lambda _body: b"", "body-altered"),
    ],
)
async def test_a_touched_body_does_not_hold(scene: Scene, change: Any, code: str) -> None:
    """Cut, flipped, longer, empty: named, exit code 65, and nothing of it can be opened."""
    path = scene.folder / BODY_NAME
    path.write_bytes(change(path.read_bytes()))

    verdict = scene.verify()

    assert not verdict.holds
    assert verdict.code == code or not code
    with pytest.raises(BadDataError):
        unseal.segments(scene.folder, scene.box.box, scene.request)
    assert verify.proven(verdict, "en") == []
    assert verdict.code in verify.not_proven(verdict, "vi")[0]


async def test_another_box_s_key_does_not_fit(scene: Scene) -> None:
    """The manifest is signed by the box that made it."""
    other = replace(scene.box.box, identity=OFFICE.root.public_key().public_bytes_raw())

    assert verify.verify(scene.folder, other).code == "document-forged"


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
    _, found = unseal.segments(scene.folder, scene.box.box, order)
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
        unseal.check_order(once, [OFFICE.root.public_key()])
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
        "pull", "--from-usb", tmp_path / "bundles", "--out", tmp_path / "in", "--boxes", tmp_path / "boxes.csv"
    )
    assert done.code == 0, done.stderr

    good = edge_authority("verify", tmp_path / "in", "--boxes", tmp_path / "boxes.csv", "--json")
    assert (good.code, json.loads(good.stdout)["holds"]) == (0, True)
    page = edge_authority("verify", tmp_path / "in" / box.device, "--boxes", tmp_path / "boxes.csv", "--lang", "en")
    assert "The bundle holds" in page.stdout
    body = tmp_path / "in" / box.device / BODY_NAME
    body.write_bytes(body.read_bytes()[:-1])
    bad = edge_authority("verify", tmp_path / "in", "--boxes", tmp_path / "boxes.csv")
    assert bad.code == 65
    assert "KHÔNG hợp lệ" in bad.stdout


def test_opened_files_expire_and_are_purged(tmp_path: Path) -> None:
    """A failed opening leaves nothing; purge shreds what has expired and leaves everything else alone."""
    with pytest.raises(ZeroDivisionError), opened.create(tmp_path / "a", request="", case="", now_s=NOW_S):
        raise ZeroDivisionError
    assert not (tmp_path / "a").exists()
    with pytest.raises(BadDataError), opened.create(tmp_path / "a", request="", case="", now_s=NOW_S, days=31):
        pass
    with opened.create(tmp_path / "old", request="", case="", now_s=NOW_S - 400 * DAY_S):
        pass
    with opened.create(tmp_path / "new", request="", case="", now_s=NOW_S + 400 * DAY_S):
        pass
    (tmp_path / "letter.txt").write_text("mine")

    done = edge_authority("purge", tmp_path)

    assert done.code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt", "new"]
    assert edge_authority("purge", "--now", tmp_path / "new").code == 0
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"kind":"checkpoint","device":"K7MP2R9CX4"}',
        b'{"kind":"boot","device":"K7MP2R9CX4","at":1,"record":"?"}',
    ],
)
def test_evidence_that_cannot_be_read_names_its_line(tmp_path: Path, line: bytes) -> None:
    """The collector's file is somebody else's."""
    (tmp_path / "published.jsonl").write_bytes(
        b'{"kind":"health","device":"K7MP2R9CX4"}\n' + line.replace(b"{", b'{"to":"K7MP2R9CX4",', 1)
    )

    with pytest.raises(BadDataError, match="line 2"):
        evidence.read(tmp_path / "published.jsonl", "K7MP2R9CX4")


def test_a_folder_without_a_bundle_is_named(tmp_path: Path) -> None:
    """And so is a manifest that is none."""
    with pytest.raises(StorageError, match="no bundle"):
        verify.folders(tmp_path)
    (tmp_path / bundle.MANIFEST_NAME).write_text("[]")
    with pytest.raises(BadDataError):
        verify.device_of(tmp_path)
