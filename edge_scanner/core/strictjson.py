"""Frozen dataclasses to JSON and back, for documents that come from somewhere we do not trust.

The dataclass is the only description of the document: `loads` walks its type hints, so that a field cannot be added
to one side alone. It knows int, float, bool, str, enums of str, `X | None`, tuples, mappings of names, and nested
dataclasses; a number is finite and bounded, a text is short and printable (no control, bidi or surrogate characters),
a list is short. Unknown fields are passed over and never kept. A library (msgspec) would be faster; `core` has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import lru_cache
from math import isfinite
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from edge_scanner.core.errors import BadDataError

T = TypeVar("T")

# A site's name or a web address; longer would not fit on the screen or in a QR code that a phone can read.
MAX_TEXT = 200
# Three weeks of hours, or a day of one-minute bins with room: nothing we write is longer.
MAX_ITEMS = 2000
# Figures, lights, reason codes: a mapping is a handful of names.
MAX_NAMES = 64
# Far beyond any count or UTC second, far below where a float loses whole numbers.
MAX_NUMBER = 10**12

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


def dumps(document: object) -> bytes:
    """A dataclass as compact UTF-8 JSON."""
    return json.dumps(_plain(document), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def loads(kind: type[T], data: bytes, *, max_bytes: int) -> T:
    """The document in `data`; raises BadDataError naming the field for anything that does not fit `kind`."""
    if len(data) > max_bytes:
        raise BadDataError("the document is too large", where=f"byte {max_bytes}")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        # The parser's own message quotes the document, which is why it is not passed on.
        raise BadDataError("the document is not JSON", where="byte 0") from None
    result: T = _read(kind, value, "document")
    return result


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _read(hint: Any, value: object, where: str) -> Any:
    origin = get_origin(hint)
    if origin is UnionType:
        inner = next(arg for arg in get_args(hint) if arg is not type(None))
        return None if value is None else _read(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise BadDataError("not a short list", where=where)
        return tuple(_read(get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is Mapping:
        return _mapping(get_args(hint)[1], value, where)
    if is_dataclass(hint):
        return _dataclass(hint, value, where)
    return _scalar(hint, value, where)


def _mapping(hint: Any, value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_NAMES:
        raise BadDataError("not a short object", where=where)
    if not all(_NAME.fullmatch(name) for name in value):
        raise BadDataError("a name is not short lower-case ASCII", where=where)
    return {name: _read(hint, item, f"{where}.{name}") for name, item in value.items()}


def _dataclass(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise BadDataError("not an object", where=where)
    hints = _hints(kind)
    found = {}
    for field in fields(kind):
        if field.name in value:
            found[field.name] = _read(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is MISSING:
            raise BadDataError("a field is missing", where=f"{where}.{field.name}")
    return kind(**found)


def _scalar(hint: Any, value: object, where: str) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        if isfinite(value) and abs(value) <= MAX_NUMBER and (hint is float or isinstance(value, int)):
            return hint(value)
    elif isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable():
        if hint is str:
            return value
        if issubclass(hint, StrEnum) and value in list(hint):
            return hint(value)
    raise BadDataError(f"not a proper {hint.__name__.lower()}", where=where)


@lru_cache(maxsize=32)
def _hints(kind: Any) -> dict[str, Any]:
    # model.py imports Mapping for the type checker only, so the name is lent to it here.
    return get_type_hints(kind, localns={"Mapping": Mapping})
