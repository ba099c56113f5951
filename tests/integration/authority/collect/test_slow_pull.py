"""A pull over slow and lossy lines, in simulated time: what is sent, how long it takes, what the screen says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.collect.collection import State
from edge_scanner.core.pull.answer import PIECE_BYTES
from tests.support.slow_line import Line, in_simulated_time
from tests.support.slow_pull import LINES, Answered, Watch, answered_box, centre, wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MOST = 1.2
"""Bytes sent for each byte wanted."""


@pytest.fixture
async def answered(tmp_path: Path) -> AsyncIterator[Answered]:
    """Some hours of a box, asked for and answered over a fast line."""
    async with answered_box(tmp_path / "box") as box:
        yield box


@pytest.mark.parametrize("speed", LINES)
@pytest.mark.parametrize("whose", ["box", "authority"])
def test_a_slow_line_carries_each_piece_once(
    answered: Answered, tmp_path: Path, whose: str, speed: tuple[float, float, float]
) -> None:
    """Hardly more bytes than wanted, in hardly more time than the line needs for them, on one connection."""
    per_s, delay_s, lost = speed
    line, watch = Line(per_s, delay_s, lost), Watch()

    states = in_simulated_time(watch.pull(answered, centre(answered, line, whose), tmp_path / "desk"))

    size = wanted(tmp_path / "desk")
    assert states == (State.DONE,)
    assert size > 10 * PIECE_BYTES
    assert line.sent / size <= MOST
    assert watch.connections == [1, 1]
    if not lost and size / per_s > 20 * delay_s:
        assert watch.took_s <= MOST * size / per_s + 20 * delay_s


@pytest.mark.parametrize("whose", ["box", "authority"])
def test_the_remaining_time_is_true(answered: Answered, tmp_path: Path, whose: str) -> None:
    """What is shown after a few pieces is what it took, within a quarter."""
    watch = Watch()

    in_simulated_time(watch.pull(answered, centre(answered, Line(8_000), whose), tmp_path / "desk"))

    late = watch.shown[4:-2]
    assert len(late) > 10
    for at_s, remaining_s in late:
        assert remaining_s == pytest.approx(watch.took_s - at_s, rel=0.25, abs=10)


def test_lost_pieces_are_asked_for_once_more(answered: Answered, tmp_path: Path) -> None:
    """A connection that ends takes what was under way with it: that alone is sent twice."""
    line, watch = Line(8_000), Watch()

    async def scenario() -> tuple[State, ...]:
        loop = asyncio.get_running_loop()
        for at_s in (20.0, 80.0, 81.0):
            loop.call_at(at_s, lambda: setattr(line, "lose_next", 2))
        return await watch.pull(answered, centre(answered, line, "box"), tmp_path / "desk")

    states = in_simulated_time(scenario())

    assert states == (State.DONE,)
    assert line.sent <= MOST * wanted(tmp_path / "desk") + 6 * PIECE_BYTES


def test_a_silence_costs_no_bytes(answered: Answered, tmp_path: Path) -> None:
    """Fifty seconds without a signal: what is on the line comes after all, and nothing is sent again."""
    line, watch = Line(8_000), Watch()

    async def scenario() -> tuple[State, ...]:
        asyncio.get_running_loop().call_at(60.0, lambda: line.pause(50.0))
        return await watch.pull(answered, centre(answered, line, "box"), tmp_path / "desk")

    assert in_simulated_time(scenario()) == (State.DONE,)
    assert line.sent <= MOST * wanted(tmp_path / "desk")


def test_the_minute_s_messages_pass_a_pull(answered: Answered, tmp_path: Path) -> None:
    """On 8 kB/s what a box has to say meanwhile waits for a few pieces, not for a window."""
    watch = Watch()
    watch.speaks_every_s = 15.0

    in_simulated_time(watch.pull(answered, centre(answered, Line(8_000), "box"), tmp_path / "desk"))

    assert len(watch.waited) > 10
    assert max(watch.waited) < 3.5 * PIECE_BYTES / 8_000
