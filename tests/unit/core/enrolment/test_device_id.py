"""A box's id is short, random, and notices how people misread it."""

from __future__ import annotations

import secrets

from edge_scanner.core.enrolment import device_id


def test_known_id() -> None:
    """Five bytes give the eight characters that base 32 gives them, and the remainder by 1021 as the check."""
    # 0x0123456789 = 00000 00100 10001 10100 01010 11001 11100 01001; 4886718345 mod 1021 = 998 = 31 * 32 + 6
    assert device_id.from_entropy(bytes.fromhex("0123456789")) == "04HMASW9Z6"
    assert device_id.spelled("04HMASW9Z6") == "04HM-ASW9-Z6"


def test_every_single_wrong_character_and_neighbour_swap_is_caught() -> None:
    """The check characters notice one misread character anywhere and two exchanged neighbours."""
    ours = device_id.from_entropy(secrets.token_bytes(device_id.ENTROPY_BYTES))

    assert device_id.is_device_id(ours)
    for position, right in enumerate(ours):
        for wrong in device_id.ALPHABET.replace(right, ""):
            assert not device_id.is_device_id(ours[:position] + wrong + ours[position + 1 :])
    for position in range(9):
        swapped = ours[:position] + ours[position + 1] + ours[position] + ours[position + 2 :]
        assert swapped == ours or not device_id.is_device_id(swapped)


def test_foreign_letters_and_lengths_are_no_ids() -> None:
    """Lower case, letters outside the alphabet and other lengths are refused."""
    assert not any(
        device_id.is_device_id(text) for text in ("", "04hmasw9z6", "04HMASW9Z", "04HMASW9Z60", "UIL0000000")
    )
