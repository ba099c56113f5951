"""The screen of a pull: a line a box on a terminal, a sentence a change elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from edge_scanner.authority.collect.boxes import Box
from edge_scanner.authority.collect.collection import Collection, State
from edge_scanner.authority.commands.progress import PullView
from edge_scanner.mqtt.brokerlink import BrokerState, Trouble
from tests.support.office import Office

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NAMES = ("K7MP2R9CX4", "7K3M9Q2X4T", "3T5W8Z1B9D")
OFFICE = Office(1_795_903_200)


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
    view.connection(BrokerState(connected=False, trouble=Trouble.TAKEN_OVER, detail="another client connected"))
    console = Console(width=220, record=True)
    with console.capture() as shown:
        console.print(view._table())

    text = shown.get()
    assert "K7MP-2R9C-X4" in text
    assert "từ chối: thiết bị đã trả lời đủ số lệnh trong 24 giờ; thử lại ngày mai (quota)" in text
    assert "2 / 3" in text
    assert "another client connected" in text


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
