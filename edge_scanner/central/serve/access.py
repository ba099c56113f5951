"""Who may see what: a file of users, or a proxy that has asked an OpenID Connect provider.

Nothing but `/healthz` and the page to sign in is anonymous. A *reader* sees; an *operator* also clears alarms. Programs
sign in with HTTP Basic, people with a form and a cookie; a session ends after a shift or with the program.

A proxy's headers are believed with the secret it shares with us, because anybody can write a header. Passwords are kept
as Argon2id (RFC 9106).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import tomllib
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from edge_scanner import small_files
from edge_scanner.core.errors import BadDataError, ConfigurationError, StorageError
from edge_scanner.core.text import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

COOKIE = "edge_central"
SESSION_S = 8 * 3600.0
MAX_SESSIONS = 1000
LEAST_PASSWORD = 12
MAX_PASSWORD = 200
MAX_USERS = 1000
MAX_FILE_BYTES = 1 << 20
FREE_GUESSES = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 900.0
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
"""OWASP's Argon2id: 19 MiB, two passes."""
_MAX_NAMES = 10_000


class Role(StrEnum):
    """What somebody may do; an operator may all that a reader may."""

    READER = "reader"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """How a proxy says who asks: header names, the groups of each role, the secret it shares with us."""

    secret: str
    user_header: str = "x-forwarded-user"
    groups_header: str = "x-forwarded-groups"
    secret_header: str = "x-edge-central-proxy"  # noqa: S105 (a header's name)
    readers: str = "edge-central-readers"
    operators: str = "edge-central-operators"


def hash_password(password: str) -> str:
    """The PHC string to keep; raises ConfigurationError for a password that is too short or too long."""
    if not LEAST_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ConfigurationError(
            f"a password has {LEAST_PASSWORD} to {MAX_PASSWORD} characters", hint="take four or more words"
        )
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB)
    return kdf.derive_phc_encoded(password.encode())


def matches(password: str, phc: str) -> bool:
    """Whether a password is the one that was kept."""
    if len(password) > MAX_PASSWORD:
        return False
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except (InvalidKey, ValueError):
        return False
    return True


def read_users(path: Path) -> dict[str, tuple[Role, str]]:
    """Name -> role and PHC string, of a TOML file with a table a user; raises StorageError, ConfigurationError."""
    try:
        text = small_files.content(path, MAX_FILE_BYTES)
        if path.stat().st_mode & 0o077:
            raise StorageError("others may read the users", where=str(path), hint=f"chmod 600 {path}")
        tables = tomllib.loads(text.decode())
    except OSError as error:
        raise StorageError(
            f"cannot read the users: {error.strerror}", where=str(path), hint="edge-central user NAME makes the file"
        ) from error
    except (ValueError, RecursionError) as error:  # the parser's own, a number without end, lists in lists in lists
        raise ConfigurationError(f"not a TOML file: {error}", where=str(path)) from error
    users = {}
    for name, table in tables.items():
        match table:
            case {"role": "reader" | "operator" as role, "password": str(phc)} if phc.startswith("$argon2id$"):
                users[name] = (Role(role), phc)
            case _:
                raise ConfigurationError(
                    f"user {literal(name)!r} needs role = reader or operator, and a password's hash",
                    where=str(path),
                    hint="edge-central user NAME writes it",
                )
    if len(users) > MAX_USERS:
        raise ConfigurationError(f"more than {MAX_USERS} users", where=str(path))
    return users


def write_user(path: Path, name: str, role: Role, phc: str) -> None:
    """Add or replace one user; the file is renamed into place with mode 600, its owner's or, new, its folder's.

    Raises BadDataError, StorageError, ConfigurationError.
    """
    if not name or len(name) > 64 or not all(char.isalnum() or char in "._@-" for char in name):  # noqa: PLR2004 (a name)
        raise BadDataError("a user's name is 1 to 64 letters, digits, . _ @ -", where="NAME")
    try:
        with _alone(path.parent):
            users = read_users(path) if path.exists() else {}
            users[name] = (role, phc)
            lines = [
                f'["{one}"]\nrole = "{kind}"\npassword = "{kept}"\n' for one, (kind, kept) in sorted(users.items())
            ]
            _replace(path, "\n".join(lines))
    except OSError as error:
        raise StorageError(f"cannot write: {error.strerror}", where=str(path)) from error


def _replace(path: Path, text: str) -> None:
    owner = path.stat() if path.exists() else path.parent.stat()
    small_files.write(path, text.encode(), owner=(owner.st_uid, owner.st_gid) if os.geteuid() == 0 else None)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer at a time."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


@dataclass(slots=True, kw_only=True)
class Access:
    """The users, the sessions of people, and the brake on guesses; `now` is a monotonic clock.

    `sign_in` takes a tenth of a second and 19 MiB: one call at a time, so that guesses that come together are counted
    one after the other, and cost no more.
    """

    users: Callable[[], Mapping[str, tuple[Role, str]]]
    now: Callable[[], float]
    proxy: Proxy | None = None
    _sessions: OrderedDict[bytes, tuple[str, str, float]] = field(default_factory=OrderedDict)
    _guesses: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)

    def sign_in(self, name: str, password: str) -> Person | None:
        """Whoever knows the password; None for anybody else, and for a while after too many guesses at a name."""
        guesses, until = self._guesses.get(name, (0, 0.0))
        if self.now() < until:
            return None
        kept = self.users().get(name)
        # A name that is not there costs as much as one that is.
        if not matches(password, kept[1] if kept else _NOBODY) or kept is None:
            pause = (
                0.0 if guesses < FREE_GUESSES else min(FIRST_PAUSE_S * 2 ** (guesses - FREE_GUESSES), LONGEST_PAUSE_S)
            )
            self._guesses[name] = (guesses + 1, self.now() + pause)
            self._guesses.move_to_end(name)
            while len(self._guesses) > _MAX_NAMES:
                self._guesses.popitem(last=False)
            return None
        self._guesses.pop(name, None)
        return Person(name=name, role=kept[0])

    def open_session(self, person: Person) -> str:
        """A new session's token; only its hash is kept. It is good for the password that was the user's then."""
        token = secrets.token_urlsafe(32)
        _, phc = self.users().get(person.name, (None, ""))
        self._sessions[_digest(token)] = (person.name, phc, self.now() + SESSION_S)
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return token

    def close_session(self, token: str) -> None:
        """Sign out."""
        self._sessions.pop(_digest(token), None)

    def of_session(self, token: str) -> Person | None:
        """Whose session it is, with the role of now; whoever is gone or has another password is out at once."""
        name, phc, until = self._sessions.get(_digest(token), ("", "", 0.0))
        kept = self.users().get(name)
        if self.now() >= until or kept is None or kept[1] != phc:
            return None
        return Person(name=name, role=kept[0])

    def of_basic(self, header: str) -> Person | None:
        """Whoever an `Authorization: Basic` names."""
        scheme, _, credentials = header.partition(" ")
        try:
            name, found, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None
        return self.sign_in(name, password) if scheme.lower() == "basic" and found else None

    def of_proxy(self, headers: Mapping[str, str]) -> Person | None:
        """Whom the proxy names; None without its secret, a name or a group of ours."""
        proxy = self.proxy
        if proxy is None or not hmac.compare_digest(
            headers.get(proxy.secret_header, "").encode(), proxy.secret.encode()
        ):
            return None
        groups = {group.strip() for group in headers.get(proxy.groups_header, "").split(",")}
        name = headers.get(proxy.user_header, "")[:64]
        role = Role.OPERATOR if proxy.operators in groups else Role.READER if proxy.readers in groups else None
        return Person(name=name, role=role) if name and role else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5MDA$n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg"
