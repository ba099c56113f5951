"""Requests and mandates: documents that people sign and boxes read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edge_scanner.core import signed
from edge_scanner.core.enrolment import device_id
from edge_scanner.core.errors import DocumentForgedError, MalformedError
from edge_scanner.core.pull import request as requests
from tests.support.office import Office

NOW_S = 1_795_903_200
BOX = "K7MP2R9CX4"
OFFICE = Office(NOW_S)


def changed(document: bytes, **values: Any) -> bytes:
    """The document with fields of the request's body replaced, without a new signature."""
    whole = json.loads(document)
    whole["request"]["body"].update(values)
    return signed.canonical(whole)


def test_a_request_survives_the_journey() -> None:
    """What is read is what was drafted, with both signatures and both mandates."""
    request = OFFICE.request(BOX, sealed_until_s=NOW_S)
    document = OFFICE.signed(request)

    asked = requests.read(document)

    assert asked.request == request
    assert len(asked.mandates) == 2
    assert len(json.loads(document)["request"]["signatures"]) == 2


def test_the_digest_names_the_text_not_the_signatures() -> None:
    """A draft and its signed form have one digest; another nonce gives another."""
    request = OFFICE.request(BOX)

    assert requests.read(requests.draft(request)).request.digest == request.digest
    assert replace(request, nonce=bytes(16)).digest != request.digest


def test_signing_twice_changes_nothing() -> None:
    """The same person's second approval gives the same document."""
    once = OFFICE.signed(OFFICE.request(BOX), OFFICE.officer)

    assert requests.approve(once, OFFICE.officer.key, OFFICE.officer.mandate) == once


def test_nobody_signs_under_anothers_mandate() -> None:
    """A mandate for another key is refused at the desk."""
    with pytest.raises(MalformedError, match="another key"):
        requests.approve(requests.draft(OFFICE.request(BOX)), OFFICE.officer.key, OFFICE.approver.mandate)


def test_a_mandate_is_its_roots() -> None:
    """The root's mandate is read; under another root it is forged."""
    mandate = requests.read_mandate(OFFICE.officer.mandate, [OFFICE.root.public_key()])

    assert mandate.role == requests.HEALTH_OFFICER
    assert mandate.public_key == OFFICE.officer.key.public_key()
    with pytest.raises(DocumentForgedError):
        requests.read_mandate(OFFICE.officer.mandate, [Office(NOW_S).root.public_key()])


@pytest.mark.parametrize(
    "values",
    [
        {"format": "edge-scanner/request/2"},
        {"case": "a case with spaces"},
        {"case": 7},
        {"authority": "somebody"},
        {"legal_basis": ""},
        {"legal_basis": "Law\n\x1b[8m"},
        {"purpose": "\x1b[2J"},
        {"purpose": "see \u202e33"},
        {"purpose": "x" * 1001},
        {"devices": []},
        {"devices": [1]},
        {"devices": [BOX, BOX]},
        {"devices": ["lower-case"]},
        {"from": NOW_S, "to": NOW_S},
        {"not_before": NOW_S, "expires": NOW_S},
        {"sealed_until": -1},
        {"nonce": "short"},
    ],
)
def test_a_request_that_breaks_the_format_is_malformed(values: dict[str, Any]) -> None:
    """Every field is checked when it is read."""
    with pytest.raises(MalformedError):
        requests.read(changed(requests.draft(OFFICE.request(BOX)), **values))


def test_a_draft_is_checked_like_anything_read() -> None:
    """Nobody hands out what no box would read."""
    with pytest.raises(MalformedError):
        requests.draft(OFFICE.request())


@pytest.mark.parametrize(
    "values",
    [
        {"format": "x"},
        {"authority": "x"},
        {"role": "recipient"},
        {"name": ""},
        {"name": "An\x1b[2K"},
        {"key": "AAAA"},
        {"not_before": 9, "not_after": 9},
    ],
)
def test_a_mandate_that_breaks_the_format_is_malformed(values: dict[str, Any]) -> None:
    """Every field is checked, for showing as for believing."""
    whole = json.loads(OFFICE.officer.mandate)
    whole["body"].update(values)

    with pytest.raises(MalformedError):
        requests.peek_mandate(signed.canonical(whole))


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"mandates":[],"request":{}}', b'{"a":1 }', b"\xff"])
def test_bytes_that_are_no_request_are_malformed(document: bytes) -> None:
    """Nothing else comes out of reading."""
    with pytest.raises(MalformedError):
        requests.read(document)


def test_a_heap_of_mandates_is_malformed() -> None:
    """A box does not check five roots' signatures for a stranger."""
    whole = json.loads(OFFICE.signed(OFFICE.request(BOX)))
    whole["mandates"] *= 3

    with pytest.raises(MalformedError, match="mandates"):
        requests.read(signed.canonical(whole))


def test_limits_themselves_are_allowed() -> None:
    """Times from 1970 on, the shortest and longest texts, as many boxes and mandates as may be; one more is not."""
    boxes = tuple(device_id.from_entropy(number.to_bytes(5, "big")) for number in range(requests.MAX_DEVICES + 1))
    widest = replace(
        OFFICE.request(*boxes[:-1]),
        from_s=0,
        to_s=1,
        not_before_s=0,
        expires_s=1,
        legal_basis="x",
        purpose="x" * requests.MAX_TEXT,
    )
    document = requests.draft(widest)

    assert requests.read(document).request == widest
    with pytest.raises(MalformedError):
        requests.draft(replace(widest, devices=boxes))
    whole = json.loads(document)
    mandates = [json.loads(OFFICE.officer.mandate)] * requests._MAX_MANDATES
    assert len(requests.read(signed.canonical({**whole, "mandates": mandates})).mandates) == requests._MAX_MANDATES


@pytest.mark.parametrize("name", ["x", "x" * requests.MAX_NAME])
def test_a_mandate_survives_the_journey(name: str) -> None:
    """What the root signed is what is read, with the shortest and the longest name, from 1970 on."""
    mandate = replace(requests.peek_mandate(OFFICE.officer.mandate), name=name, not_before_s=0, not_after_s=1)
    document = requests.sign_mandate(mandate, [OFFICE.root])

    assert requests.read_mandate(document, [OFFICE.root.public_key()]) == mandate
    for beyond in (replace(mandate, name="x" * (requests.MAX_NAME + 1)), replace(mandate, not_after_s=0)):
        with pytest.raises(MalformedError):
            requests.sign_mandate(beyond, [OFFICE.root])
