"""Keys at the desk, by the program: passphrases, files, backups, weeks."""

from __future__ import annotations

import io
import re
import string
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority import translations as words
from edge_scanner.authority.keys import keys, vault
from edge_scanner.authority.keys.weeks import week_of, week_start, weeks_from
from edge_scanner.core.errors import BadDataError, RefusedError
from tests.support.authority import told
from tests.support.desk import NOW_S, SECRET, Desk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_file_opens_with_its_passphrase_only(desk: Desk) -> None:
    """Another passphrase, and a file whose clear part was edited, are refused; the file is private."""
    path = desk / "vault" / "root.key"
    key = vault.read(path)

    assert len(vault.KeyRing(SECRET).open(key)) == 64
    with pytest.raises(RefusedError):
        vault.KeyRing("another passphrase").open(key)
    path.write_bytes(path.read_bytes().replace(b'"role":"root"', b'"role":"boot"'))
    with pytest.raises(RefusedError):
        vault.KeyRing(SECRET).open(vault.read(path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_poor_passphrase_is_refused(desk: Desk) -> None:
    """Nine characters are too few."""
    (desk / "secret").write_text("12345678\n")

    desk("keys", "new", desk / "x", "--role", "approver", "--name", "B", code=65)


@pytest.mark.parametrize(
    "words", [("root", "x"), ("new", "x", "--role", "approver"), ("new", "x", "--role", "custodian", "--weeks", 1)]
)
@pytest.mark.parametrize("name", ["An\x1b[2J", "A\u202en", "", "A" * 129, " An"])
def test_a_name_that_could_not_stand_in_a_mandate_makes_no_key(
    desk: Desk, words: tuple[object, ...], name: str
) -> None:
    """Told when the key is made, not when somebody else shall sign it."""
    done = desk("keys", words[0], desk / "x", *words[2:], "--name", name, code=65)

    assert "the name" in done.stderr
    assert not (desk / "x").exists()


def test_a_public_part_with_such_a_name_is_none(desk: Desk) -> None:
    """Edited on its way: nothing is signed for it."""
    desk("keys", "new", desk / "x", "--role", "approver", "--name", "B")
    path = desk / "x" / "approver.pub"
    path.write_bytes(path.read_bytes().replace(b'"name":"B"', b'"name":"\\u001b[2J"'))

    with pytest.raises(BadDataError, match="not a public key of ours"):
        keys.read_public(path)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"format":"edge-scanner/key/1"}', b"\xff\xfe", b'{"format":"x","kdf":{}}']
)
def test_other_files_are_no_keys(tmp_path: Path, content: bytes) -> None:
    """One line, exit code 65."""
    path = tmp_path / "odd.key"
    path.write_bytes(content)

    with pytest.raises(BadDataError, match="key file"):
        vault.read(path)


def test_a_stranger_s_file_cannot_make_us_compute_for_ever(desk: Desk) -> None:
    """Argon2's cost in a file is bounded."""
    path = desk / "vault" / "root.key"
    path.write_bytes(path.read_bytes().replace(b'"memory_kib":64', b'"memory_kib":99999999'))

    with pytest.raises(BadDataError):
        vault.read(path)


def test_whoever_gives_a_mandate_types_what_the_person_reads_to_him(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The officer puts a key of his own under the approver's name on the stick: it has other words."""
    heard = []
    for folder in ("approver", "swapped"):
        made = desk("keys", "new", desk / folder, "--role", "approver", "--name", "Trần Văn Bình")
        assert re.fullmatch(r"approver: Trần Văn Bình; [a-z]{5}(-[a-z]{5}){5}", made.stdout.splitlines()[-1])
        heard.append(told(made.stdout))
    swapped = ("keys", "certify", desk / "swapped" / "approver.pub", "--root", desk / "vault" / "root.key")
    to = ("--authority", "authority-hcm", "--out", desk / "m")

    for typed in (heard[0], heard[1][:-6], "yes", ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{typed}\n"))
        shown = [desk(*swapped, *to, "--words", typed, code=77)] if typed else []
        shown.append(desk(*swapped, *to, code=77 if typed else 1))
        assert all(one.stdout.strip() == "approver: Trần Văn Bình" and heard[1] not in one.stderr for one in shown)
    assert not (desk / "m").exists()

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{heard[1].replace('-', ' ').upper()}\n"))
    desk(*swapped, *to)


def test_two_of_three_shares_bring_a_key_back(desk: Desk) -> None:
    """Any two, with the file; one alone, or shares of another key, do not."""
    shares = desk / "shares"
    desk("keys", "split", desk / "vault" / "root.key", "--need", 2, "--of", 3, "--out", shares)
    paths = sorted(shares.iterdir())
    texts = [path.read_text() for path in paths]
    assert [len(text.splitlines()[-1].split()) for text in texts] == [33, 33, 33]
    assert "Share 2 of 3; 2 of them and the key file are needed" in texts[1]
    assert "Sở Y tế, khoá / key root" in texts[1]
    (desk / "secret").write_text("một mật khẩu khác\n")

    for number, pair in enumerate((paths[:2], paths[1:])):
        desk("keys", "recover", desk / "vault" / "root.key", *pair, "--out", desk / f"new{number}.key")
        old = vault.KeyRing(SECRET).open(vault.read(desk / "vault" / "root.key"))
        assert vault.KeyRing("một mật khẩu khác").open(vault.read(desk / f"new{number}.key")) == old
    desk("keys", "recover", desk / "vault" / "root.key", paths[0], "--out", desk / "no.key", code=65)


def test_weeks_are_iso_weeks() -> None:
    """Monday 00:00 UTC; week 53 and the turn of the year."""
    assert week_of(NOW_S) == "2026-W48"
    assert week_start("2026-W48") == 1_795_392_000 - 1_795_392_000 % 86_400
    assert weeks_from("2026-W52", 3) == ["2026-W52", "2026-W53", "2027-W01"]
    for text in ("2026-W54", "2026-48", "W48"):
        with pytest.raises(BadDataError):
            week_start(text)


def test_both_languages_say_the_same_things() -> None:
    """The catalogues have the same keys and the same gaps to fill."""

    def gaps(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    vietnamese, english = words.catalogue("vi"), words.catalogue("en")
    assert vietnamese.keys() == english.keys()
    assert [key for key in vietnamese if gaps(vietnamese[key]) != gaps(english[key])] == []
