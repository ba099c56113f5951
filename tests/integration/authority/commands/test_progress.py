"""The screen of a pull: a line a box on a terminal, a sentence a change elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from edge_scanner.authority.collect.boxes import Box
from edge_scanner.authority.collect.collection import Collection, State
from edge_scanner.authority.commands.progress import PullView
from edge_scanner.core.pull.answer import PIECE_BYTES, Answer
from edge_scanner.mqtt.brokerlink import BrokerState, Trouble
from tests.support.office import Office

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.language import errors

NAMES = ("K7MP2R9CX4", "7K3M9Q2X4T", "3T5W8Z1B9D")
OFFICE = Office(1_795_903_200)

ANSWER = Answer(
    device=NAMES[2],
    authority=OFFICE.authority,
    case="",
    request=bytes(32),
    at_s=0,
    audit_entries=0,
    audit_head=bytes(32),
    body_bytes=100 * PIECE_BYTES,
)


def collections(folder: Path) -> list[Collection]:
    """Three boxes, of which one is done and one has refused."""
    request = OFFICE.request(*NAMES)
    boxes = [Box(device=name, site="x", room="", name=f"Chợ {name[0]}", identity=bytes(32)) for name in NAMES]
    made = [Collection(folder / box.device, box, request) for box in boxes]
    made[0].state = State.DONE
    made[1].state, made[1].code = State.REFUSED, "quota"
    return made


def test_one_line_a_box_and_the_broker_s_trouble(tmp_path: Path) -> None:
    """Id, place and state; the sum; why there is no connection."""
    view = PullView("vi")
    for collection in collections(tmp_path):
        view.update(collection)
    view.connection(BrokerState(connected=False, trouble=Trouble.NAME_UNKNOWN, detail="the broker's name is unknown"))
    console = Console(width=220, record=True)
    with console.capture() as shown:
        console.print(view._table())

    text = shown.get()
    assert "K7MP-2R9C-X4" in text
    assert "từ chối: thiết bị đã trả lời đủ số lệnh trong 24 giờ; thử lại ngày mai (quota)" in text
    assert "2 / 3" in text
    assert "không tra được tên của máy chủ MQTT" in text


def test_a_file_gets_each_change_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is repeated while nothing changes."""
    with PullView("en") as view:
        for _ in range(3):
            for collection in collections(tmp_path):
                view.update(collection)
        view.later()

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[1].endswith("try again tomorrow (quota)")
    assert {outcome.state for outcome in view.final().values()} == {State.REFUSED}


@pytest.mark.parametrize(
    ("language", "left_s", "words"),
    [
        ("en", 20.0, "answering, 25 %, about 1 min left"),
        ("vi", 700.0, "đang trả lời, 25 %, còn khoảng 12 phút"),
        ("en", 9000.0, "answering, 25 %, about 2 h left"),
        ("en", None, "answering, 25 %"),
    ],
)
def test_a_box_that_is_answering_says_how_far_and_how_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: errors.Language, left_s: float | None, words: str
) -> None:
    """A line for every tenth, each with the remaining time; on a terminal the time stands beside the bar."""
    box = collections(tmp_path)[2]
    box.state = State.ANSWERING
    with PullView(language) as view:
        box.answer = ANSWER
        for done in (10, 25, 26, 29):
            box._have = set(range(done))
            box.remaining_s = left_s
            view.update(box)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(words)
    with (console := Console(width=220, record=True)).capture() as shown:
        console.print(view._table())
    assert words.rsplit(", ", 1)[-1] in shown.get() or left_s is None
