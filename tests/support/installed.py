"""Programs of Debian's that a test needs: their path, or a skip whose sentence says what installs them."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def program(name: str) -> str:
    """The program's path; skips the test where there is none."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or missing(name)


def missing(name: str) -> NoReturn:
    """Skip the test for want of this program."""
    pytest.skip(f"{name} is not installed: the target that runs this test installs it (`make test`, `make e2e`)")
