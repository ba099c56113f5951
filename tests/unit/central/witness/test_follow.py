"""The witness: a log that grows is followed without a word; one that was changed is found by what the box signed."""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.central.store.model import Batch, Head, Reason, SetAside
from edge_scanner.central.store.store import Store, open_store
from edge_scanner.central.witness import cosignature, follow, testimony
from edge_scanner.central.witness.follower import Follower
from edge_scanner.core import signed
from edge_scanner.core.errors import ConfigurationError, StorageError
from edge_scanner.core.log.errors import CheckpointForgedError
from edge_scanner.core.model import Link
from tests.support.publishing import Publisher, heard, judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_scanner.core.model import Message

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = "witness.example.vn/edge"
COSIGNER = cosignature.Cosigner(name=NAME, key=KEY)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with open_store(f"sqlite:///{tmp_path}/central.db") as opened:
        yield opened


class Witness:
    """Judge, follower and store, one message at a time or all at once."""

    def __init__(self, store: Store, *boxes: Publisher) -> None:
        self.store = store
        self._judge = judge(*boxes)
        self.follower = Follower(store.read, COSIGNER)

    def hear(self, given: Sequence[Message], *, retained: bool = False) -> list[str]:
        """Take messages in; the kinds of alarms that they raised."""
        before = len(self.store.read.alarms())
        for message in given:
            row = self._judge.judge(heard(message, retained=retained))
            assert not isinstance(row, SetAside), row
            self.store.keep(self.follower.follow([row]), now_s=message.created_s)
        raised = [one.alarm.kind for one in self.store.read.alarms()]
        return raised[: len(raised) - before]

    def head(self, box: Publisher) -> Head:
        """How far it has come."""
        return self.store.read.heads()[box.device]


def test_a_log_that_grows_is_proven_from_its_beginning(store: Store) -> None:
    """Two days with two power cuts: no alarm, the head is the last checkpoint, proven and cosigned."""
    box = Publisher()
    witness = Witness(store, box)

    alarms = witness.hear(box.said)
    for _ in range(3):
        alarms += witness.hear(box.hours(8) + box.hours(1, minutes=20) + box.restart() + [box.status()])

    assert alarms == []
    head = witness.head(box)
    assert (head.size, head.proven, head.boot) == (box.log.log.extension().size, True, 4)
    assert head.size > 25
    assert cosignature.check(head.note, name=NAME, key=KEY.public_key()) == head.received


def test_repeats_and_late_words_accuse_nobody(store: Store) -> None:
    """Everything a second time, and in another order: the head stays, no alarm."""
    box = Publisher()
    witness = Witness(store, box)
    box.hours(4)
    box.restart()
    box.hours(4)
    witness.hear(box.said)
    head = witness.head(box)

    assert witness.hear(box.said) == []
    assert Witness(store, box).hear(list(reversed(box.said))) == []
    assert witness.head(box) == head


def test_a_log_that_was_there_before_is_not_proven(store: Store) -> None:
    """First contact with an old log is believed and said to be unproven; what follows extends it."""
    box = Publisher()
    box.hours(5)
    witness = Witness(store, box)

    assert witness.hear(box.hours(3)) == []
    assert witness.head(box).proven is False


def test_a_restored_card_is_found(store: Store) -> None:
    """The state of some hours ago goes on: its boot record knows less of the log than was published."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(3))
    old = copy.deepcopy(box.log.stored)
    witness.hear(box.hours(3) + box.restart())
    box.log.stored = old

    alarms = witness.hear(box.restart())

    assert follow.ROLLED_BACK in alarms
    found = next(one.alarm for one in store.read.alarms() if one.alarm.kind == follow.ROLLED_BACK)
    assert found.evidence["head"]["size"] > 3
    assert found.evidence["message"]


def test_a_fork_is_found(store: Store) -> None:
    """Two histories from one card: the second one's checkpoint of a size that is known has another root."""
    box = Publisher()
    witness = Witness(store, box)
    copied = Publisher()
    copied.hours(3)
    witness.hear(box.said + box.hours(5))

    alarms = witness.hear([one for one in copied.hours(3, minutes=20) if one.kind == "checkpoint"])

    assert follow.FORK in alarms
    assert witness.head(box).size == box.log.log.extension().size


def test_a_rewritten_log_cannot_extend(store: Store) -> None:
    """A longer log whose beginning was changed: its proof does not lead to the head that was seen.

    Nor does one that somebody changed on the way; so the head stays, and nobody is accused.
    """
    box, other = Publisher(), Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(3))
    other.hours(3, minutes=30)
    other.log.now_s += 10
    longer = other.hours(1)[0]
    honest = json.loads(longer.payload)
    assert honest["extends"]["size"] == 2

    assert witness.hear([longer]) == [follow.DOUBT]
    assert witness.head(box).size == box.log.log.extension().size


def test_a_hole_is_said_and_proves_nothing(store: Store) -> None:
    """Checkpoints and boot records that never came: a gap, and the head is unproven from then on."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(3))
    box.hours(2)

    assert witness.hear(box.hours(2)) == [follow.GAP]
    assert witness.head(box).proven is False

    box.restart()
    assert follow.GAP in witness.hear(box.restart())


@pytest.mark.parametrize("proof", ["of a later size", "taken out"])
def test_what_is_not_linked_is_not_cosigned(store: Store, proof: str) -> None:
    """Behind a hole, or with the proof taken out on the way: a gap, and no signature of the witness from then on."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(3))
    before = witness.head(box)
    if proof == "of a later size":
        box.hours(2)
    new = [one if proof == "of a later size" else without_proof(one) for one in box.hours(2)]

    assert set(witness.hear(new)) == {follow.GAP}
    witness.hear(box.hours(2))

    assert COSIGNER.has_signed(before.note)
    assert witness.head(box).size > before.size
    assert not COSIGNER.has_signed(witness.head(box).note)


def without_proof(message: Message) -> Message:
    """A checkpoint as the broker's operator may send it on."""
    body = json.loads(message.payload)
    body.pop("extends", None)
    return replace(message, payload=json.dumps(body).encode())


def test_a_log_that_was_there_before_is_cosigned_from_the_first_contact(store: Store) -> None:
    """Nothing was signed of it before, so nothing is contradicted; each further head is linked to the first."""
    box = Publisher()
    box.hours(5)
    witness = Witness(store, box)

    witness.hear(box.hours(1))
    assert COSIGNER.has_signed(witness.head(box).note)
    witness.hear(box.hours(2))
    assert COSIGNER.has_signed(witness.head(box).note)
    assert witness.head(box).proven is False


def test_two_runs_at_once_are_doubted(store: Store) -> None:
    """The old run goes on speaking after a new one began: a copied card, or a status that somebody invented."""
    box = Publisher()
    witness = Witness(store, box)
    copied = Publisher()
    copied.hours(2)
    witness.hear(box.said + box.hours(2) + box.restart() + box.hours(1))
    copied.log.now_s += 2 * 3600

    assert witness.hear([copied.status()]) == [follow.DOUBT]
    assert witness.hear([copied.status()], retained=True) == []


@pytest.mark.parametrize("boot", [-1, 0, 1])
@pytest.mark.parametrize("later_s", [-3600, 60])
def test_nothing_unsigned_accuses_a_box(store: Store, boot: int, later_s: int) -> None:
    """Honest statements again under another run's number and another time, with a false proof, and invented words."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(2) + box.restart() + box.hours(2))
    fresh = box.hours(1)
    head = witness.head(box)
    forged = [
        forge(message, boot=box.log.boots + boot, at=int(box.log.now_s) + later_s, number=number)
        for number, message in enumerate([*box.said, box.status(), *fresh])
        if message.kind != "boot"
    ]

    alarms = set(witness.hear(forged))

    assert follow.DOUBT in alarms
    alarms |= set(witness.hear(fresh + box.restart() + box.hours(1)))
    assert alarms <= {follow.DOUBT, follow.GAP, follow.LINK, follow.CLOCK, "contradiction"}
    assert witness.head(box).size > head.size


def forge(message: Message, *, boot: int, at: int, number: int) -> Message:
    """The message as the broker's operator sends it on: what the box signed is as it was, everything else is not.

    Under the number of the run to come the proof is good, so that the head moves.
    """
    body = json.loads(message.payload) | {"boot": boot, "at": at}
    if "extends" in body and boot < 3:
        body["extends"]["proof"] = [b64encode(bytes([number]) * 32).decode()] * 3
    if "link" in body:
        body["link"] = {"segment": 999_999, "link": "00" * 32}
    mark = f"{boot}/{body['segments']}" if message.kind == "checkpoint" else f"{boot}/{body.get('seq')}"
    if message.kind != "counts":
        body["key"] = f"{body['device']}/{message.kind}/{mark}"
    return replace(message, payload=json.dumps(body).encode(), created_s=at)


def test_two_boot_records_of_one_number_are_a_copied_card(store: Store) -> None:
    """Two cards with one history both begin their next run."""
    box = Publisher()
    witness = Witness(store, box)
    copied = Publisher()
    copied.hours(2)
    copied.log.entropy = lambda buffer: buffer.__setitem__(slice(None), b"\x07" * len(buffer))
    witness.hear(box.said + box.hours(2) + box.restart())

    assert {follow.CLONE, "contradiction"} <= set(witness.hear(copied.restart()))


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_a_card_of_some_runs_ago_is_a_copied_card(store: Store, runs: int) -> None:
    """However many runs were published since: its next boot record has the number of one that is known."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(2) + box.restart())
    old, number = copy.deepcopy(box.log.stored), box.log.boots
    for _ in range(runs):
        witness.hear(box.hours(1) + box.restart())
    head = witness.head(box)
    box.log.stored, box.log.boots = old, number
    box.forget(number)
    box.log.entropy = lambda buffer: buffer.__setitem__(slice(None), b"\x07" * len(buffer))

    raised = Witness(store, box).hear(box.restart()[:1])

    assert {follow.CLONE, "contradiction"} <= set(raised)
    assert witness.head(box) == head


def test_a_clock_that_contradicts_is_said(store: Store) -> None:
    """A run that begins before the last one's word, and a word from the future."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(4))
    box.log.now_s -= 4 * 3600
    assert follow.CLOCK in witness.hear(box.restart())

    row = judge(box).judge(heard(box.said[0], received=int(box.said[0].created_s) - 9000))
    assert [one.kind for one in witness.follower.follow([row]).alarms] == [follow.CLOCK]


def test_a_link_beyond_the_log_is_said(store: Store) -> None:
    """A count message that saw a segment far beyond all checkpoints."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(2))

    far = box.counts(box.log.now_s // 3600 * 3600, link=Link(seq=99, digest=bytes(32)))

    assert witness.hear([far]) == [follow.LINK]


def test_another_collector_is_asked_before_anybody_is_accused(store: Store) -> None:
    """Two witnesses on one database share the messages: neither takes the other's progress for a hole."""
    box = Publisher()
    first, second = Witness(store, box), Witness(store, box)

    alarms = first.hear(box.said)
    for _ in range(4):
        alarms += first.hear(box.hours(1)) + second.hear(box.hours(1))

    assert alarms == []
    assert first.head(box).proven


def test_every_alarm_has_a_name_on_the_page() -> None:
    """What the page calls an alarm is in its texts, in both languages, and nothing else is."""
    texts = json.loads(resources.files("edge_scanner.central.serve").joinpath("texts.json").read_text("utf-8"))
    named = {key.removeprefix("alarm.") for key in texts if key.startswith("alarm.")}

    assert named == {*follow._SENTENCES, "contradiction", "flood", "silence"}


def test_the_witness_states_its_day(store: Store) -> None:
    """One signed statement a day, whose root is over the heads; nothing of it can be changed."""
    box = Publisher()
    witness = Witness(store, box)
    witness.hear(box.said + box.hours(3))
    now_s = box.log.now_s

    document = testimony.of_day(store, COSIGNER, now_s=now_s)

    assert document is not None
    assert testimony.of_day(store, COSIGNER, now_s=now_s) is None
    body = signed.verify(document, label=testimony.LABEL, keys=[KEY.public_key()], limit=testimony.MAX_BYTES)
    assert (body["boxes"], body["proven"], body["alarms"]) == (1, 1, 0)
    assert body["root"] == testimony.leaf(witness.head(box)).hex()
    assert testimony.message(document, client="fleet-collector", now_s=now_s).retain


def test_a_cosignature_holds_for_its_note_alone(store: Store) -> None:
    """Another note, another name, another key: not valid."""
    del store
    box = Publisher()
    notes = [json.loads(one.payload)["note"].encode() for one in box.hours(4) if one.kind == "checkpoint"]
    cosigned = cosignature.cosign(notes[0], 1_795_000_000, name=NAME, key=KEY)

    assert cosignature.check(cosigned, name=NAME, key=KEY.public_key()) == 1_795_000_000
    line = cosigned.splitlines(keepends=True)[-1]
    for note, name, key in (
        (notes[1] + line, NAME, KEY.public_key()),
        (cosigned, "other", KEY.public_key()),
        (cosigned, NAME, Ed25519PrivateKey.generate().public_key()),
        (notes[0], NAME, KEY.public_key()),
        (notes[0] + b"\xe2\x80\x94 " + NAME.encode() + b" AA\n", NAME, KEY.public_key()),
    ):
        with pytest.raises(CheckpointForgedError):
            cosignature.check(note, name=name, key=key)


def test_the_witness_key_is_closed(tmp_path: Path) -> None:
    """Made once with mode 600; a key that others read, another key, or no file is refused."""
    path = tmp_path / "witness.key"
    text = cosignature.make(path, NAME)
    assert text == cosignature.verifier_key(NAME, cosignature.load(path).public_key())
    assert text.startswith(f"{NAME}+")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageError):
        cosignature.make(path, NAME)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="others may read"):
        cosignature.load(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        cosignature.load(tmp_path / "none")


def test_a_batch_moves_one_head_once(store: Store) -> None:
    """Many messages in one commit: heads move along, and what was judged unbelievable moves nothing."""
    box = Publisher()
    rows = [judge(box).judge(heard(one)) for one in [*box.said, *box.hours(6)]]
    aside = SetAside(received=1, reason=Reason.SCHEMA, topic="t", payload=b"")

    batch = Follower(store.read).follow([*rows, aside])

    assert isinstance(batch, Batch)
    assert [head.size for head in batch.heads] == [box.log.log.extension().size]
    assert batch.alarms == ()
