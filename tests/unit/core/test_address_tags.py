"""Address tags tell devices apart within a quarter of an hour and mean nothing after it."""

from __future__ import annotations

from itertools import count

from edge_scanner.core.address_tags import Tagger

NOON_S = 1596888000.0
ONE = "4A:00:00:00:00:01"
OTHER = "4A:00:00:00:00:02"


class Keys:
    """Keys 1, 2, 3, ... of 32 bytes; `given` says how many were asked for."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self) -> bytes:
        """The next key."""
        self.given += 1
        return bytes([self.given]) * 32


def test_a_tag_is_keyed_blake2b() -> None:
    """The tag of a fixed address under a fixed key, computed with `openssl mac BLAKE2BMAC`."""
    tagger = Tagger(lambda: b"\x01" * 32)

    assert tagger.tag(ONE, NOON_S).hex() == "ddd8b5dec72d562a"


def test_a_device_keeps_its_tag_within_the_window() -> None:
    """From the first to the last moment of a quarter of an hour the tag stays, and only one key is drawn."""
    keys = Keys()
    tagger = Tagger(keys)

    assert tagger.tag(ONE, NOON_S) == tagger.tag(ONE, NOON_S + 899.999)
    assert keys.given == 1


def test_two_devices_have_two_tags_of_eight_bytes() -> None:
    """Different addresses are told apart."""
    tagger = Tagger(Keys())

    assert len(tagger.tag(ONE, NOON_S)) == 8
    assert tagger.tag(ONE, NOON_S) != tagger.tag(OTHER, NOON_S)


def test_the_tag_changes_on_the_utc_grid() -> None:
    """At :00, :15, :30 and :45 a new key makes every tag new, wherever the run began."""
    keys = Keys()
    tagger = Tagger(keys)

    before = tagger.tag(ONE, NOON_S + 890)
    after = tagger.tag(ONE, NOON_S + 900)

    assert before != after
    assert keys.given == 2


def test_a_clock_that_goes_back_over_the_grid_gets_a_new_key() -> None:
    """A key that is gone does not come back: the same window met again has other tags."""
    tagger = Tagger(Keys())

    first = tagger.tag(ONE, NOON_S)
    tagger.tag(ONE, NOON_S + 900)

    assert tagger.tag(ONE, NOON_S) != first


def test_a_clock_that_goes_back_within_the_window_changes_nothing() -> None:
    """A small correction leaves devices recognisable."""
    tagger = Tagger(Keys())

    assert tagger.tag(ONE, NOON_S + 10) == tagger.tag(ONE, NOON_S)


def test_no_address_is_kept() -> None:
    """After a tag was made nothing in the tagger holds the address, and the next window has another key."""
    tagger = Tagger(Keys())
    tagger.tag(ONE, NOON_S)
    held = dict(vars(tagger))

    tagger.tag(OTHER, NOON_S + 900)

    assert ONE not in repr(held)
    assert tagger._keyed.digest() != held["_keyed"].digest()


def test_keys_come_from_the_caller_only() -> None:
    """Two taggers with the same keys agree, and with other keys they do not: nothing else goes in."""
    same = [Tagger(lambda: b"k" * 32).tag(ONE, NOON_S) for _ in range(2)]
    numbers = count()
    different = Tagger(lambda: b"%032d" % next(numbers)).tag(ONE, NOON_S)

    assert same[0] == same[1]
    assert different != same[0]
