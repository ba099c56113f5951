"""Whether a box obeys: the refusal matrix, rule by rule, on the pure function."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.core import signed
from edge_scanner.core.errors import RefusedError
from edge_scanner.core.model import ClockQuality
from edge_scanner.core.pull import policy, request
from edge_scanner.core.pull.policy import Circumstances, Code, Policy
from edge_scanner.core.pull.request import APPROVER, HEALTH_OFFICER
from tests.support.office import DAY_S, HOUR_S, Office, Person

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_S = 1_795_903_200
BOX = "K7MP2R9CX4"
OFFICE = Office(NOW_S)
STRANGER = Office(NOW_S)
LIMITS = Policy(enabled=True, max_hours=24, requests_per_day=4, retention_days=14)
CALM = Circumstances(device=BOX, now_s=float(NOW_S), clock=ClockQuality.NTP, nonce_seen=False, answered_today=0)


def verdict(document: bytes, *, limits: Policy = LIMITS, box: Circumstances = CALM) -> str:
    """The code, empty when the box answers."""
    try:
        policy.check(request.read(document), [OFFICE.root.public_key()], limits, box)
    except RefusedError as refusal:
        return refusal.code
    return ""


def asked(*people: Person, **changes: Any) -> bytes:
    """A signed request to the box."""
    return OFFICE.signed(OFFICE.request(BOX, **changes), *people)


def tampered(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A signed request whose JSON was edited afterwards."""
    whole = json.loads(asked())
    change(whole)
    return signed.canonical(whole)


def test_a_proper_request_is_obeyed() -> None:
    """Two roles, named, narrow, recent, fresh."""
    assert verdict(asked()) == ""


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (asked(OFFICE.officer), Code.SIGNATURE_MISSING),
        (request.draft(OFFICE.request(BOX)), Code.SIGNATURE_MISSING),
        (asked(OFFICE.officer, OFFICE.person(HEALTH_OFFICER, "Another Officer")), Code.SAME_ROLE),
        (asked(OFFICE.officer, OFFICE.person(APPROVER, "Same", key=OFFICE.officer.key)), Code.SIGNATURE_MISSING),
        (asked(STRANGER.officer, STRANGER.approver), Code.WRONG_ROOT),
        (asked(OFFICE.officer, STRANGER.approver), Code.WRONG_ROOT),
        (asked(OFFICE.officer, OFFICE.person(APPROVER, "bs.  nguyễn THỊ an")), Code.SAME_PERSON),
        (
            asked(OFFICE.officer, OFFICE.person(APPROVER, "Hanoi", authority="authority-hanoi")),
            Code.WRONG_AUTHORITY,
        ),
        (asked(OFFICE.officer, OFFICE.person(APPROVER, "Late", until_s=NOW_S)), Code.MANDATE_EXPIRED),
        (OFFICE.signed(OFFICE.request("7K3M9Q2X4T")), Code.NOT_NAMED),
        (asked(not_before_s=NOW_S + 1), Code.NOT_YET_VALID),
        (asked(not_before_s=NOW_S - 99, expires_s=NOW_S), Code.EXPIRED),
        (asked(expires_s=NOW_S + 30 * DAY_S), Code.TOO_LONG_VALID),
        (asked(sealed_until_s=NOW_S + 31 * DAY_S), Code.SEALED_TOO_LONG),
        (asked(from_s=NOW_S - 25 * HOUR_S, to_s=NOW_S - HOUR_S + 1), Code.TOO_WIDE),
        (asked(to_s=NOW_S + 1), Code.FUTURE),
        (asked(from_s=NOW_S - 14 * DAY_S - 1, to_s=NOW_S - 14 * DAY_S + 60), Code.OUTSIDE_RETENTION),
        (tampered(lambda whole: whole["request"]["body"].update(purpose="gossip")), Code.ALTERED),
        (tampered(lambda whole: whole["request"]["signatures"].pop()), Code.ALTERED),
        (tampered(lambda whole: whole["request"]["signatures"][0].update(value="?")), Code.MALFORMED),
        (tampered(lambda whole: whole.update(mandates=[1])), Code.MALFORMED),
        (tampered(lambda whole: whole["mandates"][0]["body"].update(role=APPROVER)), Code.WRONG_ROOT),
    ],
)
def test_a_request_that_breaks_one_rule_is_refused_with_its_code(document: bytes, code: Code) -> None:
    """One thing wrong, one code."""
    assert verdict(document) == code


@pytest.mark.parametrize(
    ("box", "code"),
    [
        (replace(CALM, clock=ClockQuality.NONE), Code.CLOCK),
        (replace(CALM, nonce_seen=True), Code.REPLAYED),
        (replace(CALM, answered_today=4), Code.QUOTA),
        (replace(CALM, answered_today=3), ""),
        (replace(CALM, clock=ClockQuality.RTC), ""),
    ],
)
def test_the_box_s_own_state_refuses(box: Circumstances, code: str) -> None:
    """A proper request still fails where the clock is unsure, the nonce known or the quota used."""
    assert verdict(asked(), box=box) == code


def test_the_page_has_the_checks_in_the_order_in_which_a_box_makes_them() -> None:
    """All is wrong at first; whenever what was refused is mended, the next refusal is the next one of the page."""
    late = OFFICE.person(APPROVER, "Late", until_s=NOW_S)
    box = replace(CALM, revoked=None, clock=ClockQuality.NONE, nonce_seen=True, answered_today=4)
    case: dict[str, Any] = {
        "device": "7K3M9Q2X4T",
        "approver": late,
        "box": box,
        "limits": replace(LIMITS, enabled=False),
    }
    terms = {
        "not_before_s": NOW_S + 1,
        "expires_s": NOW_S + 40 * DAY_S,
        "sealed_until_s": NOW_S + 80 * DAY_S,
        "from_s": NOW_S - 30 * HOUR_S,
        "to_s": NOW_S + 1,
    }
    mends: tuple[Callable[[], object], ...] = (
        lambda: case.update(limits=LIMITS),
        lambda: case.update(box=replace(case["box"], revoked=frozenset({late.key.public_key().public_bytes_raw()}))),
        lambda: case.update(box=replace(case["box"], revoked=frozenset())),
        lambda: case.update(box=replace(case["box"], clock=ClockQuality.NTP)),
        lambda: case.update(device=BOX),
        lambda: case.update(approver=OFFICE.approver),
        lambda: terms.pop("not_before_s"),
        lambda: terms.pop("expires_s"),
        lambda: terms.pop("sealed_until_s"),
        lambda: terms.update(from_s=NOW_S - 20 * HOUR_S),
        lambda: terms.update(from_s=NOW_S - 14 * DAY_S - 1, to_s=NOW_S - 14 * DAY_S + 60),
        terms.clear,
        lambda: case.update(box=replace(case["box"], nonce_seen=False)),
        lambda: case.update(box=replace(case["box"], answered_today=0)),
    )

    def now() -> str:
        document = OFFICE.signed(OFFICE.request(case["device"], **terms), OFFICE.officer, case["approver"])
        return verdict(document, limits=case["limits"], box=case["box"])

    codes = [now()]
    for mend in mends:
        mend()
        codes.append(now())

    page = (Path(__file__).parents[4] / "docs" / "pull.md").read_text()
    listed = [
        code for cell in re.findall(r"^\| (`[a-z_`, ]+`) \|", page, re.MULTILINE) for code in re.findall(r"\w+", cell)
    ]
    assert sorted(listed) == sorted(Code)
    assert codes.pop() == ""
    assert len(set(codes)) == len(mends)
    assert codes == [code for code in listed if code in codes]


def test_a_box_that_answers_nobody_says_only_that() -> None:
    """Switched off, it judges nothing else."""
    assert verdict(asked(STRANGER.officer), limits=replace(LIMITS, enabled=False)) == Code.DISABLED


def test_the_edges_of_the_rules_are_inside() -> None:
    """24 hours exactly, the oldest kept second and the first valid second are allowed."""
    widest = asked(from_s=NOW_S - 24 * HOUR_S, to_s=NOW_S)
    oldest = asked(from_s=NOW_S - 14 * DAY_S, to_s=NOW_S - 14 * DAY_S + 60)
    longest = asked(not_before_s=NOW_S, expires_s=NOW_S + 30 * DAY_S, sealed_until_s=NOW_S + 30 * DAY_S)

    assert [verdict(widest), verdict(oldest), verdict(longest)] == ["", "", ""]


TERMS = {
    Code.MANDATE_EXPIRED: asked(OFFICE.officer, OFFICE.person(APPROVER, "Late", until_s=NOW_S)),
    Code.EXPIRED: asked(not_before_s=NOW_S - 99, expires_s=NOW_S),
    Code.TOO_WIDE: asked(from_s=NOW_S - 26 * HOUR_S),
    Code.FUTURE: asked(to_s=NOW_S + 1),
    Code.SAME_PERSON: asked(OFFICE.officer, OFFICE.person(APPROVER, "BS. Nguyễn Thị An")),
    Code.OUTSIDE_RETENTION: asked(from_s=NOW_S - 52 * DAY_S, to_s=NOW_S - 52 * DAY_S + 60),
    Code.ALTERED: tampered(lambda whole: whole["request"]["body"].update(purpose="gossip")),
}


@pytest.mark.parametrize("code", TERMS)
@pytest.mark.parametrize("limits", [policy.DESK, policy.CUSTODIAN], ids=["desk", "custodian"])
def test_desk_and_custodian_refuse_what_every_box_refuses(code: Code, limits: Policy) -> None:
    """The same terms by one's own clock, before a signature and before a release."""
    with pytest.raises(RefusedError) as refused:
        policy.check_order(request.read(TERMS[code]), [OFFICE.root.public_key()], limits, now_s=NOW_S, revoked=())

    assert refused.value.code == code


def test_two_ex_officials_cannot_date_an_order_into_the_time_of_their_mandates() -> None:
    """An order of the past under mandates of the past: good at its own date, refused today."""
    old_s = NOW_S - 20 * DAY_S
    people = [
        OFFICE.person(HEALTH_OFFICER, "An", until_s=old_s + DAY_S),
        OFFICE.person(APPROVER, "Binh", until_s=old_s + DAY_S),
    ]
    hours = {"from_s": old_s - HOUR_S, "to_s": old_s, "not_before_s": old_s, "expires_s": old_s + 29 * DAY_S}
    asked_then, root = request.read(asked(*people, **hours)), [OFFICE.root.public_key()]

    policy.check_order(asked_then, root, policy.CUSTODIAN, now_s=old_s, revoked=())
    with pytest.raises(RefusedError) as refused:
        policy.check_order(asked_then, root, policy.CUSTODIAN, now_s=NOW_S, revoked=())
    assert refused.value.code == Code.MANDATE_EXPIRED


def signing(document: bytes, *own: bytes, revoked: tuple[bytes, ...] = (), now_s: float = NOW_S) -> str:
    """What a desk says before somebody signs under these mandates."""
    try:
        root = [OFFICE.root.public_key()]
        policy.check_signing(request.read(document), own, root, policy.DESK, now_s=now_s, revoked=revoked)
    except RefusedError as refusal:
        return refusal.code
    return ""


def edited(document: bytes) -> bytes:
    """One person's order whose text was changed afterwards."""
    whole = json.loads(document)
    whole["request"]["body"]["purpose"] = "gossip"
    return signed.canonical(whole)


DRAFT = request.draft(OFFICE.request(BOX))
ONCE = asked(OFFICE.officer)


@pytest.mark.parametrize(
    ("document", "own", "code"),
    [
        (DRAFT, OFFICE.officer.mandate, ""),
        (ONCE, OFFICE.approver.mandate, ""),
        (asked(), OFFICE.approver.mandate, ""),
        (asked(STRANGER.officer), OFFICE.approver.mandate, Code.WRONG_ROOT),
        (ONCE, STRANGER.approver.mandate, Code.WRONG_ROOT),
        (DRAFT, b"{}", Code.MALFORMED),
        (edited(ONCE), OFFICE.approver.mandate, Code.ALTERED),
        (ONCE, OFFICE.person(HEALTH_OFFICER, "Another").mandate, Code.SAME_ROLE),
        (ONCE, OFFICE.person(APPROVER, "Same key", key=OFFICE.officer.key).mandate, Code.SIGNATURE_MISSING),
        (ONCE, OFFICE.person(APPROVER, "bs.  nguyễn THỊ an").mandate, Code.SAME_PERSON),
        (ONCE, OFFICE.person(APPROVER, "Hanoi", authority="authority-hanoi").mandate, Code.WRONG_AUTHORITY),
        (ONCE, OFFICE.person(APPROVER, "Late", until_s=NOW_S).mandate, Code.MANDATE_EXPIRED),
        (request.draft(OFFICE.request(BOX, to_s=NOW_S + 1)), OFFICE.officer.mandate, Code.FUTURE),
    ],
)
def test_a_desk_says_before_the_signature_what_boxes_would_say_after_it(document: bytes, own: bytes, code: str) -> None:
    """The signatures so far, the mandate at hand, the persons and the terms; only a missing signature is no reason."""
    assert signing(document, own) == code


@pytest.mark.parametrize("person", [OFFICE.officer, OFFICE.approver])
def test_a_revoked_mandate_signs_nothing_and_is_not_signed_after(person: Person) -> None:
    """The first signer's as well as the second's."""
    assert signing(ONCE, OFFICE.approver.mandate, revoked=(person.key.public_key().public_bytes_raw(),)) == (
        Code.MANDATE_REVOKED
    )
    revoked = [person.key.public_key().public_bytes_raw()]
    with pytest.raises(RefusedError) as refused:
        policy.check_order(request.read(asked()), [OFFICE.root.public_key()], policy.DESK, now_s=NOW_S, revoked=revoked)
    assert refused.value.code == Code.MANDATE_REVOKED


def test_a_box_whose_list_of_revocations_is_lost_obeys_nobody() -> None:
    """It cannot know who may still ask."""
    assert verdict(asked(), box=replace(CALM, revoked=None)) == Code.REVOCATIONS_LOST
