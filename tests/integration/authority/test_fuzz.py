"""Whatever bytes come in, every reader of foreign material answers with its own error or with a value."""

from __future__ import annotations

import contextlib
import json
import tempfile
import zipfile
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_scanner.authority.collect import boxes, evidence, verify
from edge_scanner.authority.keys import keys, recipients, vault
from edge_scanner.authority.match import bulk, cases, exports, match
from edge_scanner.authority.match.bulk import Key
from edge_scanner.authority.open import unseal
from edge_scanner.core import messages
from edge_scanner.core.enrolment import box_list, documents
from edge_scanner.core.enrolment.documents import BoxList
from edge_scanner.core.errors import BadDataError, EdgeScannerError, LogError, RefusedError
from edge_scanner.core.log.ratchet import PartKeys
from edge_scanner.core.model import MessageKind
from edge_scanner.core.pull import answer, request
from edge_scanner.core.pull.answer import Fetch, Part, Piece
from edge_scanner.protocols import gaen
from tests.support import exports as made
from tests.support.box_lists import FLEET_KEY, sign_boxes
from tests.support.office import Office
from tests.support.sightings import sample

if TYPE_CHECKING:
    from collections.abc import Callable

NOW_S = 1_795_903_200
OFFICE = Office(NOW_S)
PUBLISHER = made.publisher()
A_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
EXPORT = made.body([made.key(bytes(range(16)), 2_650_000, 144), made.key(bytes(16), 2_650_000, 1)])
IDENTITY = Ed25519PrivateKey.generate().public_key()
SEEDS = {
    "request": OFFICE.signed(OFFICE.request("K7MP2R9CX4")),
    "mandate": OFFICE.officer.mandate,
    "fetch": answer.pack_fetch(Fetch(request=bytes(32), part=Part.BODY, numbers=(1, 2, 3))),
    "piece": answer.pack_piece(Piece(request=bytes(32), part=Part.BODY, number=1, data=b"data")),
    "export": EXPORT,
    "zip": PUBLISHER.archive(EXPORT),
    "case": json.dumps({"data": [{"daily_key": "00" * 32, "time_start": 0, "time_end": 9, "max": 96}]}).encode(),
    "boxes": f"{','.join(box_list.COLUMNS)}\nK7MP2R9CX4,a,b,c,{b64encode(A_KEY).decode()},enrolled\n".encode(),
    "box list's word": documents.sign(BoxList(fleet="thu", made_s=1, sha256="00" * 32), FLEET_KEY),
    "published": b'{"kind":"counts","device":"K7MP2R9CX4","at":1,"link":{"segment":1,"frame":2,"link":"00"}}',
    "collector's line": b"edge-scanner/v1/d/K7MP2R9CX4/up/counts " + b'{"device":"K7MP2R9CX4"}'.hex().encode(),
    "key": vault.seal(bytes(32), vault.Label(role="approver", name="B", public=bytes(32)), vault.new_lock(), bytes(32)),
    "release": unseal.pack_release(
        bytes(32), {("K7MP2R9CX4", 1): {0: PartKeys(events=bytes(32), minutes={7: bytes(32)})}}
    ),
}


@st.composite
def mutated(draw: st.DrawFn, seed: str) -> bytes:
    """A good document with bytes changed, cut or inserted; sometimes anything at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(SEEDS[seed])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(("set", "cut", "insert", "swap")))
        if what == "set" and data:
            data[place] = draw(st.integers(0, 255))
        elif what == "cut":
            del data[place : place + draw(st.integers(1, 40))]
        elif what == "insert":
            data[place:place] = draw(st.binary(max_size=8))
        else:
            data[place : place + 1] = draw(st.sampled_from((b"null", b"-1", b"[]", b"{}", b'"', b"9" * 30, b"1e9")))
    return bytes(data)


def in_memory(read: Callable[[bytes], object], *errors: type[EdgeScannerError]) -> Callable[[bytes], None]:
    """A reader of bytes that may raise these and no other."""

    def check(data: bytes) -> None:
        with contextlib.suppress(*errors):
            read(data)

    return check


def from_file(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """A reader of files that may raise BadDataError and no other."""

    def check(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(BadDataError):
            path = Path(folder) / "case.json"
            path.write_bytes(data)
            read(path)

    return check


def unsigned(data: bytes) -> None:
    """Read an export, then derive everything: what was accepted must be derivable."""
    export = exports.read(data, "x", public_key=None, unsigned_ok=True)
    for key in export.keys:
        assert 0 < key.end_s - key.start_s <= 86_400
        next(gaen.derive(key))


def case_file(path: Path) -> None:
    """Read a case file, then derive from what was accepted, singly and in bulk."""
    found = cases.load([path], cases.Trust(unsigned_ok=True))
    single = [(one.identifier.ljust(16, b"\0"), one.start_s, one.end_s) for _, one in cases.derive(found)]
    assert all(end_s > start_s for _, start_s, end_s in single)
    bulky = [
        (made.ids[place].tobytes(), int(made.start_s[place]), int(made.end_s[place]))
        for block in bulk.blocks(Key(case=0, protocol=one.protocol.tag, key=one.key) for one in found)
        for made in (block.all(),)
        for place in range(len(made.ids))
    ]
    assert bulky == single


def signed_boxes(path: Path) -> None:
    """Read a list that the fleet signed, whatever it says."""
    boxes.read(sign_boxes(path, path.read_bytes()))


def published(path: Path) -> None:
    """A collector's file with this payload on each of the box's own topics."""
    payload = path.read_bytes()
    kinds = (MessageKind.COUNTS, MessageKind.CHECKPOINT, MessageKind.BOOT, MessageKind.AUDIT, MessageKind.STATUS)
    path.write_text("".join(f"{messages.topic('K7MP2R9CX4', kind)} {payload.hex()}\n" for kind in kinds))
    found = evidence.read(path, "K7MP2R9CX4")
    assert not found.foreign
    recipients.show_published(path)


def word(path: Path) -> None:
    """Read a good list beside which these bytes lie as its signature; they are refused for other reasons, too."""
    listed = sign_boxes(path.with_name("boxes.csv"), SEEDS["boxes"])
    path.rename(listed.with_name("boxes.csv.sig"))
    with contextlib.suppress(RefusedError):
        boxes.read(listed)


def manifest(path: Path) -> None:
    """Whose bundle a folder says it is."""
    verify.device_of(path.rename(path.with_name("manifest.json")).parent)


READERS: dict[str, tuple[str, Callable[[bytes], None]]] = {
    "request": ("request", in_memory(request.read, LogError)),
    "mandate": ("mandate", in_memory(lambda data: request.read_mandate(data, [OFFICE.root.public_key()]), LogError)),
    "fetch": ("fetch", in_memory(answer.parse_fetch, LogError)),
    "piece": ("piece", in_memory(answer.parse_piece, LogError)),
    "answer": (
        "request", in_memory(lambda data: answer.read_answer(data, device="K7MP2R9CX4", identity=IDENTITY), LogError),
    ),
    "audit": ("request", in_memory(answer.parse_audit, LogError)),
    "export": ("export", in_memory(unsigned, BadDataError)),
    "zip": ("zip", in_memory(unsigned, BadDataError)),
    "signed zip": (
        "zip",
        in_memory(
            lambda data: exports.read(data, "x", public_key=PUBLISHER.key.public_key(), unsigned_ok=False),
            BadDataError,
        ),
    ),
    "case": ("case", from_file(case_file)),
    "boxes": ("boxes", from_file(signed_boxes)),
    "box list's word": ("box list's word", from_file(word)),
    "published": ("published", from_file(published)),
    "collector's line": ("collector's line", from_file(lambda path: evidence.read(path, "K7MP2R9CX4"))),
    "key": ("key", from_file(vault.read)),
    "public": ("key", from_file(keys.read_public)),
    "release": ("release", from_file(unseal.read_release)),
    "result": ("case", from_file(match.load)),
    "manifest": ("request", from_file(manifest)),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_only_named_errors(reader: str, data: st.DataObject) -> None:
    """Mutations of good documents, and anything."""
    seed, check = READERS[reader]

    check(data.draw(mutated(seed)))


LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def damaged(record: bytes, offset: int, value: bytes) -> bytes:
    """The export's archive with other bytes at an offset of its first record of that kind (PKWARE APPNOTE 4.3)."""
    archive = bytearray(made.archive(EXPORT, None))
    place = archive.index(record) + offset
    archive[place : place + len(value)] = value
    return bytes(archive)


DAMAGED = {
    "another checksum": damaged(CENTRAL, 16, bytes(4)),
    "a reserved block of deflate": damaged(b"export.bin", len("export.bin"), b"\x07"),
    "an extra field to the end of the file": damaged(LOCAL, 28, b"\xff\xff"),
    "encrypted": damaged(CENTRAL, 8, b"\x01"),
    "of a later version": damaged(CENTRAL, 6, b"\xff"),
    "a central directory that begins later": damaged(END, 16, b"\xff\xff\xff\x00"),
    "a name not in UTF-8": damaged(CENTRAL, 8, b"\x00\x08").replace(b"export.bin", b"\xd6xport.bin"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_archive_is_named(damage: str) -> None:
    """Whatever the zip reader throws for it, the officer reads one sentence."""
    with pytest.raises(BadDataError, match="not a readable zip archive"):
        unsigned(DAMAGED[damage])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_the_methods_of_the_format_are_unpacked(method: int) -> None:
    """A header of LZMA alone may ask for 4 GB of memory."""
    with pytest.raises(BadDataError, match="neither stored nor deflated"):
        unsigned(made.archive(EXPORT, None, method=method))


def test_the_seeds_are_good() -> None:
    """Each reader accepts the document that its mutations start from, so that they reach its depths."""
    assert request.read(SEEDS["request"]).request.case
    assert len(exports.read(SEEDS["zip"], "x", public_key=PUBLISHER.key.public_key(), unsigned_ok=False).keys) == 2
    for name in ("case", "boxes", "key", "release"):
        seed, _ = READERS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "f"
            path.write_bytes(SEEDS[seed])
            {"case": case_file, "boxes": signed_boxes, "key": vault.read, "release": unseal.read_release}[name](path)
    with tempfile.TemporaryDirectory() as folder:
        match.save(sample(), Path(folder) / "result")
        assert match.load(Path(folder) / "result").cases == 1284
