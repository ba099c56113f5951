"""Keys, mandates, recipient sets, backups and requests at the desk, by the program."""

from __future__ import annotations

import base64
import json
import os
import string
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority import translations as words
from edge_scanner.authority.collect.boxes import Box
from edge_scanner.authority.collect.request import parse_time
from edge_scanner.authority.keys import keys, vault
from edge_scanner.authority.keys.weeks import week_of, week_start, weeks_from
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, RefusedError
from edge_scanner.core.log import recipients
from edge_scanner.core.log import roots as roots_module
from edge_scanner.core.log.errors import DocumentForgedError
from edge_scanner.core.pull import request, revocations
from tests.support.authority import Outcome, edge_authority
from tests.support.box_lists import write_boxes
from tests.support.office import AUTHORITY, Office

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.core.log.roots import Roots

SECRET = "ngựa đúng pin ghim"
NOW_S = 1_795_903_200


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passphrases cost a thousandth; the story in e2e/ pays the full price."""
    monkeypatch.setattr(
        vault, "new_lock", lambda: vault.Lock(salt=os.urandom(16), memory_kib=64, iterations=1, lanes=1)
    )


class Desk:
    """A folder with a passphrase in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_s = float(NOW_S)
        (folder / "secret").write_text(SECRET + "\n")

    def __call__(self, *words: object, code: int = 0, secret: bool = True) -> Outcome:
        """Run a command; paths without a slash lie in the folder."""
        extra = ("--passphrase-file", self.folder / "secret") if secret else ()
        done = edge_authority(*words, *extra, now_s=self.now_s)
        assert done.code == code, done
        return done

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with a root."""
    opened = Desk(tmp_path)
    opened("keys", "root", tmp_path / "vault", "--name", "Sở Y tế", "--post-quantum")
    opened("keys", "root", tmp_path / "vault", "--custodian", "--name", "Trung tâm giữ khoá")
    return opened


def propose(
    desk: Desk, version: int, *changes: object, code: int = 0, custodian: str = "vault/custodian-root.pem"
) -> Outcome:
    """The authority signs."""
    return desk(
        "recipients", "sign", desk / "recipient", desk / "custodian", "--root", desk / "vault" / "root.key",
        "--custodian-root", desk / custodian, "--version", version,
        "--out", desk / f"{version}.proposed", *changes, code=code,
    )  # fmt: skip


def countersign(desk: Desk, version: int, *changes: object, code: int = 0, typed: object = None) -> Outcome:
    """The custodian countersigns, and names the version `typed`, by default the right one."""
    return desk(
        "recipients", "countersign", desk / f"{version}.proposed", desk / "custodian",
        "--root", desk / "vault" / "custodian-root.key", "--authority-root", desk / "vault" / "authority-root.pem",
        "--version", typed or version, "--out", desk / f"{version}.json", *changes, code=code,
    )  # fmt: skip


def two_signatures(desk: Desk, version: int) -> bytes:
    """The set that both signed."""
    propose(desk, version)
    countersign(desk, version)
    return (desk / f"{version}.json").read_bytes()


def both_roots(desk: Desk) -> Roots:
    """As a box pins them."""
    vault_folder = desk / "vault"
    return roots_module.read(
        (vault_folder / "authority-root.pem").read_bytes(), (vault_folder / "custodian-root.pem").read_bytes()
    )


def person(desk: Desk, role: str, name: str) -> None:
    """A signing key and its mandate."""
    desk("keys", "new", desk / role, "--role", role, "--name", name)
    desk(
        "keys", "certify", desk / role / f"{role}.pub", "--root", desk / "vault" / "root.key",
        "--authority", AUTHORITY, "--out", desk / f"{role}.mandate",
    )  # fmt: skip


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


def test_the_root_signs_mandates_and_recipients_in_both_algorithms(desk: Desk) -> None:
    """A mandate and a recipient set hold under both keys of the pinned PEM file."""
    person(desk, "approver", "Trần Văn Bình")
    for role in ("recipient", "custodian"):
        desk("keys", "new", desk / role, "--role", role, "--name", role, "--weeks", 4, "--from-week", "2026-W47")
    found = recipients.verify(two_signatures(desk, 3), both_roots(desk))
    roots = signed.verify_keys((desk / "vault" / "authority-root.pem").read_bytes())

    mandate = request.read_mandate((desk / "approver.mandate").read_bytes().rstrip(b"\n"), roots)

    assert len(roots) == 2
    assert (mandate.role, mandate.name) == ("approver", "Trần Văn Bình")
    assert (found.version, len(found.recipients), found.parts) == (3, 8, (("recipient",), ("custodian",)))
    assert found.not_after_s == week_start("2026-W47") + 4 * 7 * 86_400
    opened = keys.open_openers(desk / "recipient", SECRET, {found.recipients[0].key_id, found.recipients[4].key_id})
    assert len(opened) == 1


def test_a_set_needs_both_parties_every_week(desk: Desk) -> None:
    """A custodian whose keys end earlier is noticed before anything is signed."""
    desk("keys", "new", desk / "recipient", "--role", "recipient", "--name", "R", "--weeks", 2)
    desk("keys", "new", desk / "custodian", "--role", "custodian", "--name", "C", "--weeks", 1)

    done = propose(desk, 1, code=65)

    assert "same weeks" in done.stderr


def weekly(desk: Desk, weeks: int, role: str = "custodian", folder: str = "") -> None:
    """Opening keys of the weeks from this one on."""
    desk("keys", "new", desk / (folder or role), "--role", role, "--name", f"the {role}", "--weeks", weeks)


def test_a_set_takes_both_parties_each_of_whom_sees_it(desk: Desk) -> None:
    """What the authority proposed is no set yet; both see versions, parties, weeks and who opens with whom."""
    weekly(desk, 2, "recipient")
    weekly(desk, 2)
    shown = propose(desk, 1).stdout
    with pytest.raises(DocumentForgedError):
        recipients.verify((desk / "1.proposed").read_bytes(), both_roots(desk))

    seen = countersign(desk, 1).stdout

    for text in ("version 1", "Sở Y tế: recipient", "the custodian: custodian", "recipient; custodian"):
        assert text in shown
        assert text in seen
    assert recipients.verify((desk / "1.json").read_bytes(), both_roots(desk)).version == 1
    (desk / "published.jsonl").write_bytes(
        b'{"kind":"status","device":"K7MP2R9CX4","recipients_version":1}\nnonsense\n{}\n'
        b'edge-scanner/v1/d/7K3M9Q2X4T/up/audit {"kind":"audit","device":"7K3M9Q2X4T","action":"recipients",'
        b'"case":"recipients-2","request":"00ff","at":1795903200}\n{"kind":"status","device":[],"recipients_version":"x"}\n'
    )
    listed = desk(
        "recipients", "list", desk / "1.json", "--authority-root", desk / "vault" / "authority-root.pem",
        "--custodian-root", desk / "vault" / "custodian-root.pem",
        "--published", desk / "published.jsonl", secret=False,
    )  # fmt: skip
    for text in (
        "version 1",
        "K7MP2R9CX4: phiên bản / version 1",
        "7K3M9Q2X4T: recipients-2, mã / digest 00ff, 2026-11-28",
    ):
        assert text in listed.stdout


def test_a_mandate_is_ended_by_a_list_that_grows(desk: Desk) -> None:
    """Two people, one after the other; a custodian's key is no mandate; only the root signs, and only its own list."""
    for role in ("health-officer", "approver"):
        person(desk, role, role)
    weekly(desk, 1)
    root = ("--root", desk / "vault" / "root.key")
    first, second = desk / "1.json", desk / "2.json"

    desk("keys", "revoke", desk / "approver" / "approver.pub", *root, "--out", first)
    desk("keys", "revoke", desk / "health-officer" / "health-officer.pub", *root, "--before", first, "--out", second)

    pinned = signed.verify_keys((desk / "vault" / "authority-root.pem").read_bytes())
    lists = [revocations.verify(path.read_bytes().rstrip(b"\n"), pinned) for path in (first, second)]
    assert [(found.version, len(found.keys)) for found in lists] == [(1, 1), (2, 2)]
    assert revocations.supersede(*lists) == lists[1]
    [week] = (desk / "custodian").glob("*.pub")
    assert "has a mandate" in desk("keys", "revoke", week, *root, "--out", desk / "3.json", code=65).stderr
    own = ("--root", desk / "vault" / "custodian-root.key", "--out", desk / "3.json")
    assert "not the root" in desk("keys", "revoke", desk / "approver" / "approver.pub", *own, code=65).stderr


def test_a_custodian_does_not_sign_what_he_did_not_mean(desk: Desk) -> None:
    """Another version typed, keys called his that are not, a set without his root, the authority's key as his root."""
    weekly(desk, 2, "recipient")
    weekly(desk, 2)
    propose(desk, 1)
    assert "not typed" in countersign(desk, 1, code=77, typed=2).stderr
    for path in (desk / "custodian").iterdir():
        path.unlink()
    weekly(desk, 2)
    assert "are not here" in countersign(desk, 1, code=65).stderr
    desk("keys", "root", desk / "other", "--custodian", "--name", "Somebody")
    propose(desk, 2, custodian="other/custodian-root.pem")
    assert "does not name this root" in countersign(desk, 2, code=65).stderr
    propose(desk, 3)
    assert "not the custodian-root" in countersign(desk, 3, "--root", desk / "vault" / "root.key", code=65).stderr
    assert not list(desk.folder.glob("*.json"))


def test_one_root_for_both_parties_is_refused(desk: Desk) -> None:
    """The authority cannot be its own custodian: the set would name one root twice."""
    weekly(desk, 1, "recipient")
    weekly(desk, 1)

    done = propose(desk, 1, custodian="vault/authority-root.pem", code=65)

    assert "one root stands for two parties" in done.stderr


def test_the_next_set_goes_on_from_the_last(desk: Desk) -> None:
    """Renewal takes the next version and later weeks; a set that ends no later, or leaves this week out, is refused."""
    weekly(desk, 2, "recipient")
    weekly(desk, 2)
    two_signatures(desk, 1)

    def renew(code: int = 0) -> Outcome:
        return desk(
            "recipients", "renew", desk / "1.json", desk / "recipient", desk / "custodian",
            "--root", desk / "vault" / "root.key", "--authority-root", desk / "vault" / "authority-root.pem",
            "--custodian-root", desk / "vault" / "custodian-root.pem", "--out", desk / "2.proposed", code=code,
        )  # fmt: skip

    assert "no later than the old one" in renew(65).stderr
    later = weeks_from(week_of(time.time() + 14 * 86400), 4)[0]
    for role in ("recipient", "custodian"):
        desk("keys", "new", desk / role, "--role", role, "--name", role, "--weeks", 4, "--from-week", later)
    renew()
    countersign(desk, 2)
    found = recipients.verify((desk / "2.json").read_bytes(), both_roots(desk))
    assert (found.version, len(found.recipients)) == (2, 12)
    assert found.usable(time.time() + 40 * 86400)
    (desk / "2.proposed").unlink()
    for role in ("recipient", "custodian"):
        for path in sorted((desk / role).glob("*-W*.pub"))[:2]:
            path.unlink()
    assert "begins on" in renew(65).stderr


def test_a_week_s_key_is_destroyed_with_a_record(desk: Desk) -> None:
    """Not while it may be needed; then gone from disk, with a record to sign."""
    desk(
        "keys",
        "new",
        desk / "desk",
        "--role",
        "recipient",
        "--name",
        "Phòng dịch",
        "--weeks",
        1,
        "--from-week",
        "2026-W01",
    )
    path = desk / "desk" / "recipient-2026-W01.key"
    last_needed_s = week_start("2026-W01") + (7 + 28) * 86_400
    with pytest.raises(RefusedError):
        keys.destroy(desk / "desk", role="recipient", week="2026-W01", by="An", why="x", now_s=last_needed_s - 1)
    assert path.exists()

    record = keys.destroy(desk / "desk", role="recipient", week="2026-W01", by="An", why="hết hạn", now_s=last_needed_s)

    assert not path.exists()
    text = record.read_text()
    assert "2026-W01" in text
    assert "An" in text
    assert "2026-02-02" in text


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


def inventory(desk: Desk) -> None:
    """Two boxes at one site, one elsewhere."""
    write_boxes(
        desk / "boxes.csv",
        [
            Box(
                device=device,
                site=site,
                room="Cửa 3",
                name="Bến xe Miền Đông",
                identity=Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32).public_key().public_bytes_raw(),
            )
            for number, (device, site) in enumerate(
                (("K7MP2R9CX4", "ben-xe"), ("7K3M9Q2X4T", "ben-xe"), ("3T5W8Z1B9D", "cho"))
            )
        ],
    )


def new_request(desk: Desk, *changes: object, code: int = 0) -> Outcome:
    """The health officer's command."""
    return desk(
        "request", "new", "--case", "HCM-2026-0417", "--legal-basis", "Luật 03/2007/QH12, Điều 33",
        "--purpose", "Truy vết", "--from", "2026-11-20T08:00", "--to", "2026-11-20T10:30",
        "--boxes", desk / "boxes.csv", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "health-officer" / "health-officer.key",
        "--mandate", desk / "health-officer.mandate", "--out", desk / "request.json", *changes, code=code,
    )  # fmt: skip


def test_a_request_from_case_to_two_signatures(desk: Desk) -> None:
    """Sites become boxes, local time becomes UTC, and the words say it in both languages."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    person(desk, "approver", "Trần Văn Bình")
    new_request(desk, "--site", "ben-xe", "--sealed-days", 3)
    root = desk / "vault" / "authority-root.pem"
    once = desk("request", "show", desk / "request.json", "--root", root, secret=False, code=77)
    assert "a signature is missing" in " ".join(once.stdout.split())

    desk(
        "request", "approve", desk / "request.json", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "approver" / "approver.key",
        "--mandate", desk / "approver.mandate", "--out", desk / "approved.json", "--confirm", "2 2:30",
    )  # fmt: skip

    shown = desk("request", "show", desk / "approved.json", "--root", root, "--json", secret=False)
    facts = json.loads(shown.stdout)
    assert facts["devices"] == ["K7MP2R9CX4", "7K3M9Q2X4T"]
    assert (facts["from"], facts["to"]) == ("2026-11-20T01:00:00Z", "2026-11-20T03:30:00Z")
    assert facts["signatures"] == ""
    done = desk(
        "request", "show", desk / "approved.json", "--root", root, "--boxes", desk / "boxes.csv", secret=False
    )  # fmt: skip
    told = " ".join(done.stdout.replace("│", " ").split())
    for text in (
        "K7MP-2R9C-X4",
        "Bến xe Miền Đông",
        "20/11/2026 08:00",
        "2 giờ 30 phút",
        "2 h 30 min",
        "người phê duyệt",
    ):
        assert text in told


def test_nobody_approves_his_own_role(desk: Desk) -> None:
    """A second health officer is refused at the desk already."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    new_request(desk, "--box", "K7MP-2R9C-X4")
    (desk / "health-officer.mandate").unlink()
    other = Desk(desk / "vault")
    other("keys", "new", desk / "second", "--role", "health-officer", "--name", "Another")
    desk(
        "keys", "certify", desk / "second" / "health-officer.pub", "--root", desk / "vault" / "root.key",
        "--authority", AUTHORITY, "--out", desk / "second.mandate",
    )  # fmt: skip

    done = desk(
        "request", "approve", desk / "request.json", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "second" / "health-officer.key",
        "--mandate", desk / "second.mandate", "--out", desk / "no.json", "--confirm", "1 2:30", code=77,
    )  # fmt: skip

    assert "signed already" in done.stderr


def test_an_expired_mandate_is_told_before_anybody_is_woken(desk: Desk) -> None:
    """The officer's desk and the approver's refuse what every box would refuse, before they sign."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    person(desk, "approver", "Trần Văn Bình")
    new_request(desk, "--box", "K7MP-2R9C-X4")

    desk.now_s = NOW_S + 400 * 86400
    late = new_request(desk, "--box", "K7MP-2R9C-X4", "--from", "2028-01-01T08", "--to", "2028-01-01T09", code=77)
    approved = desk(
        "request", "approve", desk / "request.json", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "approver" / "approver.key",
        "--mandate", desk / "approver.mandate", "--out", desk / "no.json", "--confirm", "1 2:30", code=77,
    )  # fmt: skip

    assert "a mandate is not valid now" in late.stderr
    assert "a mandate is not valid now" in approved.stderr
    assert not (desk / "no.json").exists()


def approve(desk: Desk, *changes: object, code: int = 0) -> Outcome:
    """The approver's command, for one box and two and a half hours."""
    return desk(
        "request", "approve", desk / "request.json", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "approver" / "approver.key", "--mandate", desk / "approver.mandate",
        "--out", desk / "approved.json", "--confirm", "1 2:30", *changes, code=code,
    )  # fmt: skip


def revoke(desk: Desk, *roles: str) -> None:
    """The list that ends these mandates, beside the root."""
    people = [desk / role / f"{role}.pub" for role in roles]
    target = desk / "vault" / "revocations.json"
    before = ("--before", target.rename(desk / "before.json")) if target.exists() else ()
    desk("keys", "revoke", *people, "--root", desk / "vault" / "root.key", *before, "--out", target)


@pytest.mark.parametrize("gone", ["health-officer", "approver"])
def test_a_revoked_mandate_is_told_at_every_desk(desk: Desk, gone: str) -> None:
    """Before the officer drafts, before the approver signs, and to whoever reads an order that both have signed."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    person(desk, "approver", "Trần Văn Bình")
    new_request(desk, "--box", "K7MP-2R9C-X4")
    approve(desk)
    (desk / "approved.json").rename(desk / "before-it.json")

    revoke(desk, gone)

    (desk / "request.json").rename(desk / "first.json")
    drafted = new_request(desk, "--box", "K7MP-2R9C-X4", code=77 if gone == "health-officer" else 0)
    (desk / "first.json").replace(desk / "request.json")
    approved = approve(desk, code=77)
    root = desk / "vault" / "authority-root.pem"
    shown = desk("request", "show", desk / "before-it.json", "--root", root, "--json", secret=False, code=77)
    once = desk("request", "show", desk / "request.json", "--root", root, "--json", secret=False, code=77)

    assert ("mandate was revoked" in drafted.stderr) == (gone == "health-officer")
    assert f"the {gone}'s mandate was revoked" in approved.stderr
    assert approved.stdout == ""
    assert not (desk / "approved.json").exists()
    assert json.loads(shown.stdout)["signatures"] == "mandate_revoked"
    assert json.loads(once.stdout)["signatures"] == (
        "mandate_revoked" if gone == "health-officer" else "signature_missing"
    )


def test_an_older_list_of_revocations_is_refused_at_the_desk(desk: Desk) -> None:
    """What named one person yesterday and two today does not name one again, nor nobody."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    person(desk, "approver", "Trần Văn Bình")
    revoke(desk, "approver")
    older = (desk / "vault" / "revocations.json").read_bytes()
    new_request(desk, "--box", "K7MP-2R9C-X4")
    revoke(desk, "health-officer")
    assert "revoked" in new_request(desk, "--box", "K7MP-2R9C-X4", "--out", desk / "two.json", code=77).stderr

    (desk / "vault" / "revocations.json").write_bytes(older)

    told = new_request(desk, "--box", "K7MP-2R9C-X4", "--out", desk / "two.json", code=77)
    assert "older than the one last used on this machine" in told.stderr
    assert not (desk / "two.json").exists()


@pytest.mark.parametrize("how", ["another root", "changed", "another key"])
def test_an_approver_signs_after_nobody_whose_signature_does_not_hold(desk: Desk, how: str) -> None:
    """A stranger as health officer, a text that was changed after signing: refused before the approver is asked."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    person(desk, "approver", "Trần Văn Bình")
    new_request(desk, "--box", "K7MP-2R9C-X4")
    whole = json.loads((desk / "request.json").read_bytes())
    if how == "changed":
        whole["request"]["body"]["devices"] = ["7K3M9Q2X4T"]
    elif how == "another key":
        whole["request"]["signatures"][0]["value"] = base64.b64encode(bytes(64)).decode()
    else:
        stranger = Office(NOW_S)
        asked = request.read((desk / "request.json").read_bytes().rstrip())
        whole = json.loads(stranger.signed(asked.request, stranger.officer))
    (desk / "request.json").write_bytes(signed.canonical(whole) + b"\n")

    done = approve(desk, code=77)

    assert ("root" if how == "another root" else "not the one that was signed") in done.stderr
    assert (done.stdout, (desk / "approved.json").exists()) == ("", False)


@pytest.mark.parametrize(
    ("hours", "code"),
    [
        (("2026-11-08T08:00", "2026-11-27T08:00"), "more than 24 hours"),
        (("2026-10-01T08:00", "2026-10-01T09:00"), "nothing older than 21 days"),
        (("2026-12-20T08:00", "2026-12-20T09:00"), "not over yet"),
    ],
)
def test_an_order_that_boxes_would_refuse_is_not_signed(desk: Desk, hours: tuple[str, str], code: str) -> None:
    """Too wide, too old, not over: one line, exit 77, no file."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")

    done = new_request(desk, "--box", "K7MP-2R9C-X4", "--from", hours[0], "--to", hours[1], code=77)

    assert code in done.stderr
    assert not (desk / "request.json").exists()


@pytest.mark.parametrize("typed", ["1 1", "y", "21 2:30", "2 2", "\x1b[2J"])
def test_an_approver_signs_the_figures_he_types(desk: Desk, typed: str) -> None:
    """Two boxes, two hours and a half are asked for; any other figures and nothing is signed."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    person(desk, "approver", "Trần Văn Bình")
    new_request(desk, "--site", "ben-xe", "--sealed-days", 30)

    done = desk(
        "request", "approve", desk / "request.json", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "approver" / "approver.key",
        "--mandate", desk / "approver.mandate", "--out", desk / "no.json", "--confirm", typed, code=77,
    )  # fmt: skip

    assert "nothing was signed" in done.stderr
    assert "\x1b" not in done.stderr
    told = " ".join(done.stdout.replace("│", " ").split())
    for stated in ("Boxes (2)", "2 h 30 min", "May be handed in", "learns of it after", "Luật 03/2007/QH12"):
        assert stated in told
    assert not (desk / "no.json").exists()


@pytest.mark.parametrize("where", [("--box", "K7MP2R9CX5"), ("--site", "nowhere")])
def test_boxes_that_are_not_there_are_not_asked(desk: Desk, where: tuple[str, str]) -> None:
    """A wrong id or site ends the command."""
    inventory(desk)
    person(desk, "health-officer", "An")

    new_request(desk, *where, code=65)


def test_local_times_name_their_zone() -> None:
    """Without an offset it is the zone's time; an offset wins; nonsense is refused."""
    assert parse_time("2026-11-20T08:00", "Asia/Ho_Chi_Minh") == parse_time("2026-11-20T01:00+00:00", "Asia/Tokyo")
    for text, zone in (("yesterday", "Asia/Ho_Chi_Minh"), ("2026-11-20T08:00", "Asia/Saigon2")):
        with pytest.raises(BadDataError):
            parse_time(text, zone)


def test_both_languages_say_the_same_things() -> None:
    """The catalogues have the same keys and the same gaps to fill."""

    def gaps(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    vietnamese, english = words.catalogue("vi"), words.catalogue("en")
    assert vietnamese.keys() == english.keys()
    assert [key for key in vietnamese if gaps(vietnamese[key]) != gaps(english[key])] == []
