"""The recipient set that boxes' sets are held against is believed by both roots' signatures, and by nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.serve.signed_set import SignedSet
from edge_scanner.central.settings import Fleet
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.log import recipients
from tests.support.recipients import Parties, parties

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = 1_795_000_000


@pytest.fixture
def people() -> Parties:
    """An authority and a custodian."""
    return parties(NOW_S)


@pytest.fixture
def files(tmp_path: Path, people: Parties) -> Fleet:
    """What `fleet send` takes, as the centre is given it."""
    (tmp_path / "a.pem").write_bytes(people.root_pem)
    (tmp_path / "c.pem").write_bytes(people.custodian_pem)
    put(tmp_path / "set.json", people.document)
    return Fleet(
        recipients=str(tmp_path / "set.json"),
        authority_root=str(tmp_path / "a.pem"),
        custodian_root=str(tmp_path / "c.pem"),
    )


def put(path: Path, document: bytes, at_s: int = NOW_S) -> None:
    """The file, at another time than before."""
    path.write_bytes(document + b"\n")
    os.utime(path, (at_s, at_s))


def test_the_set_that_was_given_is_read_again_when_it_changes(files: Fleet, people: Parties, tmp_path: Path) -> None:
    """A renewed set is the yardstick at once; without files there is none."""
    given = SignedSet(files)
    assert given.version() == people.recipients.version
    newer = replace(people.recipients, version=people.recipients.version + 6)
    one = recipients.sign(newer, [people.root])
    put(tmp_path / "set.json", recipients.countersign(one, [people.custodian_root]), NOW_S + 60)

    assert given.version() == people.recipients.version + 6
    assert SignedSet(Fleet()).version() == 0


def test_one_party_s_set_is_no_yardstick(
    files: Fleet, people: Parties, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said once and the set before it stays; at a start it is a mistake in the settings, as is a missing one."""
    given = SignedSet(files)
    put(tmp_path / "set.json", recipients.sign(replace(people.recipients, version=9), [people.root]), NOW_S + 60)

    assert [given.version(), given.version()] == [people.recipients.version] * 2
    assert capsys.readouterr().err.count("the set before it stays the yardstick") == 1
    with pytest.raises(ConfigurationError, match="cannot be used"):
        SignedSet(files)
    (tmp_path / "set.json").unlink()
    with pytest.raises(ConfigurationError, match=r"set\.json"):
        SignedSet(files)
