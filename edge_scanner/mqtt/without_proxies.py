"""paho without the library that it would ask for proxies."""

from __future__ import annotations

import contextlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def without_proxies() -> Iterator[None]:
    """Let paho believe that it has `urllib.request`, which it asks for proxies, and only where PySocks is installed.

    With http and email it would be 0.8 MB of a box's memory.
    """
    name = "urllib.request"
    if name in sys.modules or find_spec("socks"):
        yield
        return
    sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]
