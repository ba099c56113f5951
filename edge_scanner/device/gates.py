"""The other boxes of a site, as the settings name them: `[gates]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from edge_scanner.core import text
from edge_scanner.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 15
_LINE = re.compile(
    r"(?P<name>\S(?:.{0,38}\S)?) (?P<address>(?P<scheme>https?)://(?P<host>[0-9.]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[1-9][0-9]{0,4}))"
    r"(?: (?P<fingerprint>(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}))?"
)
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """The site's boxes on one page of the operator's: this one's name, the others, and what they add up to."""

    name: Annotated[str, msgspec.Meta(max_length=40)] = ""
    others: tuple[Annotated[str, msgspec.Meta(max_length=220)], ...] = ()
    hall_rule: Literal["separate", "same hall"] = "separate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Another box: its address without a path, and by HTTPS the SHA-256 of its certificate, which must be that."""

    name: str
    address: str
    fingerprint: bytes | None


def read(line: str) -> Gate:
    """`NAME http://ADDRESS:PORT` or `NAME https://ADDRESS:PORT FINGERPRINT`; raises ConfigurationError.

    An address of numbers alone: whoever answers for names on a venue's network must not choose what the box asks.
    """
    found = _LINE.fullmatch(line)
    if found is None or not text.drawn(line) or not _is_place(found["host"], found["port"]):
        raise ConfigurationError(
            f"{line!r:.80} is not a name and an address", hint='write "Gate 3 http://192.168.1.21:8080"'
        )
    digits = found["fingerprint"]
    if (found["scheme"] == "https") is not (digits is not None):
        raise ConfigurationError(
            f"{line!r:.80}: https needs a fingerprint, and http takes none",
            hint="edge-scanner page-certificate shows it on that box",
        )
    fingerprint = bytes.fromhex(digits.replace(":", "")) if digits else None
    return Gate(name=found["name"], address=found["address"], fingerprint=fingerprint)


def check_gates(others: Sequence[str]) -> None:
    """Raises ConfigurationError for the first line that is none, for one too many, and for a box named twice."""
    if len(others) > MOST:
        raise ConfigurationError(f"more than {MOST}", hint="the centre's page shows larger sites")
    gates = [read(line) for line in others]
    for known in ([gate.name for gate in gates], [gate.address for gate in gates]):
        if len(set(known)) < len(known):
            raise ConfigurationError("names a gate or an address twice")


def _is_place(host: str, port: str) -> bool:
    try:
        _ = IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(host)
    except ValueError:
        return False
    return int(port) <= _LAST_PORT
