"""The proof that a card is of this batch: bound to the secret, the board and both keys."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_scanner.core.enrolment import proofs
from edge_scanner.core.enrolment.documents import Request

SECRET = bytes(range(32))


def _request() -> Request:
    marks = {"serial": "1000", "identity": "AAAA", "csr": "pem"}
    return Request(**marks, device_id="", proof=proofs.prove(SECRET, **marks), software_version="1")


def test_who_has_the_secret_is_believed() -> None:
    """And nobody else, nor the same proof with other marks."""
    request = _request()

    assert proofs.proven(SECRET, request)
    assert not proofs.proven(bytes(32), request)
    for changed in ({"serial": "1001"}, {"identity": "AAAB"}, {"csr": "other"}, {"proof": ""}, {"proof": "é"}):
        assert not proofs.proven(SECRET, replace(request, **changed))


@pytest.mark.parametrize(("text", "found"), [(f"{SECRET.hex()}\n", SECRET), ("00", b""), ("no hex", b""), ("", b"")])
def test_the_file_holds_hex(text: str, found: bytes) -> None:
    """Anything else is no secret."""
    assert proofs.read(text) == found
