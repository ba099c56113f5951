"""COMMAND edge-central user: who may sign in."""

from __future__ import annotations

from pathlib import Path

from edge_scanner import terminal
from edge_scanner.central import settings
from edge_scanner.central.serve import access


def run_user(config: Path, name: str, role: str, password: str) -> None:
    """Enter a person with a role and the hash of the password."""
    users = Path(settings.read(config).serve.users)
    access.write_user(users, name, access.Role(role), access.hash_password(password))
    terminal.say(f"{users}: {name}, {role}")
