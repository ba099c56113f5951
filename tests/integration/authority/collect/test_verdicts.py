"""What a bundle proves and what it does not: published statements, forgeries, roll-backs, touched bodies."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority.collect import evidence, verify
from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.open import unseal
from edge_scanner.core import messages, signed
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.core.log import bundle, merkle
from edge_scanner.core.log import format as layout
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import ClockQuality, MessageKind
from edge_scanner.core.pull import answer
from tests.support.answered import NOW_S, OFFICE, Scene
from tests.support.office import DAY_S, HOUR_S

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.pull import request as requests
    from tests.support.pulling import PullBox


async def published(box: PullBox) -> list[bytes]:
    """What a collector would have kept of this box, topic and payload: its boot records."""
    boots = [boot async for boot in box.store.boots()]
    sender = Sender(device=box.identity.device_id, site="x", boot=0)
    told = [messages.boot(boot, sender=sender, created_s=NOW_S - 4 * HOUR_S) for boot in boots]
    return [f"{message.topic} {message.payload.hex()}".encode() for message in told]


def on_topic(body: dict[str, Any], topic_of: str = "") -> bytes:
    """A message as the collector writes it, on its own box's topic or another's."""
    topic = messages.topic(topic_of or body["device"], body["kind"])
    return f"{topic} {json.dumps(body).encode().hex()}".encode()


async def test_a_good_bundle_holds_and_says_what_it_cannot_prove(scene: Scene) -> None:
    """Without anything published the tail is the box's word; with the recipient set that is checked, too."""
    verdict = scene.verify(recipients=[scene.people.recipients])

    assert verdict.holds
    assert verdict.segments == 2
    assert verdict.recipients_checked
    assert verdict.proven_until_s is None
    assert verdict.request == scene.request.digest.hex()
    for language in ("vi", "en"):
        assert len(verdicts.proven(verdict, language)) == 4
        assert len(verdicts.not_proven(verdict, language)) >= 2


async def counted(scene: Scene, frames: int = 30) -> dict[str, Any]:
    """A count message of the box with a link that is right."""
    header = [one async for one in scene.box.store.headers(float("-inf"), float("inf"))][1]
    rows = [frame async for frame in scene.box.store.frames(header.seq)]
    link = layout.link_of(hashlib.sha256(header.header).digest(), rows[:frames])
    return {
        "kind": "counts", "device": scene.box.identity.device_id, "at": NOW_S - 2 * HOUR_S,
        "link": {"segment": header.seq, "frame": frames, "link": link.hex()},
    }  # fmt: skip


def heard(scene: Scene, tmp_path: Path, *lines: bytes) -> evidence.Published:
    """What is read of the collector's file."""
    path = tmp_path / "published.txt"
    path.write_bytes(b"\n".join(lines))
    return evidence.read(path, scene.box.identity.device_id)


async def test_published_statements_move_the_proof(scene: Scene, tmp_path: Path) -> None:
    """Boot records and links before the bundle was made are compared; later ones are counted and left out."""
    count = await counted(scene)
    later = {**count, "at": NOW_S + 60, "link": {**count["link"], "segment": 99}}
    foreign = b'{"kind":"counts","device":"7K3M9Q2X4T"}'

    verdict = scene.verify(
        published=heard(scene, tmp_path, *await published(scene.box), on_topic(count), on_topic(later), foreign)
    )

    assert verdict.holds
    assert (verdict.boots, verdict.links, verdict.later) == (1, 1, 1)
    assert verdict.proven_until_s == NOW_S - 2 * HOUR_S
    told = " ".join(verdicts.not_proven(verdict, "en"))
    assert "made: 1 statement. The log went on" in told
    assert "nothing later" not in told


async def test_nothing_is_proven_until_later_than_the_bundle(scene: Scene, tmp_path: Path) -> None:
    """A true statement that bears tomorrow's date, whoever put it there, proves no more than the bundle has."""
    (boot,) = [boot async for boot in scene.box.store.boots()]
    body = {
        "kind": "boot", "device": scene.box.identity.device_id, "at": NOW_S + DAY_S,
        "record": b64encode(boot.record).decode(),
    }  # fmt: skip

    verdict = scene.verify(published=heard(scene, tmp_path, on_topic(body)))

    assert (verdict.holds, verdict.boots) == (True, 1)
    assert verdict.proven_until_s == verdict.made_s < NOW_S + DAY_S


@pytest.mark.parametrize("topic_of", ["7K3M9Q2X4T", ""])
async def test_one_client_cannot_condemn_another_s_box(scene: Scene, tmp_path: Path, topic_of: str) -> None:
    """A link of segment 999999, and a wrong hash, on a rogue's topic or the box's own.

    Neither is signed: the bundle is intact, and the page says what was found and where it came from.
    """
    count = await counted(scene)
    beyond = {**count, "at": 1, "link": {"segment": 999_999, "frame": 1, "link": "00"}}
    wrong = {**count, "link": {**count["link"], "link": "00" * 32}}

    verdict = scene.verify(
        published=heard(scene, tmp_path, on_topic(beyond, topic_of), on_topic(wrong, topic_of), b'K7MP2R9CX4 {"no')
    )

    assert verdict.holds
    kinds = {kind for kind, _ in verdict.findings}
    assert kinds == {"foreign" if topic_of else "disagrees", "unreadable"}
    source = messages.topic(topic_of or "K7MP2R9CX4", MessageKind.COUNTS)
    assert source in " ".join(verdicts.not_proven(verdict, "en"))
    assert source in " ".join(verdicts.not_proven(verdict, "vi"))


async def test_an_export_that_the_box_published_is_told_from_a_card(scene: Scene, tmp_path: Path) -> None:
    """The box's topic named this export and the head in its manifest; a card read afterwards has the same head."""
    scene.exported(audit={"entries": 3, "head": "ab" * 32})
    device = scene.box.identity.device_id
    body = json.loads((scene.folder / MANIFEST_NAME).read_bytes())["body"]
    name = answer.export_name(device, body["from"], body["to"], body["made"]).hex()
    told = {"kind": "audit", "device": device, "at": NOW_S, "action": "export", "request": name, "head": "ab" * 32}
    path = tmp_path / "published.txt"
    path.write_bytes(on_topic(told))
    published = evidence.read(path, device)

    assert scene.verify().source == verdicts.CARD
    assert scene.verify(published=published).source == verdicts.EXPORTED
    for later in ({"made": body["made"] + 60}, {"audit": {"entries": 4, "head": "cd" * 32}}):
        scene.exported(**{"audit": {"entries": 3, "head": "ab" * 32}, **later})
        assert scene.verify(published=published).source == verdicts.CARD, later
        scene.exported(**body)


async def test_an_answer_that_was_never_announced_is_a_finding(scene: Scene, tmp_path: Path) -> None:
    """Who has the card signs an answer to a valid order; the box's own messages go on, and say nothing of it.

    Nothing is found where they announce it, end before it could be there, or were not collected.
    """
    device = scene.box.identity.device_id
    context = json.loads((scene.folder / MANIFEST_NAME).read_bytes())["body"]
    told = {
        "kind": "audit", "device": device, "at": NOW_S, "action": "request",
        "request": scene.request.digest.hex(), "head": context["audit"]["head"],
    }  # fmt: skip
    later = on_topic({**await counted(scene), "at": NOW_S + 2 * HOUR_S})
    finding = ("unannounced", messages.topic(device, MessageKind.AUDIT))

    def findings(*lines: bytes) -> tuple[tuple[str, str], ...]:
        verdict = scene.verify(published=heard(scene, tmp_path, *lines))
        assert verdict.holds
        return verdict.findings

    for other in ({"request": "ab" * 32}, {"head": "ab" * 32}, {"action": "refusal"}):
        assert findings(on_topic({**told, **other}), later) == (finding,), other
    assert findings(later) == (finding,)
    assert findings(on_topic(told), later) == ()
    assert findings(on_topic({**await counted(scene), "at": NOW_S + 60})) == ()
    verdict = scene.verify(published=heard(scene, tmp_path, later))
    assert finding[1] in " ".join(verdicts.not_proven(verdict, "en"))


async def test_a_forged_statement_condemns_nobody(scene: Scene, tmp_path: Path) -> None:
    """A checkpoint in the name of the box's run that its key did not sign, a boot record that identity did not sign."""
    boot = await anext(scene.box.store.boots())
    known = layout.parse_boot(boot.record)
    device = scene.box.identity.device_id
    note = merkle.checkpoint(device, known.boot_id, Ed25519PrivateKey.generate(), merkle.tree_of([bytes(32)] * 99))
    record = boot.record[:-1] + bytes([boot.record[-1] ^ 1])
    lines = (
        on_topic({"kind": "checkpoint", "device": device, "at": 1, "note": note.decode()}),
        on_topic({"kind": "boot", "device": device, "at": 1, "record": b64encode(record).decode()}),
    )

    verdict = scene.verify(published=heard(scene, tmp_path, *lines))

    assert verdict.holds
    assert {kind for kind, _ in verdict.findings} == {"forged"}
    assert verdict.proven_until_s is None


async def test_a_rolled_back_copy_cannot_hide_behind_its_own_date(scene: Scene) -> None:
    """With `made` before the end of the hours, later checkpoints would be passed over: such a time is implausible."""
    early = remade(scene, made_s=scene.request.to_s - 60)
    late = remade(scene, made_s=NOW_S + 3 * HOUR_S)
    before = remade(scene, made_s=scene.request.to_s, request=replace(scene.request, not_before_s=NOW_S + DAY_S))

    scene.exported(made=scene.request.to_s - 60)

    assert scene.verify().code == "made-implausible"
    assert early.code == "made-implausible"
    assert late.code == "made-implausible"
    assert before.code == "made-implausible"


@pytest.mark.parametrize("off_s", [-2 * HOUR_S, -60, -1, 0, 1, 600, HOUR_S, 3 * HOUR_S, 2 * DAY_S])
async def test_whatever_time_a_rolled_back_copy_states_it_does_not_hold(
    scene: Scene, tmp_path: Path, off_s: int
) -> None:
    """The box published that it had more before the hours ended; then the copy's own date is of no help to it."""
    longer = resigned_boot(scene, tree_size=99)
    told = {"kind": "boot", "device": scene.box.identity.device_id, "record": b64encode(longer).decode()}
    spoken = heard(scene, tmp_path, on_topic({**told, "at": scene.request.to_s - 60}))

    verdict = remade(scene, made_s=scene.request.to_s + off_s, published=spoken)

    assert verdict.code in {"made-implausible", "rolled-back"}
    assert (verdict.code == "rolled-back") == (off_s in {600, HOUR_S})


async def test_a_checkpoint_that_saw_more_proves_a_roll_back(scene: Scene, tmp_path: Path) -> None:
    """A note of an unknown run is none; one that the box signed about a longer log condemns it by its own word."""
    device = scene.box.identity.device_id
    stranger = merkle.checkpoint(device, bytes(8), Ed25519PrivateKey.generate(), merkle.tree_of([bytes(32)] * 9))
    path = tmp_path / "notes.txt"
    path.write_bytes(stranger + b"\n" + stranger)

    statements = evidence.read(path, device)
    verdict = scene.verify(published=statements)

    assert [one.note for one in statements.statements] == [stranger, stranger]
    assert (verdict.holds, verdict.unvouched, verdict.checkpoints) == (True, 2, 0)

    longer = resigned_boot(scene, tree_size=99)
    told = {"kind": "boot", "device": device, "at": NOW_S - 60, "record": b64encode(longer).decode()}
    assert scene.verify(published=heard(scene, tmp_path, on_topic(told))).code == "rolled-back"
    told["at"] = NOW_S + 60
    assert scene.verify(published=heard(scene, tmp_path, on_topic(told))).later == 1
    without_topic = scene.verify(published=heard(scene, tmp_path, json.dumps(told).encode()))
    assert [kind for kind, _ in without_topic.findings] == ["unreadable"]


def resigned_boot(scene: Scene, **changes: Any) -> bytes:
    """A boot record that the box itself signed, with another statement in it."""
    key = Ed25519PrivateKey.generate()
    boot = layout.BootStatement(
        device=scene.box.identity.device_id, number=9, boot_id=bytes(range(8)), utc_ms=0, monotonic_ms=0,
        quality=ClockQuality.NTP, public_key=key.public_key().public_bytes_raw(), tree_size=0, tree_root=bytes(32),
    )  # fmt: skip
    statement = layout.pack_boot(replace(boot, **changes))
    return statement + scene.box.identity.key.sign(layout.BOOT_LABEL + statement)


def remade(
    scene: Scene,
    *,
    made_s: int,
    request: requests.Request | None = None,
    published: evidence.Published = evidence.NOTHING,
) -> verdicts.Verdict:
    """The verdict when the box's own key signs its manifest with another time."""
    path = scene.folder / MANIFEST_NAME
    kept = path.read_bytes()
    body = {**json.loads(kept)["body"], "made": made_s}
    path.write_bytes(signed.sign(body, label=bundle.LABEL, keys=[scene.box.identity.key]))
    verdict = scene.verify(now_s=float(NOW_S), request=request or scene.request, published=published)
    path.write_bytes(kept)
    return verdict


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
    assert verdicts.proven(verdict, "en") == []
    assert verdict.code in verdicts.not_proven(verdict, "vi")[0]


async def test_another_box_s_key_does_not_fit(scene: Scene) -> None:
    """The manifest is signed by the box that made it."""
    other = replace(scene.box.box, identity=OFFICE.root.public_key().public_bytes_raw())

    assert verify.verify(scene.folder, other).code == "document-forged"


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"",
        b'{"kind":"checkpoint","device":"K7MP2R9CX4"}',
        b'{"kind":"boot","device":"K7MP2R9CX4","at":1,"record":"?"}',
        b'{"kind":"counts","device":"K7MP2R9CX4","at":"x","link":7}',
        b'{"kind":"counts","device":"K7MP2R9CX4","at":1e999,"link":{"segment":1,"link":"00"}}',
        b'{"kind":"counts","device":"K7MP2R9CX4","at":-1,"link":{"segment":1,"link":"00"}}',
        b'{"kind":"counts","device":"K7MP2R9CX4","at":1,"link":{"segment":Infinity,"link":"00"}}',
        b'{"device":"K7MP2R9CX4","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
@pytest.mark.parametrize("of", ["K7MP2R9CX4", "7K3M9Q2X4T"])
def test_evidence_that_cannot_be_read_is_counted_and_stops_nothing(tmp_path: Path, line: bytes, of: str) -> None:
    """The collector's file is somebody else's: one bad line is one bad line, whoever sent it."""
    line = line.replace(b"{", b'{"to":"K7MP2R9CX4",', 1)
    kept = (
        f"{messages.topic(of, MessageKind.HEALTH)} {b'{}'.hex()}\n{messages.topic(of, MessageKind.COUNTS)} {line.hex()}"
    )
    (tmp_path / "published.txt").write_text(kept)

    found = evidence.read(tmp_path / "published.txt", "K7MP2R9CX4")

    assert found.statements == ()
    assert found.unreadable + len(found.foreign) == (0 if not line and of != "K7MP2R9CX4" else 1)


def test_a_folder_without_a_bundle_is_named(tmp_path: Path) -> None:
    """And so is a manifest that is none."""
    with pytest.raises(StorageError, match="no bundle"):
        verify.folders(tmp_path)
    (tmp_path / bundle.MANIFEST_NAME).write_text("[]")
    with pytest.raises(BadDataError):
        verify.device_of(tmp_path)
