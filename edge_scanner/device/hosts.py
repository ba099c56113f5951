"""Host names and addresses of the settings, by their spelling alone."""

from __future__ import annotations

import re
from ipaddress import ip_address

_MAX_HOST = 253
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def is_host(text: str) -> bool:
    """Whether this is a host name (RFC 1123) or an address."""
    try:
        ip_address(text)
    except ValueError:
        return len(text) <= _MAX_HOST and all(_LABEL.fullmatch(label) for label in text.removesuffix(".").split("."))
    return True


def loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
