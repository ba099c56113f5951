"""The seven days that shares come from: asked once an hour, and nobody waits for another reader's question."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.central.serve.questions import Week
from edge_scanner.central.store.engine import make_engine
from edge_scanner.central.store.model import Batch
from edge_scanner.central.store.reading import Reading
from edge_scanner.central.store.store import Store, open_store
from edge_scanner.core.errors import UnavailableError
from tests.support.central import DEVICES, HOUR_S, box_list, release
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_scanner.central.store.site_bins import SiteBin

NEXT_S = HOUR_S + 3600


class Gated(Reading):
    """Counts its answers; a shut gate holds a question back, and `away` fails it."""

    def __init__(self, url: str) -> None:
        super().__init__(make_engine(url))
        self.asked, self.away = 0, False
        self.came, self.gate = threading.Event(), threading.Event()
        self.gate.set()

    def bins(self, *arguments: Any, **named: Any) -> tuple[SiteBin, ...]:
        """The same answer, later."""
        self.came.set()
        assert self.gate.wait(PATIENCE_S)
        if self.away:
            raise UnavailableError("the database cannot be used")
        self.asked += 1
        return super().bins(*arguments, **named)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A listed fleet, one box of which has said an hour."""
    with open_store(f"sqlite:///{tmp_path}/central.db") as opened:
        opened.take_list(box_list())
        opened.keep(Batch(releases=(release(),)), now_s=NEXT_S)
        yield opened


@pytest.fixture
def read(store: Store) -> Iterator[Gated]:
    """Questions to that store."""
    made = Gated(f"sqlite:///{store.place}")
    yield made
    made._engine.dispose()


def _bluezone(bins: tuple[SiteBin, ...]) -> float:
    return sum(one.figures["bluezone"] for one in bins)


def test_an_hour_is_asked_once(store: Store, read: Gated) -> None:
    """What comes later in the same hour waits for the next one, whose week has both."""
    week = Week()
    first = week.bins(read, HOUR_S)
    assert _bluezone(first) == 120
    store.keep(Batch(releases=(release(DEVICES[1]), release(DEVICES[1], NEXT_S))), now_s=NEXT_S)

    assert week.bins(read, HOUR_S) == first
    assert read.asked == 1
    assert _bluezone(week.bins(read, NEXT_S)) == 360
    assert read.asked == 2


def test_seven_days_and_not_eight(store: Store, read: Gated) -> None:
    """The week ends with its hour: neither the next hour is in it nor the one of seven days ago."""
    before_s = HOUR_S - 7 * 86_400
    others = [release(DEVICES[1], start) for start in (before_s, before_s + 3600, NEXT_S)]
    store.keep(Batch(releases=tuple(others)), now_s=NEXT_S)

    assert _bluezone(Week().bins(read, HOUR_S)) == 240


def test_others_get_the_hour_before_meanwhile(store: Store, read: Gated) -> None:
    """One reader asks for a new hour, however long it takes; then everybody has it."""
    week = Week()
    first = week.bins(read, HOUR_S)
    store.keep(Batch(releases=(release(bin_start=NEXT_S),)), now_s=NEXT_S)
    read.came.clear()
    read.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(week.bins, read, NEXT_S)
        try:
            assert read.came.wait(PATIENCE_S)
            assert week.bins(read, NEXT_S) == first
        finally:
            read.gate.set()
        assert _bluezone(asking.result()) == 240

    assert week.bins(read, NEXT_S) == asking.result()
    assert read.asked == 2


def test_the_first_hour_is_waited_for(read: Gated) -> None:
    """Before any answer there is no hour before: readers wait, and one question serves all."""
    week = Week()
    read.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(week.bins, read, HOUR_S) for _ in range(3)]
        assert read.came.wait(PATIENCE_S)
        read.gate.set()
        answers = [one.result() for one in asking]

    assert [_bluezone(one) for one in answers] == [120] * 3
    assert read.asked == 1


def test_a_question_that_failed_is_asked_again(read: Gated) -> None:
    """A database that was away costs nobody the hour."""
    week = Week()
    read.away = True
    with pytest.raises(UnavailableError):
        week.bins(read, HOUR_S)
    read.away = False

    assert _bluezone(week.bins(read, HOUR_S)) == 120


def test_a_week_is_one_row_of_each_site(store: Store, read: Gated) -> None:
    """Whatever weekday it is: two rows would halve the number of places of which shares are computed."""
    week_s = 7 * 86_400
    store.keep(Batch(releases=tuple(release(bin_start=HOUR_S - 86_400 * day) for day in range(1, 7))), now_s=NEXT_S)

    for hour_s in range(HOUR_S, HOUR_S + week_s, 86_400):
        assert len(Week().bins(read, hour_s)) == 1
