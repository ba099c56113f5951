"""What the collector believes: the topic's box, the schema's document, the content's key, the box's signature."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.central.collect.judge import Heard, Judge
from edge_scanner.central.store.model import Reason, Release, SetAside, State, Statement
from edge_scanner.core.messages import KINDS
from tests.support.publishing import Publisher, heard, judge

if TYPE_CHECKING:
    from edge_scanner.core.model import Message

BOX, OTHER = Publisher(), Publisher("K7MP2R9CX4")
SAID = BOX.hours(2) + BOX.restart() + [BOX.status()]
JUDGE = judge(BOX, OTHER)


def changed(message: Message, **changes: Any) -> Heard:
    """A message with other fields."""
    body = json.loads(message.payload) | changes
    return heard(message, payload=json.dumps(body).encode())


def of_kind(kind: str) -> Message:
    """The newest message of a kind."""
    return [one for one in [*BOX.said, *SAID] if one.kind == kind][-1]


def reason(given: Heard) -> Reason | None:
    """Why it is set aside, None when it is believed."""
    row = JUDGE.judge(given)
    return row.reason if isinstance(row, SetAside) else None


def test_what_a_box_says_is_believed() -> None:
    """Every message of a real log becomes its row."""
    rows = [JUDGE.judge(heard(one)) for one in [*BOX.said, of_kind("status")]]

    assert {type(row) for row in rows} == {Release, Statement, State}
    release = next(row for row in rows if isinstance(row, Release))
    assert (release.site, release.figures["nearby"], release.scale > 0) == ("ben-xe-mien-dong", 600, True)
    assert {row.kind for row in rows if isinstance(row, Statement)} == {"boot", "checkpoint"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_examples_follow_their_schemas(kind: str) -> None:
    """Each example of a schema passes as far as a signature or a list would decide."""
    schema = json.loads(resources.files("edge_scanner.schemas").joinpath(f"{kind}.schema.json").read_text())
    for example in schema["examples"]:
        topic = f"edge-scanner/v1/d/{example['device']}/up/{kind}"
        given = Heard(topic=topic, payload=json.dumps(example).encode(), retained=False, received=example["at"])
        row = JUDGE.judge(given)
        assert not isinstance(row, SetAside) or row.reason in {Reason.SIGNATURE, Reason.KEY}, row


def test_one_box_cannot_speak_for_another() -> None:
    """A payload about another box on one's own topic, or another kind than the topic's, is set aside."""
    counts = of_kind("counts")
    foreign = counts.topic.replace(BOX.device, OTHER.device)

    assert reason(heard(counts, topic=foreign)) is Reason.TOPIC
    assert reason(changed(counts, device=OTHER.device)) is Reason.TOPIC
    assert reason(heard(counts, topic=counts.topic.replace("/up/", "/down/"))) is Reason.TOPIC
    assert reason(heard(counts, topic=f"{counts.topic}/more")) is Reason.TOPIC
    assert reason(heard(counts, topic="x")) is Reason.TOPIC


def test_a_key_is_its_contents() -> None:
    """Nobody keeps the place of another bin, run or number."""
    counts = of_kind("counts")

    assert reason(changed(counts, key=f"{BOX.device}/counts/broker/1")) is Reason.KEY
    assert reason(changed(of_kind("status"), seq=99)) is Reason.KEY
    assert reason(changed(of_kind("boot"), number=99, key=f"{BOX.device}/boot/99")) is Reason.KEY
    assert reason(changed(of_kind("checkpoint"), segments=99, key=f"{BOX.device}/checkpoint/1/99")) is Reason.KEY


def test_the_list_decides_who_is_a_box() -> None:
    """Not listed, out of service, or without a key for what is signed."""
    empty = Judge({})
    retired = Judge({BOX.device: replace(BOX.listed, state="revoked")})
    keyless = Judge({BOX.device: replace(BOX.listed, identity=b"")})

    def why(judge: Judge, message: Message) -> object:
        return getattr(judge.judge(heard(message)), "reason", None)

    assert why(empty, of_kind("counts")) is Reason.UNLISTED
    assert why(retired, of_kind("counts")) is Reason.OUT_OF_SERVICE
    assert (why(keyless, of_kind("checkpoint")), why(keyless, of_kind("counts"))) == (Reason.UNLISTED, None)


def test_only_the_box_signs_for_its_log() -> None:
    """A checkpoint or boot record with another's signature, or a changed one, is set aside."""
    swapped = Judge({BOX.device: replace(BOX.listed, identity=OTHER.listed.identity)})
    for kind in ("boot", "checkpoint"):
        row = swapped.judge(heard(of_kind(kind)))
        assert isinstance(row, SetAside)
        assert row.reason is Reason.SIGNATURE
    note = json.loads(of_kind("checkpoint").payload)["note"]
    assert reason(changed(of_kind("checkpoint"), note=note[: note.index("\n\n") + 2])) is Reason.SIGNATURE
    assert reason(changed(of_kind("boot"), record="not base64")) in {Reason.SIGNATURE, Reason.SCHEMA}


@pytest.mark.parametrize("kind", ["counts", "status", "checkpoint"])
@pytest.mark.parametrize("depth", [*range(100, 1100, 25), 4000])
def test_however_deep_it_is_nobody_falls_in(kind: str, depth: int) -> None:
    """Lists in lists, in a message that is otherwise good: set aside, or believed without them, never an error."""
    body = of_kind(kind).payload.removesuffix(b"}") + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    row = JUDGE.judge(replace(heard(of_kind(kind)), payload=body))
    if isinstance(row, SetAside):
        assert row.reason in {Reason.SCHEMA, Reason.SIZE}


@pytest.mark.parametrize("sign", ["é", "\u2028", "=", " ", "²", "٣"])
def test_a_note_with_a_strange_sign_is_set_aside(sign: str) -> None:
    """Wherever it stands: in the text, in a key's name, in a signature."""
    note = json.loads(of_kind("checkpoint").payload)["note"]
    for place in range(len(note) + 1):
        row = JUDGE.judge(changed(of_kind("checkpoint"), note=f"{note[:place]}{sign}{note[place:]}"))
        assert not isinstance(row, SetAside) or row.reason in {Reason.SIGNATURE, Reason.KEY}
    assert reason(changed(of_kind("boot"), record=sign * 8)) in {Reason.SIGNATURE, Reason.SCHEMA}


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"a":' * 3000, b'{"v":1}', b'"' + b"a" * 5 + b'"',
        b'{"v":1,"kind":"counts","site":"\\u0000"}', b'{"v":NaN}', b'{"v":1e400}',
    ],
)  # fmt: skip
def test_what_is_no_document_is_set_aside(payload: bytes) -> None:
    """Broken JSON, other JSON, a NUL, numbers that are none."""
    topic = f"edge-scanner/v1/d/{BOX.device}/up/counts"
    row = JUDGE.judge(Heard(topic=topic, payload=payload, retained=False, received=1))
    assert isinstance(row, SetAside)
    assert row.reason in {Reason.SCHEMA, Reason.SIZE}


@pytest.mark.parametrize(
    ("field", "value"),
    [("boot", 1 << 60), ("figures", {"nearby": 1 << 60}), ("scale", -1), ("figures", {"nearby": 1.5}), ("v", 2)],
)
def test_numbers_that_no_column_holds_are_set_aside(field: str, value: object) -> None:
    """Beyond 2^53, not positive, or not whole."""
    assert reason(changed(of_kind("counts"), **{field: value})) is Reason.SCHEMA


def test_a_long_payload_is_cut() -> None:
    """What is set aside is bounded, its topic too."""
    row = JUDGE.judge(Heard(topic="x\0" * 400, payload=b"a" * 100_000, retained=False, received=1))
    assert isinstance(row, SetAside)
    assert (len(row.payload), len(row.topic) <= 200, "\0" in row.topic) == (8192, True, False)
    counts = of_kind("counts")
    assert reason(heard(counts, payload=counts.payload + b" " * 9000)) is Reason.SIZE


def test_a_bin_far_from_now_is_set_aside() -> None:
    """Years of the future cannot be written ahead, nor years of the past."""
    counts = of_kind("counts")
    assert reason(heard(counts, received=int(counts.created_s) - 7300)) is Reason.CLOCK
    assert reason(heard(counts, received=int(counts.created_s) + 63 * 86_400)) is Reason.CLOCK


def test_a_retained_status_is_as_old_as_it_says() -> None:
    """Nobody is heard again because the broker repeats his last word."""
    status = of_kind("status")
    row = JUDGE.judge(heard(status, retained=True, received=int(status.created_s) + 90_000))
    assert isinstance(row, State)
    assert row.received == row.at


@given(st.binary(max_size=400), st.text(max_size=80))
def test_nothing_raises(payload: bytes, topic: str) -> None:
    """Whatever anybody sends becomes a row."""
    for where in (topic, f"edge-scanner/v1/d/{BOX.device}/up/counts", f"edge-scanner/v1/d/{BOX.device}/up/boot"):
        assert isinstance(JUDGE.judge(Heard(topic=where, payload=payload, retained=False, received=1)), SetAside)
