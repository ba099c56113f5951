"""Case files -> day keys: Bluezone records and Exposure Notification exports, told apart by their content.

A Bluezone document is `{"data": [{"daily_key", "time_start", "max", "time_end"}, ...]}`, or a list of such; each record
is one phone. No public feed of Bluezone keys ever existed, so records come from the ministry and carry no signature;
an export does, and one whose signature does not hold is refused. Every file is read and checked before anything is
derived, and a key lives as long as the process that read it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_scanner.authority.match import exports
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.core.model import DayKey
from edge_scanner.protocols import bluezone, gaen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from edge_scanner.core.model import BeaconProtocol, Derived

MAX_FILE_BYTES = 64 << 20
"""A hundred thousand Bluezone records; an export has at most 16 MB."""

ROTATIONS = (96, 144)
"""Identifiers a day that a Bluezone app was ever told to make."""

_KEY = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One phone of a confirmed case. `label` is the file's name and a number; `key` is secret."""

    label: str
    protocol: BeaconProtocol
    key: DayKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How exports are believed, and what overrides a Bluezone record (`rotations` 0: what the record says)."""

    public_key: ec.EllipticCurvePublicKey | None = None
    unsigned_ok: bool = False
    rotations: int = 0
    chain_lag: int = 0


def load(paths: Sequence[Path], trust: Trust) -> tuple[Case, ...]:
    """The cases of all files, in order; raises BadDataError that names file and place, StorageError."""
    cases: list[Case] = []
    found: list[exports.Export] = []
    for path in paths:
        data = _read(path)
        if data.startswith((exports.ZIP_MAGIC, exports.BARE_MAGIC)):
            export = exports.read(data, str(path), public_key=trust.public_key, unsigned_ok=trust.unsigned_ok)
            found.append(export)
            for number, key in enumerate(export.keys, 1):
                cases.append(Case(label=f"{path.stem}/{number}", protocol=gaen.PROTOCOL, key=key))
        elif data.lstrip()[:1] in (b"{", b"["):
            cases += _bluezone(data, path, trust)
        else:
            raise BadDataError(
                "neither a Bluezone record nor an export: wrong header",
                where=f"{path}, byte 0",
                hint="give JSON, export.zip or export.bin",
            )
    exports.check_batches(found)
    return tuple(cases)


def derive(cases: Sequence[Case]) -> Iterator[tuple[str, Derived]]:
    """Every identifier of every case with its protocol's name, in order of cases and time."""
    for case in cases:
        if case.protocol.derive is not None:
            for derived in case.protocol.derive(case.key):
                yield case.protocol.name, derived


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StorageError("the case file cannot be read", where=str(path), hint=error.strerror or "") from error
    if len(data) > MAX_FILE_BYTES:
        raise BadDataError("larger than 64 MB", where=str(path))
    return data


def _bluezone(data: bytes, path: Path, trust: Trust) -> Iterator[Case]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        place = f"{path}, byte {error.pos}" if isinstance(error, json.JSONDecodeError) else str(path)
        raise BadDataError("not JSON", where=place) from error
    documents = document if isinstance(document, list) else [document]
    number = 0
    for one in documents:
        records = one.get("data") if isinstance(one, dict) else None
        if not isinstance(records, list):
            raise BadDataError('a case document has a list "data"', where=str(path))
        for record in records:
            number += 1
            yield _case(record, f"{path.stem}/{number}", f"{path}, record {number}", trust)


def _case(record: Any, label: str, where: str, trust: Trust) -> Case:
    if not isinstance(record, dict):
        raise BadDataError("a record is an object", where=where)
    daily_key = record.get("daily_key")
    if not isinstance(daily_key, str) or not _KEY.fullmatch(daily_key):
        raise BadDataError("daily_key must be 64 hex digits", where=where)
    rotations = trust.rotations or _integer(record, "max", where)
    if rotations not in ROTATIONS:
        raise BadDataError("max must be 96 or 144", where=where)
    key = DayKey(
        key=bytes.fromhex(daily_key),
        start_s=_integer(record, "time_start", where),
        end_s=_integer(record, "time_end", where),
        rotations=rotations,
        chain_lag=trust.chain_lag,
    )
    try:
        bluezone.derive(key)
    except BadDataError as error:
        raise BadDataError(error.what, where=f"{where}, {_NAMES.get(error.where, error.where)}") from error
    return Case(label=label, protocol=bluezone.PROTOCOL, key=key)


_NAMES = {"start_s": "time_start", "end_s": "time_end", "key": "daily_key", "rotations": "max"}


def _integer(record: dict[str, Any], name: str, where: str) -> int:
    value = record.get(name)
    if type(value) is not int or not 0 <= value < 10**11:
        raise BadDataError(f"{name} must be a whole number of seconds or identifiers", where=where)
    return value
