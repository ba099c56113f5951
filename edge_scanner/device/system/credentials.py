"""What systemd gives a unit besides its settings: secrets in a folder of that unit's own (systemd.exec(5)).

Each unit sees another folder (CREDENTIALS_DIRECTORY), so that no one path in the settings is right for every unit.
"""

from __future__ import annotations

import os
from pathlib import Path

KEY, PIN = "mqtt.key", "ops-pin"
"""The key of the broker's certificate; the hash of the operator's PIN."""


def path(name: str) -> str:
    """Of one that this unit was given; "" otherwise, and for an empty one: nothing was handed over."""
    file = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""), name)
    return str(file) if file.is_absolute() and file.exists() and file.stat().st_size else ""
