"""Alarms, the same on SQLite and on PostgreSQL: each once, so many and no more, cleared by a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.central.store.model import Alarm, Batch
from tests.support.central import DEVICES, HOUR_S, release

if TYPE_CHECKING:
    import pytest

    from edge_scanner.central.store.store import Store

NOW_S = HOUR_S + 4000.0


def test_one_certificate_raises_no_thousand_alarms(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a kind about a box some are kept and the rest counted; other kinds, other boxes and repeats have their own."""
    monkeypatch.setattr("edge_scanner.central.store.store.MAX_OPEN_ALARMS", 3)
    said = [release(bin_start=HOUR_S + second, figures={"nearby": twice}) for second in range(5) for twice in (1, 2)]
    fork = Alarm(device=DEVICES[0], kind="fork", mark="3", raised=HOUR_S, what="forked", evidence={"message": "bQ=="})
    again = Alarm(device=DEVICES[1], kind="contradiction", mark="1", raised=HOUR_S, what="twice")

    store.keep(Batch(releases=tuple(said)), now_s=NOW_S)
    store.keep(Batch(releases=tuple(said), alarms=(fork, fork, again)), now_s=NOW_S)

    kinds = [one.alarm.kind for one in store.read.alarms(device=DEVICES[0])]
    assert sorted(kinds) == ["contradiction"] * 3 + ["fork"]
    assert (store.read.open_alarms(), len(store.read.alarms(limit=2))) == (5, 2)
    assert store.read.tallies(0, HOUR_S * 2)["alarms/beyond"] == 2 + 5
    number = next(one.number for one in store.read.alarms() if one.alarm == fork)
    kept = store.read.alarm(number)
    assert kept is not None
    assert kept.alarm == fork
    assert store.read.alarm(number + 1000) is None


def test_an_alarm_is_cleared_once(store: Store) -> None:
    """A person sees to an alarm; it is open no longer, and stays known."""
    alarm = Alarm(device="", kind="silence", mark="1", raised=HOUR_S, what="nothing comes")
    store.keep(Batch(alarms=(alarm, alarm)), now_s=NOW_S)
    number = store.read.alarms()[0].number

    assert store.clear_alarm(number, by="lan", now_s=NOW_S)
    assert not store.clear_alarm(number, by="lan", now_s=NOW_S)

    assert store.read.alarms() == ()
    assert [(one.cleared, one.cleared_by) for one in store.read.alarms(open_only=False)] == [(int(NOW_S), "lan")]
