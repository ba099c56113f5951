"""Who may see what, before any page is made."""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.serve.access import (
    FREE_GUESSES,
    LONGEST_PAUSE_S,
    MAX_SESSIONS,
    SESSION_S,
    Access,
    Person,
    Proxy,
    Role,
    hash_password,
    matches,
    read_users,
    write_user,
)
from edge_scanner.core.errors import BadDataError, ConfigurationError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse battery"
KEPT = hash_password(PASSWORD)
LAN = Person(name="lan", role=Role.READER)


class Clock:
    """Seconds that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """At zero."""
    return Clock()


@pytest.fixture
def users() -> dict[str, tuple[Role, str]]:
    """One reader."""
    return {"lan": (Role.READER, KEPT)}


@pytest.fixture
def access(clock: Clock, users: dict[str, tuple[Role, str]]) -> Access:
    """With that reader."""
    return Access(users=lambda: users, now=clock)


def test_a_password_is_kept_as_argon2id() -> None:
    """RFC 9106's PHC string with a salt of its own; the wrong password and a wrong string do not match."""
    assert KEPT.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hash_password(PASSWORD) != KEPT
    assert matches(PASSWORD, KEPT)
    assert not matches("another password", KEPT)
    assert not matches("x" * 201, KEPT)
    assert not matches(PASSWORD, "$argon2id$nonsense")


@pytest.mark.parametrize("password", ["short", "x" * 201])
def test_a_password_has_a_length(password: str) -> None:
    """Neither a word nor a novel."""
    with pytest.raises(ConfigurationError, match="12 to 200"):
        hash_password(password)


def test_guessing_becomes_slow(access: Access, clock: Clock) -> None:
    """After some free guesses even the right password waits; the pause is bounded."""
    for _ in range(FREE_GUESSES + 1):
        assert access.sign_in("lan", "wrong password") is None
    assert access.sign_in("lan", PASSWORD) is None
    clock.now += LONGEST_PAUSE_S
    assert access.sign_in("lan", PASSWORD) == LAN
    assert access.sign_in("nobody", PASSWORD) is None


def test_a_session_ends(access: Access, clock: Clock, users: dict[str, tuple[Role, str]]) -> None:
    """With a shift, with signing out, with the user's entry or password; a role changes at once."""
    token = access.open_session(LAN)
    assert access.of_session(token) == LAN
    users["lan"] = (Role.OPERATOR, KEPT)
    assert access.of_session(token) == Person(name="lan", role=Role.OPERATOR)
    del users["lan"]
    assert access.of_session(token) is None
    users["lan"] = (Role.READER, KEPT)
    clock.now += SESSION_S
    assert access.of_session(token) is None
    renewed = access.open_session(LAN)
    users["lan"] = (Role.READER, hash_password("another four words"))
    assert access.of_session(renewed) is None, "another password"
    other = access.open_session(LAN)
    access.close_session(other)
    assert access.of_session(other) is None


def test_sessions_are_bounded(access: Access) -> None:
    """The oldest makes room."""
    first = access.open_session(LAN)
    for _ in range(MAX_SESSIONS):
        access.open_session(LAN)
    assert access.of_session(first) is None


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_programs_use_basic(access: Access) -> None:
    """A header that is none, or of another scheme, is nobody."""
    assert access.of_basic(_basic(f"lan:{PASSWORD}")) == LAN
    assert access.of_basic(_basic("lan")) is None
    assert access.of_basic("Bearer abc") is None
    assert access.of_basic("Basic \xff") is None
    assert access.of_basic("") is None


def test_a_proxy_is_believed_with_its_secret_only(clock: Clock) -> None:
    """Without the secret, a name or a group of ours its headers are anybody's words."""
    access = Access(users=dict, now=clock, proxy=Proxy(secret="s" * 32))
    said = {
        "x-edge-central-proxy": "s" * 32,
        "x-forwarded-user": "an",
        "x-forwarded-groups": "edge-central-operators, x",
    }

    assert access.of_proxy(said) == Person(name="an", role=Role.OPERATOR)
    assert access.of_proxy(said | {"x-forwarded-groups": "edge-central-readers"}) == Person(name="an", role=Role.READER)
    assert access.of_proxy(said | {"x-forwarded-groups": "others"}) is None
    assert access.of_proxy(said | {"x-edge-central-proxy": "t" * 32}) is None
    assert access.of_proxy(said | {"x-forwarded-user": ""}) is None
    assert access.of_proxy({}) is None
    assert Access(users=dict, now=clock).of_proxy(said) is None


def test_the_users_file(tmp_path: Path) -> None:
    """Written closed, read back, replaced by name."""
    file = tmp_path / "users.toml"
    write_user(file, "lan", Role.READER, KEPT)
    write_user(file, "minh", Role.OPERATOR, KEPT)
    write_user(file, "lan", Role.OPERATOR, KEPT)

    assert file.stat().st_mode & 0o777 == 0o600
    assert read_users(file) == {"lan": (Role.OPERATOR, KEPT), "minh": (Role.OPERATOR, KEPT)}


def test_two_who_write_users_at_once_lose_none(tmp_path: Path) -> None:
    """Each reads what the other wrote; nothing but the file is left."""
    file = tmp_path / "users.toml"
    names = [f"user-{number}" for number in range(30)]

    with ThreadPoolExecutor(10) as crowd:
        list(crowd.map(lambda name: write_user(file, name, Role.READER, KEPT), names))

    assert sorted(read_users(file)) == sorted(names)
    assert [path.name for path in tmp_path.iterdir()] == ["users.toml"]


def test_the_programs_user_may_read_what_root_wrote(tmp_path: Path) -> None:
    """The file belongs to whoever owns its folder, and keeps its owner; only root can give it away."""
    file = tmp_path / "users.toml"
    owner, other = (12_345, 12_346) if os.geteuid() == 0 else (os.geteuid(), os.geteuid())
    os.chown(tmp_path, owner, -1)
    write_user(file, "lan", Role.READER, KEPT)
    assert file.stat().st_uid == owner

    os.chown(file, other, -1)
    write_user(file, "minh", Role.READER, KEPT)

    assert file.stat().st_uid == other


@pytest.mark.parametrize("name", ["", "a b", 'x"]\n[y', "x" * 65])
def test_a_name_is_a_name(tmp_path: Path, name: str) -> None:
    """Nothing that would be TOML."""
    with pytest.raises(BadDataError, match="user's name"):
        write_user(tmp_path / "users.toml", name, Role.READER, KEPT)


def test_a_wrong_users_file_is_said(tmp_path: Path) -> None:
    """No file, an open one, no TOML, a user without a hash."""
    file = tmp_path / "users.toml"
    with pytest.raises(StorageError, match="cannot read the users"):
        read_users(file)
    file.touch(mode=0o600)
    for text in (
        "[",
        "a = " + "[" * 20_000,
        "a = " + "9" * 5000,
        '[lan]\nrole = "reader"\npassword = "plain"\n',
        '[lan]\nrole = "root"\npassword = "$argon2id$"\n',
    ):
        file.write_text(text)
        with pytest.raises(ConfigurationError):
            read_users(file)
    file.write_text("")
    file.chmod(0o644)
    with pytest.raises(StorageError, match="others may read"):
        read_users(file)
    with pytest.raises(StorageError, match="cannot write"):
        write_user(tmp_path / "no" / "users.toml", "lan", Role.READER, KEPT)
