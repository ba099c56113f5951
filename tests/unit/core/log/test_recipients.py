"""The recipient set: a signed document that says who can open the log."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.errors import DocumentForgedError, MalformedError
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import hpke, recipients
from edge_scanner.core.log.errors import RecipientsRolledBackError, UnknownSuiteError
from edge_scanner.core.log.roots import Roots
from tests.support import second_reader
from tests.support.sealed_logs import HOUR_S, pinned, recipient, recipient_set, root

BOTH = [root("authority"), root("custodian")]
PQ_ROOT = MLDSA65PrivateKey.from_seed_bytes(b"\2" * 32)
TWO_OF_THREE = (("custodian", "ministry"), ("authority", "ministry"), ("authority", "custodian"))


def signed_body(change: dict[str, Any]) -> bytes:
    """A document whose body was changed and then signed by the root all the same."""
    body = json.loads(recipients.sign(recipient_set(), BOTH))["body"]
    return signed.sign({**body, **change}, label=recipients.LABEL, keys=BOTH)


AND_ONE_OF_TWO = (("authority",), ("custodian", "ministry"))


@pytest.mark.parametrize("parts", [(("authority",), ("custodian",)), AND_ONE_OF_TWO, TWO_OF_THREE])
def test_a_signed_set_comes_back_whole(parts: tuple[tuple[str, ...], ...]) -> None:
    """Parts for "A and B", "A and one of two" and "2 of 3" survive signing and verifying."""
    original = recipient_set(*parts)
    roles = sorted({role for part in parts for role in part})
    document = recipients.sign(original, [root(role) for role in roles])
    assert recipients.verify(document, pinned(*roles)) == original
    public = [root(role).public_key().public_bytes_raw() for role in roles]
    body = second_reader.read_recipients(document, public)
    assert body["parts"] == [list(part) for part in parts]


def test_every_root_of_every_party_must_have_signed() -> None:
    """The authority alone, the custodian alone, or one key short of a party with two: refused; any order will do."""
    authority, custodian = BOTH
    roots = Roots(parties=((authority.public_key(),), (custodian.public_key(), PQ_ROOT.public_key())))
    proposed = recipients.sign(recipient_set(), [authority])
    half = recipients.countersign(proposed, [custodian])
    whole = recipients.countersign(half, [PQ_ROOT])
    assert recipients.verify(whole, roots) == recipients.verify(half, pinned()) == recipient_set()
    assert recipients.proposed(proposed, [authority.public_key()]) == recipient_set()
    assert recipients.countersign(whole, [custodian]) == whole
    for document in (proposed, half, recipients.sign(recipient_set(), [custodian, PQ_ROOT])):
        with pytest.raises(DocumentForgedError):
            recipients.verify(document, roots)
    for document in (proposed, recipients.sign(recipient_set(), [custodian])):
        with pytest.raises(DocumentForgedError):
            recipients.verify(document, pinned())


def test_the_parties_named_must_be_the_parties_pinned() -> None:
    """Both signatures do not help a set that calls another key the custodian's root, or changes who is who."""
    honest = recipient_set()
    authority, custodian = honest.parties
    strange = replace(custodian, root="00" * 8)
    for parties in ((authority, strange), (custodian, authority)):
        document = recipients.sign(replace(honest, parties=parties), BOTH)
        with pytest.raises(DocumentForgedError, match="parties"):
            recipients.verify(document, pinned())


def test_another_root_or_an_edited_body_is_forged() -> None:
    """Neither a stranger's signature nor a signature for other content is accepted."""
    document = recipients.sign(recipient_set(), BOTH)
    with pytest.raises(DocumentForgedError):
        recipients.verify(document, pinned("authority", "stranger"))
    with pytest.raises(DocumentForgedError):
        recipients.verify(document.replace(b'"version":1', b'"version":2'), pinned())


def test_weekly_keys_take_over_at_their_time() -> None:
    """Each moment has the last key that began; before the first, the first; after the last, the last."""
    weekly = replace(
        recipient_set(),
        recipients=(
            replace(recipient("ministry"), role="authority", not_before_s=HOUR_S + 7 * 86400),
            recipient("authority", not_before_s=HOUR_S),
            recipient("custodian"),
        ),
    )
    [[first], _], [[second], _] = weekly.at(HOUR_S - 1), weekly.at(HOUR_S + 7 * 86400)
    assert first == weekly.at(HOUR_S + 7 * 86400 - 1)[0][0] == weekly.recipients[1]
    assert second == weekly.at(HOUR_S + 999 * 86400)[0][0] == weekly.recipients[0]


def test_usable_to_a_fortnight_past_its_end() -> None:
    """The grace is fourteen days, to the second; a clock in the past does not stop the log."""
    each = recipient_set()
    end = each.not_after_s + recipients.GRACE_S
    assert [each.usable(t) for t in (0, each.not_before_s, end, end + 1)] == [True, True, True, False]


def test_only_a_higher_version_supersedes() -> None:
    """Roll-back and a different set of the same version are refused; the very same set is harmless."""
    old, new = recipient_set(version=4), recipient_set(version=5)
    assert recipients.supersede(None, old) == old
    assert recipients.supersede(old, new) == new
    assert recipients.supersede(new, new) == new
    with pytest.raises(RecipientsRolledBackError):
        recipients.supersede(new, old)
    with pytest.raises(RecipientsRolledBackError):
        recipients.supersede(new, recipient_set(*TWO_OF_THREE, version=5))


def entry(**change: object) -> dict[str, Any]:
    """One recipient of the document, changed."""
    first: dict[str, Any] = json.loads(recipients.sign(recipient_set(), BOTH))["body"]["recipients"][0]
    return {**first, **change}


def party(number: int = 0, **change: object) -> dict[str, Any]:
    """One party of the document, changed."""
    body = json.loads(recipients.sign(recipient_set(), BOTH))["body"]
    return {**body["parties"][number], **change}


@pytest.mark.parametrize(
    "change",
    [
        {"format": "something else"},
        {"version": 0},
        {"version": "1"},
        {"not_before": -1},
        {"not_after": 1},
        {"recipients": []},
        {"recipients": [entry()] * 2},
        {"recipients": ["x"]},
        {"recipients": [entry(role="Authority!")]},
        {"recipients": [entry(name="x" * 129)]},
        {"recipients": [entry(name="\x1b[31m")]},
        {"recipients": [entry(not_before=-1)]},
        {"recipients": [entry(key_id="00" * 8)]},
        {"recipients": [entry(public_key="***")]},
        {"recipients": [entry(public_key="AAAA")]},
        {"recipients": [entry(suite=True)]},
        {"parts": []},
        {"parts": [[], ["custodian"]]},
        {"parts": ["authority", "custodian"]},
        {"parts": [["authority"], ["nobody"]]},
        {"parts": [["authority"], [1]]},
        {"parts": [["authority", "authority"], ["custodian"]]},
        {"parts": [["authority"], ["custodian"]] * 17},
        {"parts": [["authority", "custodian"]]},
        {"parts": [["authority"]]},
        {"parts": [["authority"], ["authority"]]},
        {"parts": [["authority", "custodian"], ["authority"]]},
        {"recipients": [entry(), entry(role="custodian")]},
        {"parties": []},
        {"parties": [party()]},
        {"parties": [party(), party(1)] * 5},
        {"parties": [party(), party(1, root=party()["root"])]},
        {"parties": [party(), party(1, root="x")]},
        {"parties": [party(), party(1, name="")]},
        {"parties": [party(), party(1, name="a\nb")]},
        {"parties": [party(), party(1, roles=[])]},
        {"parties": [party(), party(1, roles=["custodian", "authority"])]},
        {"parties": [party(), party(1, roles=["custodian", 7])]},
        {"parties": [party(), 7]},
        {"parties": [party(0, roles=["authority", "custodian"]), party(1, roles=[])]},
    ],
)
def test_a_set_that_makes_no_sense_is_malformed_even_when_signed(change: dict[str, Any]) -> None:
    """The box does not trust the root to be careful."""
    with pytest.raises(MalformedError):
        recipients.verify(signed_body(change), pinned())


def test_unknown_suite_is_refused_by_name() -> None:
    """A suite number outside the table is not guessed."""
    with pytest.raises(UnknownSuiteError):
        recipients.verify(signed_body({"recipients": [entry(suite=9)]}), pinned())


def test_signing_refuses_what_no_box_would_accept() -> None:
    """The authority's tool fails before the document is published."""
    with pytest.raises(MalformedError):
        recipients.sign(replace(recipient_set(), version=0), BOTH)


def test_both_suites_are_allowed_in_a_set() -> None:
    """The set for NIST curves verifies too."""
    nist = recipient_set(suite=hpke.MLKEM1024_P384)
    assert recipients.verify(recipients.sign(nist, BOTH), pinned()) == nist


def test_a_set_that_no_broker_would_carry_is_not_signed() -> None:
    """As many keys as may be, of the larger kind, are more than one message."""
    wide = recipient_set(suite=hpke.MLKEM1024_P384)
    first, other = wide.recipients
    many = tuple(replace(first, not_before_s=HOUR_S + week) for week in range(recipients._MAX_RECIPIENTS - 1))
    with pytest.raises(MalformedError, match="name fewer weeks"):
        recipients.sign(replace(wide, recipients=(*many, other)), BOTH)


def test_limits_themselves_are_allowed() -> None:
    """Times from 1970 on, names of the greatest length, as many recipients and shares as may be."""
    original = recipient_set()
    first = original.recipients[0]
    many = tuple(replace(first, not_before_s=number) for number in range(recipients._MAX_RECIPIENTS - 1))
    other = original.recipients[1]
    widest = replace(
        original,
        not_before_s=0,
        not_after_s=1,
        recipients=(replace(first, name="\u1ec5" * recipients._MAX_NAME, not_before_s=HOUR_S), *many[1:], other),
        parts=((first.role,), (other.role,)) * (layout.MAX_SHARES // 2),
    )

    assert recipients.verify(recipients.sign(widest, BOTH), pinned()) == widest
    for beyond in (
        replace(widest, not_after_s=0),
        replace(widest, parts=(*widest.parts, (first.role,))),
        replace(widest, recipients=(*widest.recipients, replace(first, not_before_s=HOUR_S + 1))),
        replace(widest, recipients=(replace(first, name="x" * (recipients._MAX_NAME + 1)),)),
        replace(widest, recipients=(replace(first, name="a\nb"),)),
    ):
        with pytest.raises(MalformedError):
            recipients.sign(beyond, BOTH)
