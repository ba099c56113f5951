"""A segment's keys: a ratchet for each part, forward only, overwritten, and a minute's key says nothing of another."""

from __future__ import annotations

import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge_scanner.core.log import ratchet
from edge_scanner.core.log.ratchet import MINUTES, Ratchet, combine, commitment, part_keys, wipe
from tests.support import second_reader
from tests.support.second_reader import expand

SEEDS = (bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96)))
HEADER = b"a header whose parts are three".ljust(141, b".") + b"\3"
DIGEST = hashlib.sha256(HEADER).digest()


def live() -> Ratchet:
    """The box's side."""
    return Ratchet([bytearray(seed) for seed in SEEDS], DIGEST)


def test_keys_follow_the_specification() -> None:
    """Each part's keys, what they combine to, the frames' keys and the commitment are those computed by hand."""
    by_hand = second_reader.combine(HEADER, dict(enumerate(SEEDS)))
    box = live()
    assert box.events == by_hand[None]
    for minute in MINUTES:
        box.turn(minute)
        assert box.minute == by_hand[minute]
    made = [part_keys(seed, part, DIGEST, MINUTES) for part, seed in enumerate(SEEDS)]
    assert combine([part.events for part in made]) == by_hand[None]
    assert [combine([part.minutes[minute] for part in made]) for minute in MINUTES] == [by_hand[m] for m in MINUTES]
    key = bytearray(32)
    ratchet.frame_key(box.minute, 7, key)
    assert key == second_reader.frame_key(by_hand[59], 7)
    assert commitment(SEEDS[1], 1, DIGEST) == expand(SEEDS[1], b"edge-scanner commitment v2\0\1" + DIGEST)


def test_keys_depend_on_the_header_and_on_the_part() -> None:
    """The same seed under another header or in another part gives other keys: nothing can be moved."""
    here = part_keys(SEEDS[0], 0, DIGEST, [0])
    assert here != part_keys(SEEDS[0], 0, hashlib.sha256(b"other").digest(), [0])
    assert here.events != part_keys(SEEDS[0], 1, DIGEST, [0]).events
    assert commitment(SEEDS[0], 0, DIGEST) != commitment(SEEDS[0], 1, DIGEST)


@given(st.sets(st.integers(0, 59), max_size=20))
def test_only_the_minutes_asked_for_are_handed_over(minutes: set[int]) -> None:
    """Exactly these keys, the same as when all are made."""
    all_of_them = part_keys(SEEDS[0], 0, DIGEST, MINUTES)
    some = part_keys(SEEDS[0], 0, DIGEST, minutes)
    assert some.minutes == {minute: all_of_them.minutes[minute] for minute in minutes}
    assert some.events == all_of_them.events


def test_a_minutes_key_leads_to_no_other_key() -> None:
    """No key that is handed over is a chain key: turning it on by the specification's steps gives no other key."""
    keys = part_keys(SEEDS[0], 0, DIGEST, MINUTES)
    known = {*keys.minutes.values(), keys.events}
    assert len(known) == 61
    for minute in MINUTES:
        for label in (b"minute", b"next", b"frame"):
            for number in MINUTES:
                assert expand(keys.minutes[minute], label + bytes([number])) not in known


def test_nothing_older_is_kept() -> None:
    """After a turn the buffers hold the new chain keys and the minute's key alone; after a wipe, zeros."""
    box = live()
    before = [bytes(chain) for chain in box._chains]
    buffers = (box.minute, box.events, box._scratch, *box._chains)
    box.turn(0)
    assert all(now is then for now, then in zip(box._chains, buffers[3:], strict=True))
    assert not {bytes(buffer) for buffer in buffers} & set(before)
    assert not any(box._scratch)
    box.turn(5)
    assert box.passed == 6
    box.wipe()
    assert not any(b"".join(buffers))


def test_turning_on_makes_another_key_each_minute() -> None:
    """Sixty turns, sixty keys; leaving minutes out changes none of them."""
    steps, leaps = live(), live()
    made = []
    for minute in MINUTES:
        steps.turn(minute)
        made.append(bytes(steps.minute))
        if minute % 7 == 0:
            leaps.turn(minute)
            assert leaps.minute == steps.minute
    assert all(now != then for now, then in pairwise(made))
    assert len(set(made)) == 60


def test_wiping_overwrites_in_place() -> None:
    """The very buffer is zeroed, not a copy."""
    buffer = bytearray(b"secret")
    view = memoryview(buffer)
    wipe(buffer)
    assert bytes(view) == bytes(6)
