"""Keeps this process's memory off every disk: what is heard here must not be read on a card later.

The unit forbids swap too, but that needs the kernel's memory controller, which a Raspberry Pi's firmware switches off
(`doctor` looks). Locked pages stay in memory whatever the kernel may do; a page is locked when it is first used, so
this costs no memory. Core dumps are the unit's affair (`LimitCORE`, `CoredumpFilter`).

Source: mlockall(2); Linux 4.4 and newer.
"""

from __future__ import annotations

import ctypes
import os

_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4


def lock() -> str:
    """Lock all memory, present and future; why that failed, empty when it did not."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_CURRENT | _FUTURE | _ON_FAULT) == 0:
        return ""
    return os.strerror(ctypes.get_errno())
