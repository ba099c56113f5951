"""The recipient set: a signed document that says who can open the log."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import hpke, recipients
from edge_scanner.core.log.errors import (
    DocumentForgedError,
    MalformedError,
    RecipientsRolledBackError,
    UnknownSuiteError,
)
from tests.support import second_reader
from tests.support.sealed_logs import HOUR_S, recipient, recipient_set

ROOT = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
PQ_ROOT = MLDSA65PrivateKey.from_seed_bytes(b"\2" * 32)
TWO_OF_THREE = (("custodian", "ministry"), ("authority", "ministry"), ("authority", "custodian"))


def signed_body(change: dict[str, Any]) -> bytes:
    """A document whose body was changed and then signed by the root all the same."""
    body = json.loads(recipients.sign(recipient_set(), [ROOT]))["body"]
    return signed.sign({**body, **change}, label=recipients.LABEL, keys=[ROOT])


AND_ONE_OF_TWO = (("authority",), ("custodian", "ministry"))


@pytest.mark.parametrize("parts", [(("authority",), ("custodian",)), AND_ONE_OF_TWO, TWO_OF_THREE])
def test_a_signed_set_comes_back_whole(parts: tuple[tuple[str, ...], ...]) -> None:
    """Parts for "A and B", "A and one of two" and "2 of 3" survive signing and verifying."""
    original = recipient_set(*parts)
    document = recipients.sign(original, [ROOT])
    assert recipients.verify(document, [ROOT.public_key()]) == original
    body = second_reader.read_document(document, recipients.LABEL.encode(), ROOT.public_key().public_bytes_raw())
    assert body["parts"] == [list(part) for part in parts]


def test_both_roots_must_have_signed_where_both_are_pinned() -> None:
    """A box that pins an ML-DSA root refuses a set with the Ed25519 signature alone."""
    roots: list[signed.VerifyKey] = [ROOT.public_key(), PQ_ROOT.public_key()]
    both = recipients.sign(recipient_set(), [ROOT, PQ_ROOT])
    assert recipients.verify(both, roots) == recipients.verify(both, roots[:1])
    with pytest.raises(DocumentForgedError):
        recipients.verify(recipients.sign(recipient_set(), [ROOT]), roots)


def test_another_root_or_an_edited_body_is_forged() -> None:
    """Neither a stranger's signature nor a signature for other content is accepted."""
    document = recipients.sign(recipient_set(), [ROOT])
    with pytest.raises(DocumentForgedError):
        recipients.verify(document, [Ed25519PrivateKey.generate().public_key()])
    with pytest.raises(DocumentForgedError):
        recipients.verify(document.replace(b'"version":1', b'"version":2'), [ROOT.public_key()])


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
    first: dict[str, Any] = json.loads(recipients.sign(recipient_set(), [ROOT]))["body"]["recipients"][0]
    return {**first, **change}


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
    ],
)
def test_a_set_that_makes_no_sense_is_malformed_even_when_signed(change: dict[str, Any]) -> None:
    """The box does not trust the root to be careful."""
    with pytest.raises(MalformedError):
        recipients.verify(signed_body(change), [ROOT.public_key()])


def test_unknown_suite_is_refused_by_name() -> None:
    """A suite number outside the table is not guessed."""
    with pytest.raises(UnknownSuiteError):
        recipients.verify(signed_body({"recipients": [entry(suite=9)]}), [ROOT.public_key()])


def test_signing_refuses_what_no_box_would_accept() -> None:
    """The authority's tool fails before the document is published."""
    with pytest.raises(MalformedError):
        recipients.sign(replace(recipient_set(), version=0), [ROOT])


def test_both_suites_are_allowed_in_a_set() -> None:
    """The set for NIST curves verifies too."""
    nist = recipient_set(suite=hpke.MLKEM1024_P384)
    assert recipients.verify(recipients.sign(nist, [ROOT]), [ROOT.public_key()]) == nist


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

    assert recipients.verify(recipients.sign(widest, [ROOT]), [ROOT.public_key()]) == widest
    for beyond in (
        replace(widest, not_after_s=0),
        replace(widest, parts=(*widest.parts, (first.role,))),
        replace(widest, recipients=(*widest.recipients, replace(first, not_before_s=HOUR_S + 1))),
        replace(widest, recipients=(replace(first, name="x" * (recipients._MAX_NAME + 1)),)),
        replace(widest, recipients=(replace(first, name="a\nb"),)),
    ):
        with pytest.raises(MalformedError):
            recipients.sign(beyond, [ROOT])
