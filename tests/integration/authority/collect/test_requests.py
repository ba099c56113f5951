"""Requests at the desk: from the case to two signatures, and what is not signed."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.collect.request import parse_time
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.pull import request
from tests.support.authority import told
from tests.support.desk import (
    NOW_S,
    Desk,
    Typing,
    inventory,
    new_request,
    person,
)
from tests.support.office import AUTHORITY, Office

if TYPE_CHECKING:
    from tests.support.authority import Outcome


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
    made = other("keys", "new", desk / "second", "--role", "health-officer", "--name", "Another")
    desk(
        "keys", "certify", desk / "second" / "health-officer.pub", "--root", desk / "vault" / "root.key",
        "--authority", AUTHORITY, "--out", desk / "second.mandate", "--words", told(made.stdout),
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
    for stated in ("Boxes (2)", "2 h 30 min", "May be handed in", "learns of it after", "Luật 114/2025/QH15"):
        assert stated in told
    assert not (desk / "no.json").exists()


def test_an_order_that_is_exchanged_while_it_is_read_is_not_signed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file lies where the officer can write: the approver signs what he saw, not what lies there now."""
    inventory(desk)
    person(desk, "health-officer", "BS. Nguyễn Thị An")
    person(desk, "approver", "Trần Văn Bình")
    new_request(desk, "--site", "ben-xe", "--sealed-days", 30)
    shown = desk / "shown.json"
    (desk / "request.json").rename(shown)
    wide = request.read(shown.read_bytes().rstrip(b"\n"))
    new_request(desk, "--box", "K7MP-2R9C-X4")
    narrow = request.read((desk / "request.json").read_bytes().rstrip(b"\n"))
    assert len(wide.request.devices) > len(narrow.request.devices)
    keyboard = Typing("1 2:30", lambda: (desk / "request.json").write_bytes(shown.read_bytes()))
    monkeypatch.setattr(sys, "stdin", keyboard)

    desk(
        "request", "approve", desk / "request.json", "--root", desk / "vault" / "authority-root.pem",
        "--key", desk / "approver" / "approver.key", "--mandate", desk / "approver.mandate",
        "--out", desk / "done.json",
    )  # fmt: skip

    assert (desk / "request.json").read_bytes() == shown.read_bytes()
    assert request.read((desk / "done.json").read_bytes().rstrip(b"\n")).request == narrow.request


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
