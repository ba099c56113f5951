"""Recipient sets and mandates: two parties, the next set, a list that grows, a week's key destroyed."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.keys import keys
from edge_scanner.authority.keys.weeks import week_of, week_start, weeks_from
from edge_scanner.core import signed
from edge_scanner.core.errors import DocumentForgedError, RefusedError
from edge_scanner.core.log import recipients
from edge_scanner.core.pull import request, revocations
from tests.support.desk import SECRET, Desk, Typing, both_roots, countersign, person, propose, two_signatures, weekly

if TYPE_CHECKING:
    from tests.support.authority import Outcome


def test_the_root_signs_mandates_and_recipients_in_both_algorithms(desk: Desk) -> None:
    """A mandate and a recipient set hold under both keys of the pinned PEM file."""
    person(desk, "approver", "Trần Văn Bình")
    for role in ("recipient", "custodian"):
        desk("keys", "new", desk / role, "--role", role, "--name", role, "--weeks", 4)
    found = recipients.verify(two_signatures(desk, 3), both_roots(desk))
    roots = signed.verify_keys((desk / "vault" / "authority-root.pem").read_bytes())

    mandate = request.read_mandate((desk / "approver.mandate").read_bytes().rstrip(b"\n"), roots)

    assert len(roots) == 2
    assert (mandate.role, mandate.name) == ("approver", "Trần Văn Bình")
    assert (found.version, len(found.recipients), found.parts) == (3, 8, (("recipient",), ("custodian",)))
    assert found.not_after_s == week_start(week_of(time.time())) + 4 * 7 * 86_400
    opened = keys.open_openers(desk / "recipient", SECRET, {found.recipients[0].key_id, found.recipients[4].key_id})
    assert len(opened) == 1


def test_a_set_needs_both_parties_every_week(desk: Desk) -> None:
    """A custodian whose keys end earlier is noticed before anything is signed."""
    desk("keys", "new", desk / "recipient", "--role", "recipient", "--name", "R", "--weeks", 2)
    desk("keys", "new", desk / "custodian", "--role", "custodian", "--name", "C", "--weeks", 1)

    done = propose(desk, 1, code=65)

    assert "same weeks" in done.stderr


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


def test_a_box_says_on_its_own_topic_which_set_it_uses(desk: Desk) -> None:
    """Whatever other clients, other topics and lines that are none say of it."""
    weekly(desk, 2, "recipient")
    weekly(desk, 2)
    propose(desk, 1)
    countersign(desk, 1)
    own = {"kind": "status", "device": "K7MP2R9CX4", "recipients_version": 1}
    change = {"kind": "audit", "device": "7K3M9Q2X4T", "action": "recipients", "case": "recipients-2",
        "request": "00ff", "at": 1795903200}  # fmt: skip
    lie = {**own, "recipients_version": 9}
    (desk / "published.txt").write_bytes(
        b"\n".join(
            [
                collected("K7MP2R9CX4/up/status", own),
                collected("7K3M9Q2X4T/up/audit", change),
                collected("7K3M9Q2X4T/up/status", lie),
                collected("7K3M9Q2X4T/up/audit", {**change, "device": "K7MP2R9CX4"}),
                collected("K7MP2R9CX4/up/health", lie),
                json.dumps(lie).encode(),
                b"edge-scanner/v1/d/K7MP2R9CX4/up/status " + json.dumps(lie).encode(),
                b"nonsense\n{}",
                collected("K7MP2R9CX4/up/status", {**own, "recipients_version": "x"}),
                collected("K7MP2R9CX4/up/audit", {**change, "device": "K7MP2R9CX4", "at": 10**30}),
                b"edge-scanner/v1/d/K7MP2R9CX4/up/status " + (b"[" * 100_000).hex().encode(),
            ]
        )
    )
    listed = desk(
        "recipients", "list", desk / "1.json", "--authority-root", desk / "vault" / "authority-root.pem",
        "--custodian-root", desk / "vault" / "custodian-root.pem",
        "--published", desk / "published.txt", secret=False,
    )  # fmt: skip
    for text in (
        "version 1",
        "K7MP2R9CX4: phiên bản / version 1",
        "7K3M9Q2X4T: recipients-2, mã / digest 00ff, 2026-11-28",
    ):
        assert text in listed.stdout
    assert "version 9" not in listed.stdout
    assert listed.stdout.count("K7MP2R9CX4:") == 1


def collected(topic: str, body: dict[str, object]) -> bytes:
    """A message as the collector writes it."""
    return f"edge-scanner/v1/d/{topic} {json.dumps(body).encode().hex()}".encode()


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


def test_a_set_that_is_exchanged_while_it_is_read_is_not_countersigned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The authority alone: a proposal with its own key in the custodian's place, put there after the look at it."""
    weekly(desk, 2, "recipient")
    weekly(desk, 2)
    propose(desk, 1)
    honest = (desk / "1.proposed").read_bytes()
    (desk / "custodian").rename(desk / "kept")
    weekly(desk, 2)
    (desk / "1.proposed").unlink()
    propose(desk, 1)
    own = (desk / "1.proposed").read_bytes()
    (desk / "custodian").rename(desk / "theirs")
    (desk / "kept").rename(desk / "custodian")
    (desk / "1.proposed").write_bytes(honest)
    keyboard = Typing("1", lambda: (desk / "1.proposed").write_bytes(own))
    monkeypatch.setattr(sys, "stdin", keyboard)

    desk(
        "recipients", "countersign", desk / "1.proposed", desk / "custodian", "--root",
        desk / "vault" / "custodian-root.key", "--authority-root", desk / "vault" / "authority-root.pem",
        "--out", desk / "1.json",
    )  # fmt: skip

    assert (desk / "1.proposed").read_bytes() == own != honest
    signed_one = json.loads((desk / "1.json").read_bytes())
    assert signed_one["body"] == json.loads(honest)["body"]


def test_one_root_for_both_parties_is_refused(desk: Desk) -> None:
    """The authority cannot be its own custodian: the set would name one root twice."""
    weekly(desk, 1, "recipient")
    weekly(desk, 1)

    done = propose(desk, 1, custodian="vault/authority-root.pem", code=65)

    assert "one root is that of two parties" in done.stderr


def test_the_next_set_goes_on_from_the_last(desk: Desk) -> None:
    """Renewal takes the next version and later weeks; a set that ends no later, or leaves this week out, is refused.

    Keys of weeks that are over stay behind: the set must not grow with each renewal.
    """
    past = week_of(time.time() - 14 * 86400)
    desk("keys", "new", desk / "recipient", "--role", "recipient", "--name", "r", "--weeks", 2, "--from-week", past)
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
        for week in weeks_from(week_of(time.time()), 2):
            (desk / role / f"{role}-{week}.pub").unlink()
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
