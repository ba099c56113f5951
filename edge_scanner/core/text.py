"""Free text that people read before they sign or believe: parsed once, and shown without being obeyed.

Promises: `parse` lets through what a person sees as it stands (letters, digits, marks, punctuation, plain spaces) and
refuses everything a terminal or a bidirectional layout would act on. `literal` is the only road of foreign text to a
screen: each character that is no print is replaced by one visible sign, so nothing is obeyed and nothing vanishes.

Categories: Unicode 15, as `str.isprintable` has them (no Cc, Cf, Cs, Co, Cn, Zl, Zp, and no space but U+0020), without
the marks and letters that are drawn as nothing (Default_Ignorable_Code_Point, and the empty Braille pattern): by one of
them two names that look alike would differ.
"""

from __future__ import annotations

import re
import unicodedata

from edge_scanner.core.errors import MalformedError

MAX_MARKS = 3
"""Combining marks on one letter. Vietnamese written apart has two; a tower of them paints over the lines above."""

# Grapheme joiner, Hangul fillers, Khmer inherent vowels, variation selectors, the empty Braille pattern.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_PICTURES = 0x2400
_DELETE, _DELETE_PICTURE, _REPLACEMENT = 0x7F, "\u2421", "\ufffd"
_C0_END = 0x20


def parse(text: str, *, limit: int, name: str, where: str) -> str:
    """The text, when it has 1 to `limit` printable characters; raises MalformedError that names field and place."""
    if not 0 < len(text) <= limit:
        raise MalformedError(f"{name} has 1 to {limit} characters, not {len(text)}", where=where)
    marks = 0
    for place, character in enumerate(text, 1):
        marks = marks + 1 if unicodedata.combining(character) else 0
        if not drawn(character) or marks > MAX_MARKS:
            raise MalformedError(
                f"{name} contains U+{ord(character):04X} at character {place}: only printable text is allowed",
                where=where,
            )
    if text != text.strip():
        raise MalformedError(f"{name} begins or ends with a space", where=where)
    return text


def literal(text: str, *, keep: str = "") -> str:
    """The text with a visible sign for each character that is not printable, except those of `keep`."""
    if drawn(text):
        return text
    return "".join(character if drawn(character) or character in keep else _sign(ord(character)) for character in text)


def drawn(text: str) -> bool:
    """Whether each character is drawn, and obeyed by nothing.

    Not for what must be taken as it is: a document of an earlier version, a network's name (`str.isprintable` there).
    """
    return text.isprintable() and not _UNSEEN.search(text)


def only_drawn(text: str) -> str:
    """The text without what is not drawn; spaces of any kind, such as one copied from a web page, are plain ones."""
    return "".join(filter(drawn, " ".join(text.split())))


def is_web_address(text: str) -> bool:
    """Whether a page may link to it."""
    return text.startswith("https://") and drawn(text) and " " not in text


def _sign(code: int) -> str:
    """The control picture of an ASCII control, else the replacement character; each one column wide."""
    if code < _C0_END:
        return chr(_PICTURES + code)
    return _DELETE_PICTURE if code == _DELETE else _REPLACEMENT
