"""The fleet's list of boxes: believed only as the fleet signed it, and a box that was taken out is asked nothing."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.authority.collect import boxes
from edge_scanner.authority.collect.boxes import Box
from edge_scanner.core.enrolment import box_list
from edge_scanner.core.errors import BadDataError, EdgeScannerError, RefusedError
from tests.support.authority import edge_authority
from tests.support.box_lists import FLEET_KEY, sign_boxes, write_boxes
from tests.support.office import Office
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

HEAD = ",".join(box_list.COLUMNS)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
IDENTITY = b64encode(KEY).decode()


def listed(device: str, *, state: str = "enrolled", identity: bytes = KEY, site: str = "ben-xe") -> Box:
    """A box as the list has it."""
    return Box(device=device, site=site, room="Cửa 3", name="Bến xe", identity=identity, state=state)


GOOD, STOLEN, BROKEN, NEW = (
    listed("K7MP2R9CX4"),
    listed("7K3M9Q2X4T", state="revoked"),
    listed("3T5W8Z1B9D", state="retired"),
    listed("04HMASW9Z6", identity=b""),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A list of four boxes of one site, of which one may be asked."""
    return write_boxes(tmp_path / "boxes.csv", [GOOD, STOLEN, BROKEN, NEW])


def test_a_signed_list_is_read(path: Path) -> None:
    """Every box is there, also those that are not asked: what they gave before can still be checked."""
    assert list(boxes.read(path).values()) == [GOOD, STOLEN, BROKEN, NEW]
    assert boxes.source(path).fleet == "thu"


@pytest.mark.parametrize("missing", ["boxes.csv.sig", "fleet.pub"])
def test_an_unsigned_list_is_refused(path: Path, missing: str) -> None:
    """Without the fleet's word or without the pinned key: which file is missing, exit code 77."""
    path.with_name(missing).unlink()

    done = edge_authority("boxes", path)

    assert (done.code, done.stdout, done.stderr.count("\n")) == (77, "", 1)
    assert missing in done.stderr


def test_another_s_list_is_refused(path: Path) -> None:
    """A key that nobody pinned signs nothing here."""
    sign_boxes(path, path.read_bytes(), key=Ed25519PrivateKey.generate())

    with pytest.raises(RefusedError, match="not signed by the key"):
        boxes.read(path)


def test_a_changed_list_is_refused(path: Path) -> None:
    """One character after signing: an identity key that was put in place of a box's own."""
    path.write_bytes(path.read_bytes().replace(IDENTITY[:4].encode(), b"AAAB", 1))

    with pytest.raises(RefusedError, match="not the one that was signed"):
        boxes.read(path)


def test_a_signature_that_is_none_is_named(path: Path) -> None:
    """Bytes that are no document of ours: bad data, with the file."""
    path.with_name("boxes.csv.sig").write_bytes(b"{}")

    with pytest.raises(BadDataError, match="not a signature"):
        boxes.read(path)


def test_a_pinned_key_that_is_none_is_named(path: Path) -> None:
    """The wrong file was copied as fleet.pub."""
    path.with_name("fleet.pub").write_text("-----BEGIN CERTIFICATE-----\n")

    with pytest.raises(BadDataError, match="not a fleet's key"):
        boxes.read(path)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"K7MP,x,,,{IDENTITY},enrolled", "malformed"),
        ("K7MP2R9CX4,x,,,AAAA,enrolled", "32 bytes"),
        (f"K7MP2R9CX4,x,,,{IDENTITY},stolen", "state must be"),
        (f"K7MP2R9CX4,x,,,{IDENTITY}", "state must be"),
        (f"K7MP2R9CX4,x,,,{IDENTITY},enrolled\nK7MP2R9CX4,y,,,{IDENTITY},enrolled", "is listed twice"),
        ("", "no boxes"),
    ],
)
def test_a_signed_list_with_a_mistake_is_bad_data(tmp_path: Path, line: str, what: str) -> None:
    """A signature makes no sense of nonsense; the message names it."""
    with pytest.raises(BadDataError, match=what):
        boxes.read(sign_boxes(tmp_path / "boxes.csv", f"{HEAD}\n{line}\n".encode()))


def test_a_site_is_asked_without_what_was_taken_out(path: Path) -> None:
    """Of a site only the boxes in service with a known key; the others are named as left out."""
    known = boxes.read(path)

    assert boxes.choose(known, [], ["ben-xe"]) == (GOOD.device,)
    assert boxes.left_out(known, ["ben-xe"]) == (STOLEN, BROKEN, NEW)


@pytest.mark.parametrize("box", [STOLEN, BROKEN, NEW], ids=["revoked", "retired", "no key"])
def test_a_box_that_is_not_asked_cannot_be_named(box: Box) -> None:
    """By its id, or as a site's only box: refused with the reason."""
    with pytest.raises(RefusedError) as by_name:
        boxes.choose({box.device: box}, [box.device], [])
    with pytest.raises(RefusedError):
        boxes.choose({box.device: box}, [], [box.site])

    assert by_name.value.code == box.why_not_asked


def test_a_box_without_a_key_proves_nothing() -> None:
    """Nobody can check an answer of a box whose key nobody has."""
    with pytest.raises(EdgeScannerError, match="no key"):
        _ = NEW.key


def test_a_box_that_is_not_listed_is_named(path: Path) -> None:
    """An order for a box that this list does not know."""
    with pytest.raises(BadDataError, match="no such box"):
        boxes.check_known(boxes.read(path), [GOOD.device, "0000000000"])


def test_a_box_revoked_after_the_order_is_not_asked(path: Path, tmp_path: Path) -> None:
    """The pull ends at once with 77 and the reason; nobody waits for a box that will never answer."""
    live = Office(int(time.time()))
    (tmp_path / "approved.json").write_bytes(live.signed(live.request(STOLEN.device)))
    where = ("--broker", f"127.0.0.1:{free_port()}", "--plain", "--wait", "60")

    done = edge_authority(
        "pull", tmp_path / "approved.json", "--boxes", path, "--out", tmp_path / "out", *where, "--lang", "en", "--json"
    )

    assert done.code == 77
    assert [(one["state"], one["code"]) for one in json.loads(done.stdout)["boxes"]] == [("not_asked", "revoked")]
    assert "not asked: revoked by the fleet" in done.stderr
    assert "run the same command again" not in done.stderr


def test_an_older_list_is_not_taken_again(path: Path) -> None:
    """A stolen box was in service last month; the list of then is signed as well, and is refused."""
    then = path.read_bytes().replace(b"revoked", b"enrolled")
    now = path.read_bytes()
    sign_boxes(path, now, made_s=2_000)
    assert boxes.read(path)[STOLEN.device].why_not_asked == "revoked"

    sign_boxes(path, then, made_s=1_000)
    done = edge_authority("boxes", path)

    assert (done.code, done.stderr.count("\n")) == (77, 1)
    assert "older than the one last used" in done.stderr
    sign_boxes(path, now, made_s=2_000)
    assert boxes.read(path)[STOLEN.device].why_not_asked == "revoked"


def test_the_list_in_words(path: Path) -> None:
    """Place, state and the fingerprint that two people compare by telephone."""
    done = edge_authority("boxes", path, "--lang", "en")

    assert done.code == 0, done.stderr
    told = " ".join(done.stdout.split())
    for text in ("K7MP-2R9C-X4 ben-xe Bến xe, Cửa 3 in service", "revoked by the fleet", "has not heard its key yet"):
        assert text in told
    mark = boxes.source(path).key
    assert mark == FLEET_KEY.public_key().public_bytes_raw()
    assert len(told.rpartition("its key: ")[2].split("-")) == 6
