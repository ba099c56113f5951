"""Which iPhone is read when: once per slot, one at a time, with back-off, within bounds."""

from __future__ import annotations

from edge_scanner.device.radio import gatt_reads
from edge_scanner.device.radio.gatt_reads import Read, ReadPlan

PHONE = "4A:11:22:33:44:55"
OTHER = "4A:11:22:33:44:66"
CHARACTERISTIC = "00004e56-73f5-4bc4-a12f-17d1ad07a689"
T0 = 1_600_000_200.0
assert T0 % gatt_reads.SLOT_S == 0


def test_a_phone_is_read_once_in_a_slot() -> None:
    """After a read the value is known and nothing is due until the next quarter of an hour."""
    plan = ReadPlan()
    plan.wish(PHONE, CHARACTERISTIC, T0)
    read = plan.next_read(T0)
    assert read == Read(address=PHONE, characteristic=CHARACTERISTIC)
    assert plan.known(PHONE, T0) is None

    plan.done(read, b"x" * 12, T0 + 2)
    plan.wish(PHONE, CHARACTERISTIC, T0 + 3)

    for second in range(3, 900):
        assert plan.known(PHONE, T0 + second) == (CHARACTERISTIC, b"x" * 12)
        assert plan.next_read(T0 + second) is None
    assert plan.known(PHONE, T0 + 900) is None
    assert plan.known(OTHER, T0) is None


def test_failures_back_off_and_end() -> None:
    """Tries come 30 and 60 s after a failure, and the third is the last."""
    plan = ReadPlan()
    plan.wish(PHONE, CHARACTERISTIC, T0)
    tries = []
    for second in range(600):
        assert plan.known(PHONE, T0 + second) is None
        read = plan.next_read(T0 + second)
        if read is not None:
            tries.append(second)
            plan.done(read, None, T0 + second)

    assert tries == [0, 30, 90]


def test_who_waits_longest_is_next() -> None:
    """A failure does not keep others waiting."""
    plan = ReadPlan()
    plan.wish(PHONE, CHARACTERISTIC, T0)
    plan.wish(OTHER, CHARACTERISTIC, T0 + 5)
    first = plan.next_read(T0 + 10)
    assert first is not None
    assert first.address == PHONE
    plan.done(first, None, T0 + 20)

    plan.known(OTHER, T0 + 55)
    second = plan.next_read(T0 + 55)
    assert second is not None
    assert second.address == OTHER


def test_a_read_that_crosses_the_slot_is_void() -> None:
    """The identifier may have changed meanwhile."""
    plan = ReadPlan()
    plan.wish(PHONE, CHARACTERISTIC, T0 + 899)
    read = plan.next_read(T0 + 899)
    assert read is not None
    plan.done(read, b"x" * 12, T0 + 901)

    assert plan.known(PHONE, T0 + 901) is None


def test_a_flood_of_candidates_is_bounded() -> None:
    """Past the bound new ones are forgotten."""
    plan = ReadPlan()
    for number in range(gatt_reads.MAX_CANDIDATES + 50):
        plan.wish(f"{number}", CHARACTERISTIC, T0)
    reads = 0
    while (read := plan.next_read(T0)) is not None:
        plan.done(read, b"", T0)
        reads += 1

    assert reads == gatt_reads.MAX_CANDIDATES


def test_who_is_not_heard_for_a_minute_is_forgotten() -> None:
    """Neither the address nor what was read there is kept; heard again, the phone is read again."""
    plan = ReadPlan()
    plan.wish(PHONE, CHARACTERISTIC, T0)
    read = plan.next_read(T0)
    assert read is not None
    plan.done(read, b"x" * 12, T0 + 2)
    assert plan.known(PHONE, T0 + 10) is not None

    assert plan.next_read(T0 + 10 + gatt_reads.FORGET_S + 1) is None

    assert not plan._candidates
    assert plan.known(PHONE, T0 + 80) is None
    plan.wish(PHONE, CHARACTERISTIC, T0 + 80)
    assert plan.next_read(T0 + 80) == read


def test_who_refused_three_times_is_left_alone_when_it_comes_back() -> None:
    """The number of tries outlives the address, to the end of the slot; a read that ends after it is void."""
    plan = ReadPlan()
    for second in (0, 100, 230):
        plan.wish(PHONE, CHARACTERISTIC, T0 + second)
        read = plan.next_read(T0 + second)
        assert read is not None
        assert plan.next_read(T0 + second + gatt_reads.FORGET_S + 1) is None
        plan.done(read, None, T0 + second + 62)

    plan.wish(PHONE, CHARACTERISTIC, T0 + 600)

    assert plan.next_read(T0 + 600) is None
