"""What the venue's operator sets on the page: a few keys of the settings, in a file of the page's own user.

The page writes `operator.toml` into `[kiosk] operator_dir`; the scanner and the page put it over the settings file. It
holds no other keys than `KEYS`, so whoever takes over the page changes words and thresholds of its own screen and
nothing else. It names the site that it was made for: at another site it says nothing.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_scanner import small_files
from edge_scanner.core import json_documents
from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.core.settings_mistakes import Mistake
from edge_scanner.device import settings as parser
from edge_scanner.device.enrolment.settings_text import toml
from edge_scanner.device.storage import files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.device.enrolment.settings_text import Key
    from edge_scanner.device.settings import Settings

FILE = "operator.toml"
COUNT = "count.json"
"""What was counted by hand: the scanner judges it by its own releases."""
KEYS: tuple[Key, ...] = (
    ("device", "name_vi"),
    ("device", "name_en"),
    ("kiosk", "moderate_from"),
    ("kiosk", "busy_from"),
    ("kiosk", "word"),
    ("kiosk", "theme"),
    ("kiosk", "opening"),
    ("kiosk", "holidays"),
    ("kiosk", "staff"),
    ("alarm", "limit"),
)
MAX_BYTES = 16 * 1024
MAX_DOTS = 2000
"""tomllib's time grows with the square of a dotted key: 16 kB of one would hold the scanner up for a second."""
_SITE: Key = ("device", "site")
_TABLES = frozenset(table for table, _ in KEYS)
_SHOWN = 40
"""Characters of a foreign name that an error quotes."""
_HEAD = "# Written by the operator's page (/ops/settings), over the settings file of this box.\n"


def load(file: Path) -> Settings:
    """The settings file with the operator's over it; raises ConfigurationError for a mistake in either."""
    return over(parser.load(file))


def over(main: Settings) -> Settings:
    """`main` with the operator's file over it, if there is one; raises ConfigurationError."""
    if not main.kiosk.operator_dir:
        return main
    file = Path(main.kiosk.operator_dir, FILE)
    try:
        text = _read(file)
    except OSError as error:
        hint = "delete it, and set it again on the page"
        what = f"cannot read the settings: {error.strerror}"
        raise ConfigurationError(what, where=str(file), hint=hint) from error
    return main if text is None else merged(main, text, name=str(file))


def _read(file: Path) -> bytes | None:
    """What the page's user wrote, None when there is none; raises OSError."""
    text = small_files.read(file, MAX_BYTES)
    if text is not None and text.count(b".") > MAX_DOTS:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return text


def merged(main: Settings, text: bytes, *, name: str) -> Settings:
    """`main` with the operator's text over it; raises ConfigurationError for a foreign key and a wrong value."""
    for table, values in parser.document(text, name=name).items():
        for key in values if isinstance(values, dict) and table in _TABLES else ("",):
            if (table, key) not in (*KEYS, _SITE):
                # One is enough, and looked for before what it says is read: the page's user may write thousands.
                mistake = Mistake(table=table[:_SHOWN], key=key[:_SHOWN], what="is set in scanner.toml alone")
                raise ConfigurationError(f"{name}: {mistake}", mistakes=(f"{name}: {mistake}",))
    together = parser.parse(text, name=name, base=replace(main, device=replace(main.device, site="")))
    return together if together.device.site == main.device.site else main


def text(main: Settings, values: Mapping[Key, object]) -> str:
    """The file that sets `values`, less what `main` says anyway."""
    lines, table = [_HEAD], ""
    site = {_SITE: main.device.site} if main.device.site else {}
    for key, value in {**site, **{key: values[key] for key in KEYS if key in values}}.items():
        if key != _SITE and value == value_of(main, key):
            continue
        lines += [f"[{key[0]}]\n"] if key[0] != table else []
        table = key[0]
        lines.append(f"{key[1]} = {toml(value)}\n")
    return "".join(lines)


def value_of(settings: Settings, key: Key) -> Any:
    """The value of a key."""
    return getattr(getattr(settings, key[0]), key[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """People counted over the hour before `at_s` (UTC seconds), None: forget what was counted."""

    people: int | None
    at_s: float


def asked_count(file: Path) -> Asked:
    """The operator's count; raises BadDataError."""
    try:
        data = small_files.read(file, MAX_BYTES) or b""
    except OSError as error:
        raise BadDataError("cannot be read", where=str(file)) from error
    return json_documents.loads(Asked, data, max_bytes=MAX_BYTES)


def ask_count(folder: Path, asked: Asked) -> None:
    """Hand a count to the scanner; raises StorageError."""
    write(folder, COUNT, json_documents.dumps(asked))


def write(folder: Path, name: str, content: bytes, *, mode: int = 0o644) -> None:
    """All of it or nothing; the scanner may read it. Raises StorageError."""
    try:
        small_files.write(folder / name, content, mode=mode)
    except OSError as error:
        raise files.translate(error, folder / name, what="the operator's settings") from error
