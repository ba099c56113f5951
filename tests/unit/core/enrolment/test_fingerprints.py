"""Six words: the same for the same key, told apart from everything else, read back as people type them."""

from __future__ import annotations

import pytest

from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.errors import RefusedError


def test_six_words_are_the_first_96_bits_of_sha_256() -> None:
    """SHA-256 of `abc` begins ba78 16bf 8f01 cfea 4141 40de: five letters for each sixteen bits."""
    assert fingerprints.words(b"abc") == _by_hand("ba7816bf8f01cfea414140de")
    assert len({fingerprints.words(bytes([number])) for number in range(256)}) == 256


def _by_hand(digits: str) -> str:
    """The same, said another way: bits as text, cut into 4, 2, 4, 2, 4."""
    words = []
    for place in range(0, len(digits), 4):
        bits = f"{int(digits[place : place + 4], 16):016b}"
        cuts = [bits[0:4], bits[4:6], bits[6:10], bits[10:12], bits[12:16]]
        letters = ("bdfghjklmnprstvz", "aiou") * 3
        words.append("".join(letters[number][int(cut, 2)] for number, cut in enumerate(cuts)))
    return "-".join(words)


@pytest.mark.parametrize(
    "text",
    ["{}", " {} ", "{}\n"],
)
def test_words_are_read_as_they_are_typed(text: str) -> None:
    """Capitals, spaces and commas between them change nothing."""
    kept = fingerprints.words(b"abc")

    assert fingerprints.typed(text.format(kept)) == kept
    assert fingerprints.typed(text.format(kept.upper().replace("-", " "))) == kept
    assert fingerprints.typed(kept.replace("-", ", ")) == kept


@pytest.mark.parametrize("text", ["", "lusab", "lusab-babad-gutih-tugad-mudof", "lusab-babad-gutih-tugad-mudof-kibae"])
def test_anything_else_is_none(text: str) -> None:
    """Too few words, and a letter that no word has."""
    assert fingerprints.typed(text) == ""


def test_the_words_of_every_key_and_of_no_other_confirm() -> None:
    """In any order and as they are typed; a key that nobody told, one too many and one twice are refused."""
    mine, yours = fingerprints.words(b"mine"), fingerprints.words(b"yours")

    fingerprints.check([yours.upper(), mine], [b"mine", b"yours"], where="set.txt")

    for heard in ([mine], [mine, mine], [mine, yours, yours], [mine, fingerprints.words(b"theirs")], [mine, "words"]):
        with pytest.raises(RefusedError, match="six words") as refused:
            fingerprints.check(heard, [b"mine", b"yours"], where="set.txt")
        assert refused.value.code == "not_confirmed"
