"""Whether a request is obeyed: pure functions over all that it depends on. Specification: docs/pull.md.

Three places ask, each by its own clock: the desk before anybody signs, the box before it answers, the custodian before
a release. A box adds what only it knows (its name, its quota, what it answered); the terms are one function.

The order matters: nothing is said about the box's clock, log or quota to somebody whose signatures do not hold, and
nothing that rests on time is judged by a clock that nobody vouches for. Codes are stable; they stand in signed answers,
in the audit trail and in the authority's table.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

from edge_scanner.core import signed
from edge_scanner.core.errors import DocumentForgedError, MalformedError, RefusedError
from edge_scanner.core.log.retention import MAX_DAYS
from edge_scanner.core.model import ClockQuality
from edge_scanner.core.pull import request as requests
from edge_scanner.core.wording import counted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_scanner.core.pull.request import Asked, Mandate, Request

MAX_LIFE_S = 30 * 86400
"""From `not_before` to `expires`, and the longest that a venue is kept from knowing; a new order can be asked for."""

MAX_HOURS = 24
"""The widest span of one order; a box's settings may narrow it and never widen it."""

_DAY_S = 86400
_HOUR_S = 3600


class Code(StrEnum):
    """Why a box refuses."""

    MALFORMED = "malformed"
    DISABLED = "disabled"
    WRONG_ROOT = "wrong_root"
    SIGNATURE_MISSING = "signature_missing"
    SAME_ROLE = "same_role"
    SAME_PERSON = "same_person"
    ALTERED = "altered"
    WRONG_AUTHORITY = "wrong_authority"
    CLOCK = "clock"
    MANDATE_EXPIRED = "mandate_expired"
    MANDATE_REVOKED = "mandate_revoked"
    REVOCATIONS_LOST = "revocations_lost"
    """The box has obeyed a newer list of revoked mandates than the one it has now."""
    NOT_NAMED = "not_named"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    TOO_LONG_VALID = "too_long_valid"
    SEALED_TOO_LONG = "sealed_too_long"
    TOO_WIDE = "too_wide"
    FUTURE = "future"
    OUTSIDE_RETENTION = "outside_retention"
    REPLAYED = "replayed"
    QUOTA = "quota"
    GONE = "gone"
    """Not of a request but of its chunks: retention has taken the hours away since the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a box allows at most, whatever a request says."""

    enabled: bool
    max_hours: int
    requests_per_day: int
    retention_days: int


DESK = Policy(enabled=True, max_hours=MAX_HOURS, requests_per_day=0, retention_days=MAX_DAYS)
"""What the widest box would answer now: a stricter box may still refuse."""

CUSTODIAN = Policy(
    enabled=True, max_hours=MAX_HOURS, requests_per_day=0, retention_days=MAX_DAYS + MAX_LIFE_S // _DAY_S
)
"""As the desk; a release may follow the box's answer by as long as an order lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """The box at this moment. `answered_today` counts answers of the last 24 hours.

    `revoked` are keys of people, None when the list that names them is lost.
    """

    device: str
    now_s: float
    clock: ClockQuality
    nonce_seen: bool
    answered_today: int
    revoked: frozenset[bytes] | None = frozenset()


def check(asked: Asked, roots: Sequence[signed.VerifyKey], policy: Policy, box: Circumstances) -> None:
    """Return if the box answers; raises RefusedError with a `Code`."""
    if not policy.enabled:
        refuse(Code.DISABLED, "this box answers no requests")
    mandates = check_signatures(asked, roots)
    if box.revoked is None:
        refuse(Code.REVOCATIONS_LOST, "the box has lost its list of revoked mandates")
    check_revoked(mandates, box.revoked)
    if box.clock is ClockQuality.NONE:
        refuse(Code.CLOCK, "the box is not sure of the time")
    if box.device not in asked.request.devices:
        refuse(Code.NOT_NAMED, "the request does not name this box")
    check_terms(asked.request, mandates, policy, box.now_s)
    if box.nonce_seen:
        refuse(Code.REPLAYED, "this request was answered before")
    if box.answered_today >= policy.requests_per_day:
        refuse(Code.QUOTA, f"the quota of 24 hours is used up: {counted(policy.requests_per_day, 'request')}")


def check_order(
    asked: Asked,
    roots: Sequence[signed.VerifyKey],
    policy: Policy,
    *,
    now_s: float,
    revoked: Collection[bytes],
) -> None:
    """What desk and custodian check of an order that both people signed, by their own clock and list of `revoked` keys.

    Raises RefusedError. A custodian's register and a box's nonces say what was answered before.
    """
    mandates = check_signatures(asked, roots)
    check_revoked(mandates, revoked)
    check_terms(asked.request, mandates, policy, now_s)


def check_signing(
    asked: Asked,
    own: Sequence[bytes],
    roots: Sequence[signed.VerifyKey],
    policy: Policy,
    *,
    now_s: float,
    revoked: Collection[bytes],
) -> None:
    """What a desk checks before somebody signs under the mandates `own`, and of what was signed so far without any.

    All that a box will check, but that both have signed. Raises RefusedError.
    """
    if asked.mandates:
        _check_text(asked, _read_mandates(asked.mandates, roots))
    mandates = _read_mandates(tuple(dict.fromkeys((*asked.mandates, *own))), roots)
    if len({mandate.key for mandate in mandates}) < len(mandates):
        refuse(Code.SIGNATURE_MISSING, "two people must sign, each with a key of their own")
    for role in requests.ROLES:
        same = [mandate for mandate in mandates if mandate.role == role]
        if len(same) > 1:
            refuse(Code.SAME_ROLE, f"a {role} has signed already: {same[0].name}")
    _check_people(asked, mandates)
    check_revoked(mandates, revoked)
    check_terms(asked.request, mandates, policy, now_s)


def check_terms(request: Request, mandates: Sequence[Mandate], policy: Policy, now_s: float) -> None:
    """The part of the policy that needs no signature, the same at the desk, on the box and at the custodian's.

    `mandates` are those at hand: one when an order is drafted, two later. Raises RefusedError.
    """
    days = MAX_LIFE_S // _DAY_S
    if not all(mandate.not_before_s <= now_s < mandate.not_after_s for mandate in mandates):
        refuse(Code.MANDATE_EXPIRED, "a mandate is not valid now")
    if now_s < request.not_before_s:
        refuse(Code.NOT_YET_VALID, "the request is not valid yet")
    if now_s >= request.expires_s:
        refuse(Code.EXPIRED, "the request has expired")
    if request.expires_s - request.not_before_s > MAX_LIFE_S:
        refuse(Code.TOO_LONG_VALID, f"a request is valid for {days} days at most")
    if request.sealed_until_s > request.not_before_s + MAX_LIFE_S:
        refuse(Code.SEALED_TOO_LONG, f"a venue may be kept from knowing for {days} days at most")
    if request.to_s - request.from_s > policy.max_hours * _HOUR_S:
        refuse(Code.TOO_WIDE, f"the hours asked for span more than {counted(policy.max_hours, 'hour')}")
    if request.to_s > now_s:
        refuse(Code.FUTURE, "the hours asked for are not over yet")
    if request.from_s < now_s - policy.retention_days * _DAY_S:
        refuse(Code.OUTSIDE_RETENTION, f"nothing older than {counted(policy.retention_days, 'day')} is kept")


def check_signatures(asked: Asked, roots: Sequence[signed.VerifyKey]) -> tuple[Mandate, ...]:
    """The mandates of the two people who signed; raises RefusedError unless both roles did, under these roots."""
    mandates = _read_mandates(asked.mandates, roots)
    if len({mandate.key for mandate in mandates}) < len(requests.ROLES):
        refuse(Code.SIGNATURE_MISSING, "two people must sign")
    _check_text(asked, mandates)
    if {mandate.role for mandate in mandates} != set(requests.ROLES):
        refuse(Code.SAME_ROLE, "a health officer and an approver must sign, not one role twice")
    _check_people(asked, mandates)
    return mandates


def _read_mandates(documents: Sequence[bytes], roots: Sequence[signed.VerifyKey]) -> tuple[Mandate, ...]:
    try:
        return tuple(requests.read_mandate(document, roots) for document in documents)
    except DocumentForgedError:
        refuse(Code.WRONG_ROOT, "a mandate was not signed by the authority's root")
    except MalformedError:
        refuse(Code.MALFORMED, "a mandate is malformed")


def _check_text(asked: Asked, mandates: Sequence[Mandate]) -> None:
    """Raise RefusedError unless everybody with a mandate signed this text."""
    try:
        keys = [mandate.public_key for mandate in mandates]
        signed.verify(asked.envelope, label=requests.REQUEST_LABEL, keys=keys, limit=requests.MAX_DOCUMENT_BYTES)
    except DocumentForgedError:
        refuse(Code.ALTERED, "the text is not the one that was signed")
    except MalformedError:
        refuse(Code.MALFORMED, "the signatures are malformed")


def _check_people(asked: Asked, mandates: Sequence[Mandate]) -> None:
    """Raise RefusedError unless these are distinct persons of the authority that asks."""
    if len({_person(mandate.name) for mandate in mandates}) < len(mandates):
        refuse(Code.SAME_PERSON, "one person has signed in both roles")
    if any(mandate.authority != asked.request.authority for mandate in mandates):
        refuse(Code.WRONG_AUTHORITY, "a mandate is another authority's")


def check_revoked(mandates: Sequence[Mandate], revoked: Collection[bytes]) -> None:
    """Raise RefusedError when one of the mandates is void by a list that the root signed (revocations.py)."""
    for mandate in mandates:
        if mandate.key in revoked:
            refuse(Code.MANDATE_REVOKED, f"the {mandate.role}'s mandate was revoked")


def _person(name: str) -> str:
    """A name as people tell names apart: without case, spelling of accents, or spaces."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def refuse(code: Code, what: str) -> NoReturn:
    """Raise the refusal."""
    raise RefusedError(what, code=code.value)
