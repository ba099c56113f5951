"""Which of the laptop's interfaces the bench is on: one, wired, and its link-local address alone.

A link-local address (RFC 4291, fe80::/10) is reached from its own cable and from nowhere else, so neither the venue's
network nor a phone's hot spot has a way to the bench. Source: Linux, /proc/net/if_inet6 and /sys/class/net.
"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path

from edge_scanner.core.errors import ConfigurationError

TABLE = Path("/proc/net/if_inet6")
CLASSES = Path("/sys/class/net")
PAUSE_S = 0.2
_LINK = 0x20
"""The scope of a link-local address in /proc/net/if_inet6."""
_TENTATIVE = 0x40
"""IFA_F_TENTATIVE: not usable yet."""
_SIX = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One interface with its link-local address, `fe80::…`, without the scope."""

    name: str
    index: int
    address: str

    @property
    def host(self) -> str:
        """What a server binds to."""
        return f"{self.address}%{self.name}"


def choose(name: str = "", *, table: Path = TABLE, classes: Path = CLASSES, wait_s: float = 0.0) -> Interface:
    """The interface called `name`, or the only wired one with a cable in it; raises ConfigurationError.

    A cable that was plugged in just now has no address for about a second: it is waited for.
    """
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return _chosen(name, table, classes)
        except ConfigurationError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_S)


def _chosen(name: str, table: Path, classes: Path) -> Interface:
    found = link_local(table)
    if name:
        named = next((one for one in found if one.name == name), None)
        if named is None:
            raise ConfigurationError(
                "this interface has no link-local address",
                where=name,
                hint=f"plug the cable in; usable are: {_names(found)}",
            )
        return named
    wired = [one for one in found if _wired(classes / one.name)]
    if len(wired) != 1:
        raise ConfigurationError(
            "the bench needs one wired interface" if not wired else "there is more than one wired interface",
            hint=f"name the bench's with --interface; usable are: {_names(found)}",
        )
    return wired[0]


def link_local(table: Path = TABLE) -> list[Interface]:
    """Every interface with a link-local address that may be used now; none without IPv6."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return []
    found: dict[str, Interface] = {}
    for line in lines:
        words = line.split()
        if len(words) == _SIX and int(words[3], 16) == _LINK and not int(words[4], 16) & _TENTATIVE:
            address = str(ipaddress.IPv6Address(bytes.fromhex(words[0])))
            found.setdefault(words[5], Interface(name=words[5], index=int(words[1], 16), address=address))
    return list(found.values())


def _wired(folder: Path) -> bool:
    """Whether it is a card or adapter with a cable in it: not wireless, not a bridge or tunnel of this machine."""
    if (folder / "wireless").exists() or (folder / "phy80211").exists() or (folder / "bridge").exists():
        return False
    try:
        return (folder / "carrier").read_text().strip() == "1" and (folder / "type").read_text().strip() == "1"
    except OSError:
        return False


def _names(found: list[Interface]) -> str:
    return ", ".join(one.name for one in found) or "none"
