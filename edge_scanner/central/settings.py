"""The centre's settings: one TOML file -> frozen `Settings`; `config/central.toml` documents every key.

An unknown key or a wrong value is an error that names its table and key. Secrets are paths, but for a database's
password in its URL: then the file itself must be closed, or the URL comes from EDGE_CENTRAL_DATABASE.
"""

from __future__ import annotations

import os
import tomllib
import zoneinfo
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import msgspec

from edge_scanner.core.errors import ConfigurationError, StorageError
from edge_scanner.core.messages import KINDS
from edge_scanner.core.settings_mistakes import Mistake, convert, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FILE_BYTES = 64 * 1024
Text = Annotated[str, msgspec.Meta(max_length=200)]
WITNESS_NAME = r"[A-Za-z0-9./-]{1,100}"
"""What C2SP tools take as a key's name, in ASCII; never made up, because every cosignature carries it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where the tables are."""

    url: Text = "sqlite:////var/lib/edge-central/central.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqtt:
    """The central broker and our certificate, whose common name is our name there."""

    host: Text = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8883
    ca: Text = "/etc/edge-central/ca.pem"
    certificate: Text = "/etc/edge-central/fleet-collector.crt"
    key: Text = "/etc/edge-central/fleet-collector.key"
    kinds: tuple[str, ...] = KINDS
    """Each asked for by its name: a collector that shares the fleet takes some of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The fleet's signed list of boxes; `boxes.csv.sig` and `fleet.pub` lie beside it.

    `recipients`, which boxes' sets are held against, and both parties' roots belong together.
    """

    boxes: Text = "/etc/edge-central/boxes.csv"
    recipients: Text = ""
    authority_root: Text = ""
    custodian_root: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The witness's own key and name, which belong together; without them no cosignatures. Alarms come all the same."""

    name: Annotated[str, msgspec.Meta(pattern=rf"^({WITNESS_NAME})?$")] = ""
    key: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """How long a healthy fleet is never silent."""

    silence_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """The page and the API. `names` are the hosts it answers to; a `socket` stands before host and port."""

    host: Text = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8090
    socket: Text = ""
    names: tuple[str, ...] = ()
    certificate: Text = ""
    key: Text = ""
    users: Text = "/etc/edge-central/users.toml"
    proxy_secret: Text = ""
    time_zone: Text = "Asia/Ho_Chi_Minh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """Who tells boxes the time: a certificate of its own at the broker, and the folder of the appointed key."""

    certificate: Text = "/etc/edge-central/fleet-time.crt"
    key: Text = "/etc/edge-central/fleet-time.key"
    folder: Text = "/etc/edge-central/time-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All tables."""

    database: Database = field(default_factory=Database)
    mqtt: Mqtt = field(default_factory=Mqtt)
    fleet: Fleet = field(default_factory=Fleet)
    witness: Witness = field(default_factory=Witness)
    collect: Collect = field(default_factory=Collect)
    serve: Serve = field(default_factory=Serve)
    time: Time = field(default_factory=Time)


def read(path: Path) -> Settings:
    """The settings of a file; raises ConfigurationError with every mistake, StorageError."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StorageError("cannot be read", where=str(path), hint=error.strerror or "") from error
    if len(text) > MAX_FILE_BYTES:
        raise ConfigurationError("the settings are larger than 64 KiB", where=str(path), hint="is this the right file?")
    return parse(text, where=str(path), environment=os.environ.get("EDGE_CENTRAL_DATABASE", ""))


def parse(text: bytes, *, where: str, environment: str = "") -> Settings:
    """The settings in TOML text; `environment` is a database URL that stands above the file's."""
    try:
        tables = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # the parser's own, a number without end, lists in lists in lists
        raise ConfigurationError(f"not a TOML file: {error}", where=where) from error
    settings, mistakes = convert(tables, Settings())
    refuse(mistakes, _contradictions(settings), text, where=where)
    return replace(settings, database=Database(url=environment)) if environment else settings


def _contradictions(made: Settings) -> Iterator[Mistake]:
    """What does not fit together."""
    kinds, fleet, serve, witness = made.mqtt.kinds, made.fleet, made.serve, made.witness
    if not kinds or not set(kinds) <= set(KINDS):
        yield Mistake(table="mqtt", key="kinds", what=f"some of {', '.join(KINDS)}")
    if serve.time_zone not in zoneinfo.available_timezones():
        yield Mistake(
            table="serve", key="time_zone", what="no zone of the tz database", hint="for example Asia/Ho_Chi_Minh"
        )
    if bool(serve.certificate) != bool(serve.key):
        yield Mistake(table="serve", key="certificate", beside=("key",), what="certificate and key belong together")
    if len({bool(one) for one in (fleet.recipients, fleet.authority_root, fleet.custodian_root)}) > 1:
        yield Mistake(
            table="fleet",
            key="recipients",
            beside=("authority_root", "custodian_root"),
            what="recipients, authority_root and custodian_root belong together",
        )
    if bool(witness.name) != bool(witness.key):
        yield Mistake(
            table="witness",
            key="name",
            beside=("key",),
            what="name and key belong together",
            hint="the name is the one that `edge-central key --name` was given",
        )
