"""Frozen dataclasses to JSON and back with msgspec, for documents that come from somewhere we do not trust.

The dataclass is the only description of a document. What its types do not say is the same for every document and is
checked here before they are read: a number is bounded, a text is short and printable (no control, bidirectional or
surrogate characters), a list and an object are short. Unknown fields are passed over and never kept.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, TypeVar, cast

import msgspec

from edge_scanner.core.errors import BadDataError

T = TypeVar("T")

# A site's name or a web address; longer would not fit on the screen or in a QR code that a phone can read.
MAX_TEXT = 200
# Three weeks of hours, or a day of one-minute bins with room: nothing we write is longer.
MAX_ITEMS = 2000
# Figures, lights, reason codes: an object is a handful of names.
MAX_NAMES = 64
# Far beyond any count or UTC second, far below where a float loses whole numbers.
MAX_NUMBER = 10**12

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_MISSING = re.compile(r"missing required field `(\w+)`")
_PLACE = re.compile(r" - at `(?:key in )?\$?([^`]*)`")


def dumps(document: object) -> bytes:
    """A dataclass as compact UTF-8 JSON; raises ValueError for a number that JSON has no word for."""
    return msgspec.json.encode(document)


def loads(kind: type[T], data: bytes, *, max_bytes: int) -> T:
    """The document in `data`; raises BadDataError naming the field for anything that does not fit `kind`."""
    if len(data) > max_bytes:
        raise BadDataError("the document is too large", where=f"byte {max_bytes}")
    try:
        value = msgspec.json.decode(data)
        _bound(value, "document")
    except (ValueError, RecursionError):
        # The parser's own message may quote the document, which is why it is not passed on.
        raise BadDataError("the document is not JSON", where="byte 0") from None
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadDataError("a field is missing or of another kind", where=_where(str(error))) from None


def value(data: bytes) -> Any:
    """Any JSON value that somebody else wrote; raises ValueError, also for what is nested without end or infinite."""
    try:
        return json.loads(data, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _where(sentence: str) -> str:
    """The field that msgspec's sentence names; the rest of it may quote the document."""
    place, missing = _PLACE.search(sentence), _MISSING.search(sentence)
    return f"document{place.group(1) if place else ''}{f'.{missing.group(1)}' if missing else ''}"


def _bound(value: object, where: str) -> None:
    """Raises BadDataError for what no document of ours holds, whatever its kind."""
    if isinstance(value, dict):
        if len(value) > MAX_NAMES or not all(_NAME.fullmatch(name) for name in value):
            raise BadDataError("not an object of few short names", where=where)
        for name, item in value.items():
            _bound(item, f"{where}.{name}")
    elif isinstance(value, list):
        if len(value) > MAX_ITEMS:
            raise BadDataError("not a short list", where=where)
        for index, item in enumerate(value):
            _bound(item, f"{where}[{index}]")
    elif isinstance(value, str):
        if len(value) > MAX_TEXT or not value.isprintable():
            raise BadDataError("not a short printable text", where=where)
    elif value is not None and not abs(cast("float", value)) <= MAX_NUMBER:
        raise BadDataError("not a proper number", where=where)
