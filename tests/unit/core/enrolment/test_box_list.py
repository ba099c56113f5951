"""The fleet's signed list: what is believed, and what is said about one that is not."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.enrolment import box_list, documents
from edge_scanner.core.enrolment.box_list import COLUMNS, PLACE_COLUMNS, Box
from edge_scanner.core.errors import BadDataError, RefusedError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PINNED = documents.public_text(KEY.public_key()).encode() + b"\n"
IDENTITY = OTHER.public_key().public_bytes_raw()
HEAD = ",".join(COLUMNS)
LINE = f"K7MP-2R9C-X4,ben-xe,Cửa 3,Bến xe,{b64encode(IDENTITY).decode()},enrolled"


def content(*lines: str, head: str = HEAD) -> bytes:
    """A file's bytes."""
    return "\n".join([head, *lines, ""]).encode()


def signature(text: bytes, key: Ed25519PrivateKey = KEY) -> bytes:
    """The fleet's word about them."""
    word = documents.BoxList(fleet="thu", made_s=7, sha256=hashlib.sha256(text).hexdigest())
    return documents.sign(word, key) + b"\n"


def test_a_signed_list_says_whose_it_is() -> None:
    """Fleet, time and key."""
    text = content(LINE)

    found = box_list.source(text, signature(text), PINNED, "boxes.csv")

    assert (found.fleet, found.made_s, found.key) == ("thu", 7, KEY.public_key().public_bytes_raw())


def test_boxes_are_read() -> None:
    """Every column, with and without those of the place."""
    box = Box(device="K7MP2R9CX4", site="ben-xe", room="Cửa 3", name="Bến xe", identity=IDENTITY)
    long = content(f"{LINE},Hà Nội,Cầu Giấy,station,same hall", head=f"{HEAD},{','.join(PLACE_COLUMNS)}")

    assert box_list.boxes(content(LINE, LINE), "boxes.csv") == {"K7MP2R9CX4": box}
    found = box_list.boxes(long, "boxes.csv")["K7MP2R9CX4"]
    assert (found.province, found.district, found.kind, found.hall_rule) == (
        "Hà Nội",
        "Cầu Giấy",
        "station",
        "same hall",
    )
    assert box.key.public_bytes_raw() == IDENTITY
    assert box.place == "Bến xe, Cửa 3"
    assert box.why_not_asked == ""


def test_a_hall_rule_that_nobody_knows_is_refused() -> None:
    """A misspelt one would add one crowd up twice."""
    with pytest.raises(BadDataError, match="hall_rule is separate or same hall"):
        box_list.boxes(content(f"{LINE},both", head=f"{HEAD},hall_rule"), "boxes.csv")


def test_a_box_that_is_not_asked_says_why() -> None:
    """Out of service, or without a key."""
    keyless = box_list.boxes(content("K7MP2R9CX4,,,,,enrolled"), "b")["K7MP2R9CX4"]
    retired = box_list.boxes(content("K7MP2R9CX4,,,,,retired"), "b")["K7MP2R9CX4"]

    assert (keyless.why_not_asked, retired.why_not_asked, keyless.place) == ("no_key", "retired", "K7MP2R9CX4")
    with pytest.raises(BadDataError, match="no key"):
        _ = keyless.key


@pytest.mark.parametrize(
    ("given", "pinned", "error", "word"),
    [
        (signature(content(LINE), OTHER), PINNED, RefusedError, "not signed by the key"),
        (signature(content(LINE, LINE)), PINNED, RefusedError, "not the one that was signed"),
        (b"{}", PINNED, BadDataError, "not a signature"),
        (signature(content(LINE)), b"nonsense", BadDataError, "not a fleet's key"),
    ],
)
def test_what_the_fleet_did_not_sign_is_refused(given: bytes, pinned: bytes, error: type[Exception], word: str) -> None:
    """Another's word, a word about other bytes, no word, no key."""
    with pytest.raises(error, match=word):
        box_list.source(content(LINE), given, pinned, "boxes.csv")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"\xff\xfe", "not a CSV file"),
        (content(), "no boxes"),
        (content(LINE, LINE.replace("ben-xe", "cho")), "is listed twice"),
        (content("K7MP2R9CX,,,,,enrolled"), "malformed"),
        (content("K7MP2R9CX4,,,,AAAA,enrolled"), "."),
        (content("K7MP2R9CX4,,,,,lost"), "state must be"),
        (content("K7MP2R9CX4,a\x1bb,,,,enrolled"), "."),
    ],
)
def test_a_mistake_in_a_list_is_named(text: bytes, word: str) -> None:
    """BadDataError with the line."""
    with pytest.raises(BadDataError, match=word):
        box_list.boxes(text, "boxes.csv")
