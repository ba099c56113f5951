"""A public key as people compare it, by eye or telephone: six words of five letters, the same form everywhere.

The first 96 bits of the key's SHA-256, 16 a word: consonant, vowel, consonant, vowel, consonant, most significant bits
first. Whoever looks for a second key with the same six words tries 2^96. The syllables are speakable in Vietnamese and
English, and no list of words has to be on both sides.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from edge_scanner.core.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Collection

WORDS = 6
CONSONANTS = "bdfghjklmnprstvz"
VOWELS = "aiou"
_SHAPE = ((CONSONANTS, 12), (VOWELS, 10), (CONSONANTS, 6), (VOWELS, 4), (CONSONANTS, 0))
"""What each letter is chosen from, and how many bits lie to the right of its own."""
_WORD = f"[{CONSONANTS}][{VOWELS}][{CONSONANTS}][{VOWELS}][{CONSONANTS}]"
_TEXT = re.compile(rf"{_WORD}(-{_WORD}){{{WORDS - 1}}}")


def words(public: bytes) -> str:
    """The six words of a raw public key, e.g. `lusab-babad-gutih-tugad-mudof-kibar`."""
    digest = hashlib.sha256(public).digest()
    return "-".join(_word(int.from_bytes(digest[place : place + 2])) for place in range(0, 2 * WORDS, 2))


def typed(text: str) -> str:
    """Six words as somebody typed them, in their one form; "" for anything else."""
    found = "-".join(re.split(r"[\s,-]+", text.strip().lower()))
    return found if _TEXT.fullmatch(found) else ""


def check(heard: Collection[str], keys: Collection[bytes], *, where: str) -> None:
    """Raise RefusedError unless these are the words of these keys, in any order, as their holders told them."""
    if sorted(map(typed, heard)) != sorted(map(words, keys)):
        raise RefusedError(
            "these are not the six words of the key that would be trusted",
            code="not_confirmed",
            where=where,
            hint="have whoever made the key read them to you again; the file may have been exchanged",
        )


def _word(value: int) -> str:
    return "".join(letters[value >> shift & len(letters) - 1] for letters, shift in _SHAPE)
