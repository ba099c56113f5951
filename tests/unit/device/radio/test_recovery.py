"""The recovery sequence, second by second, without a radio."""

from __future__ import annotations

from itertools import pairwise

import pytest

from edge_scanner.device.radio import recovery
from edge_scanner.device.radio.recovery import Fault, RecoveryLevel, RecoverySequence

HOUR = 3600.0
DAY = 24 * HOUR


def climb(
    sequence: RecoverySequence,
    *,
    until_s: float,
    fault: Fault | None,
    start_s: float = 0.0,
    refused: bool = False,
    step_s: float = 1.0,
) -> list[tuple[float, RecoveryLevel]]:
    """Every level and its time when nothing is heard from 0 s on."""
    levels = []
    now_s = start_s
    while now_s < until_s:
        level = sequence.next_level(now_s, fault=fault, silence_s=now_s, start_refused=refused)
        if level is not None:
            levels.append((now_s, level))
        now_s += step_s
    return levels


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_gets_a_new_scanner_at_once(fault: Fault) -> None:
    """The first look that sees any fault asks for a new scanner."""
    assert RecoverySequence().next_level(0, fault=fault, silence_s=0) is RecoveryLevel.SCANNER


def test_retries_back_off_to_eight_seconds() -> None:
    """Tries come 1, 2, 4 and then 8 s apart, so that hearing resumes within 15 s of the cause's end."""
    times = [time for time, _ in climb(RecoverySequence(), until_s=60, fault=Fault.NO_BLUETOOTHD)]

    assert times == [0, 1, 3, 7, 15, 23, 31, 39, 47, 55]


@pytest.mark.parametrize("fault", [Fault.NO_BUS, Fault.NO_BLUETOOTHD, Fault.DENIED, Fault.NO_ADAPTER])
def test_what_is_absent_is_neither_powered_nor_a_reason_to_restart(fault: Fault) -> None:
    """A stick in a drawer for a week is waited for."""
    levels = climb(RecoverySequence(), until_s=7 * DAY, fault=fault, refused=True, step_s=8)

    assert {level for _, level in levels} == {RecoveryLevel.SCANNER}


def test_an_adapter_that_refuses_is_power_cycled_ever_more_rarely_and_then_given_up() -> None:
    """After three refusals a power-cycle, the next at least 30, 60, 120, 240 s later; a restart after 15 minutes."""
    levels = climb(RecoverySequence(), until_s=909, fault=Fault.REFUSED, refused=True)
    powers = [time for time, level in levels if level is RecoveryLevel.POWER]

    assert powers[0] == 7
    pauses = [later - earlier for earlier, later in pairwise(powers)]
    assert all(asked <= pause <= asked + 8 for pause, asked in zip(pauses, (30, 60, 120, 240), strict=True))
    assert 900 <= next(time for time, level in levels if level is RecoveryLevel.RESTART) <= 908


def test_an_adapter_that_refuses_is_reset_twice_before_it_is_given_up() -> None:
    """After three and nine minutes of refusals its USB port is reset; a fault that has ended starts the count anew."""
    sequence = RecoverySequence()
    levels = climb(sequence, until_s=899, fault=Fault.REFUSED, refused=True)
    resets = [time for time, level in levels if level is RecoveryLevel.RESET]

    assert [asked <= time <= asked + 8 for time, asked in zip(resets, recovery.RESET_AFTER_S, strict=True)] == [
        True
    ] * 2

    sequence.next_level(900, fault=None, silence_s=900)
    sequence.next_level(961, fault=None, silence_s=961)
    again = climb(sequence, start_s=1000, until_s=1200, fault=Fault.REFUSED, refused=True)
    assert [level for _, level in again].count(RecoveryLevel.RESET) == 1


def test_a_block_is_lifted_ever_more_rarely_and_never_a_reason_to_restart() -> None:
    """Once it is seen, then 30 s, 1 min ... 8 min apart: a switch on the box's side may be meant."""
    levels = climb(RecoverySequence(), until_s=HOUR, fault=Fault.BLOCKED, refused=True)
    resets = [time for time, level in levels if level is RecoveryLevel.RESET]

    assert {level for _, level in levels} == {RecoveryLevel.SCANNER, RecoveryLevel.RESET}
    assert resets[0] == 1
    pauses = [later - earlier for earlier, later in pairwise(resets)]
    assert all(a <= p <= a + 8 for p, a in zip(pauses, (30, 60, 120, 240, 480, 480, 480, 480), strict=False))
    assert len(pauses) >= 8


def test_a_scanner_that_starts_and_stops_again_is_not_power_cycled() -> None:
    """Only a refused start says that the adapter is stuck."""
    levels = climb(RecoverySequence(), until_s=60, fault=Fault.STOPPED, refused=False)

    assert {level for _, level in levels} == {RecoveryLevel.SCANNER}


def test_adverts_end_a_fault() -> None:
    """After something was heard the next fault starts at the bottom again."""
    sequence = RecoverySequence()
    climb(sequence, until_s=30, fault=Fault.REFUSED, refused=True)
    sequence.next_level(31, fault=None, silence_s=31)
    sequence.next_level(36, fault=None, silence_s=1)

    assert climb(sequence, start_s=40, until_s=45, fault=Fault.STOPPED) == [
        (40, RecoveryLevel.SCANNER),
        (41, RecoveryLevel.SCANNER),
        (43, RecoveryLevel.SCANNER),
    ]


def test_a_settled_scanner_ends_a_fault_in_an_empty_venue() -> None:
    """A minute without a fault counts as well, or two restarts of bluetoothd in one night would add up."""
    sequence = RecoverySequence()
    climb(sequence, until_s=30, fault=Fault.REFUSED, refused=True)
    for now_s in range(31, 100):
        sequence.next_level(now_s, fault=None, silence_s=now_s)

    assert climb(sequence, start_s=2000, until_s=2010, fault=Fault.REFUSED, refused=True)[0] == (
        2000,
        RecoveryLevel.SCANNER,
    )
    assert RecoveryLevel.RESTART not in [
        r for _, r in climb(sequence, start_s=2010, until_s=2800, fault=Fault.REFUSED, refused=True)
    ]


def test_starts_that_hold_for_seconds_only_keep_the_back_off() -> None:
    """A scanner that dies again and again at once does not make the sequence forget."""
    sequence = RecoverySequence()
    climb(sequence, until_s=16, fault=Fault.STOPPED)
    sequence.next_level(17, fault=None, silence_s=17)

    assert sequence.next_level(18, fault=Fault.STOPPED, silence_s=18) is None


def test_an_empty_venue_is_never_restarted() -> None:
    """Two silent days with a listening adapter: one new scanner, then a power-cycle each hour.

    A restart would tell, in the boot record, when the last visitor left.
    """
    levels = climb(RecoverySequence(), until_s=2 * DAY, fault=None, step_s=5)

    assert levels[:3] == [(120, RecoveryLevel.SCANNER), (600, RecoveryLevel.POWER), (4200, RecoveryLevel.POWER)]
    assert {level for _, level in levels[1:]} == {RecoveryLevel.POWER}
    assert len(levels) == 1 + 48


def test_an_advert_resets_the_quiet_sequence() -> None:
    """After a guard's phone passed at night the silence starts anew, with a new scanner first."""
    sequence = RecoverySequence()
    climb(sequence, until_s=700, fault=None, step_s=5)
    assert sequence.next_level(705, fault=None, silence_s=3) is None

    assert sequence.next_level(830, fault=None, silence_s=128) is RecoveryLevel.SCANNER
    assert sequence.next_level(835, fault=None, silence_s=133) is None


def test_the_back_off_and_a_start_fit_into_fifteen_seconds() -> None:
    """The promise of radio.py, as arithmetic: longest pause plus the two looks it takes."""
    assert recovery.RETRY_MAX_S + 2 * 1.0 < 15
