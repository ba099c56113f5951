"""Pure: one wire format per file. The configuration is the registry: a protocol is found by its file's name."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.model import BeaconProtocol
from edge_scanner.core.recognition import Recogniser, recognise

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Recogniser", "load", "recognise"]


def load(names: Iterable[str]) -> tuple[BeaconProtocol, ...]:
    """The protocols with these file names, in order; raises ConfigurationError for a name that has no file."""
    protocols = []
    for name in names:
        path = f"{__name__}.{name}"
        if not name.isidentifier() or importlib.util.find_spec(path) is None:
            raise ConfigurationError(
                f"unknown protocol {name!r}", hint="protocols are named as their files in protocols/"
            )
        protocol = importlib.import_module(path).PROTOCOL
        assert isinstance(protocol, BeaconProtocol)  # noqa: S101 (the contract test holds every file to it)
        protocols.append(protocol)
    return tuple(protocols)
