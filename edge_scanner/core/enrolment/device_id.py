"""A box's id: 8 random Crockford base-32 characters and 2 check characters, e.g. `K7MP2R9CX4`, shown `K7MP-2R9C-X4`.

The check (the value modulo 1021, the largest prime below 32 x 32) catches every single wrong character and every swap
of neighbours, which is what happens to a label that is read aloud. Not the MAC and not the board's serial: an id that
travels in messages says nothing about the hardware.
"""

from __future__ import annotations

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ENTROPY_BYTES = 5
"""Eight characters of five bits."""
_BODY = 8
_CHECK_MODULUS = 1021


def from_entropy(entropy: bytes) -> str:
    """The id that five random bytes name."""
    value = int.from_bytes(entropy[:ENTROPY_BYTES])
    body = "".join(ALPHABET[value >> shift & 31] for shift in range(5 * (_BODY - 1), -1, -5))
    return body + check_characters(body)


def check_characters(body: str) -> str:
    """The two characters behind the eight of `body`: its base-32 value modulo 1021."""
    value = 0
    for character in body:
        value = (value * 32 + ALPHABET.index(character)) % _CHECK_MODULUS
    return ALPHABET[value // 32] + ALPHABET[value % 32]


def is_device_id(text: str) -> bool:
    """Whether `text` is ten characters of the alphabet with a right check."""
    return (
        len(text) == _BODY + 2
        and all(character in ALPHABET for character in text)
        and text[_BODY:] == check_characters(text[:_BODY])
    )


def spelled(device_id: str) -> str:
    """As people read it: `K7MP-2R9C-X4`."""
    return f"{device_id[:4]}-{device_id[4:8]}-{device_id[8:]}"
