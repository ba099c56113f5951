"""The times of a capture: steps of its clock, glitched stamps, packets without a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.device.replay.captures.records import Link, Losses, Record
from edge_scanner.device.replay.captures.timeline import MAX_SILENCE_S, WAITING, Timeline

T = 1_600_000_000.0
IN_2096 = 4_000_000_000.0
YEAR_S = 365 * 86_400.0


def record(at_s: float, offset: int = 0) -> Record:
    """A record at a time."""
    return Record(at_s=at_s, link=Link.OTHER, data=b"", offset=offset)


def timed(*times_s: float) -> tuple[list[float], Losses]:
    """The believed times of records with these stamps, and what was counted."""
    losses = Losses()
    records = [record(at_s, number) for number, at_s in enumerate(times_s)]
    believed = list(Timeline(losses).timed(records))
    assert [one.offset for one in believed] == list(range(len(times_s)))
    return [one.at_s for one in believed], losses


@pytest.mark.parametrize(
    ("written", "believed", "steps", "aside"),
    [
        pytest.param([], [], 0, 0, id="nothing"),
        pytest.param([T], [T], 0, 0, id="one"),
        pytest.param([T, T + 5], [T, T + 5], 0, 0, id="two"),
        pytest.param([T, T - 30, T + 1], [T, T - 30, T + 1], 0, 0, id="slightly out of order"),
        pytest.param([T, T + 80_000], [T, T + 80_000], 0, 0, id="a silence of a night"),
        pytest.param([T, T + 10, T - 7200, T - 7190], [T, T + 10, T + 10, T + 20], 1, 0, id="set back"),
        pytest.param([0, 1, T, T + 1], [0, 1, T, T + 1], 1, 0, id="set by the network"),
        pytest.param([0, T], [0, T], 1, 0, id="set after one record"),
        pytest.param([T, IN_2096, T + 1, T + 9], [T, T, T + 1, T + 9], 0, 1, id="a stamp in the future"),
        pytest.param([T, T + 5, 0, T + 6], [T, T + 5, T + 5, T + 6], 0, 1, id="a stamp in 1970"),
        pytest.param([IN_2096, T, T + 1], [T, T, T + 1], 0, 1, id="the first stamp"),
        pytest.param([0, T, IN_2096, T + 1], [T, T, T, T + 1], 0, 2, id="two stamps around the first good one"),
        pytest.param(
            [T, IN_2096, 0, IN_2096 / 2, T + 1], [T, T, T, T, T + 1], 0, 3, id="several stamps, each elsewhere"
        ),
        pytest.param(
            [T, T, T - 9000, IN_2096, *(T - 9000 + n for n in range(20))],
            [T, T, T, T, *(T + n for n in range(20))],
            1,
            1,
            id="a glitch after a step",
        ),
        pytest.param([T, T + 2, T - 4000, T + 9 * YEAR_S], [T, T + 2, T + 2, T + 4002 + 9 * YEAR_S], 2, 0, id="both"),
    ],
)
def test_times(written: list[float], believed: list[float], steps: int, aside: int) -> None:
    """Each way in which a clock goes wrong gives the times that can be believed, and is counted."""
    told, losses = timed(*written)

    assert told == believed
    assert (losses.clock_steps, losses.stamps_set_aside) == (steps, aside)


@given(
    times=st.lists(st.one_of(st.floats(0, 4e9), st.floats(0, 100), st.floats(T, T + 100)), max_size=100),
)
def test_every_record_comes_out_once_in_order_of_the_file(times: list[float]) -> None:
    """Whatever the stamps say, no record is lost or doubled, and no more than a few wait."""
    coming = iter([record(at_s, number) for number, at_s in enumerate(times)])
    read = 0

    def counted() -> object:
        nonlocal read
        for one in coming:
            read += 1
            yield one

    written = 0
    losses = Losses()
    for one in Timeline(losses).timed(counted()):  # type: ignore[arg-type]
        assert one.offset == written
        written += 1
        assert read - written <= WAITING
    assert written == len(times)
    assert losses.stamps_set_aside >= 0


@given(steps=st.lists(st.floats(0, MAX_SILENCE_S), max_size=50))
def test_a_good_clock_is_left_alone(steps: list[float]) -> None:
    """Times that only go forward, with silences up to a day, stay as they are written."""
    times = [T]
    for step in steps:
        times.append(times[-1] + step)

    assert timed(*times) == (times, Losses())
