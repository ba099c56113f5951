"""Case files become identifiers, or are refused with one line: Bluezone records and Exposure Notification exports."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import exports
from tests.support.authority import Outcome, edge_authority

if TYPE_CHECKING:
    from pathlib import Path

A_KEY = bytes(range(32)).hex()
A_START = 1_596_844_800
KEY = bytes(range(16))
START = A_START // 600


def derive(*words: object) -> Outcome:
    """The command's outcome."""
    return edge_authority("derive", *words, "--csv", "-")


def rows(*words: object) -> list[list[str]]:
    """The CSV's rows without its header, which is checked."""
    done = derive(*words)
    assert done.code == 0, done.stderr
    header, *lines = done.stdout.splitlines()
    assert header == "protocol,identifier,start,end"
    return [line.split(",") for line in lines]


def refused(*words: object) -> str:
    """The one line with which a file is refused; nothing is printed."""
    done = derive(*words)
    assert done.code == 65, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


def case(tmp_path: Path, name: str = "case.json", **changes: Any) -> Path:
    """Vector D's record in a file."""
    record = {"daily_key": A_KEY, "time_start": A_START, "time_end": A_START + 87_300, "max": 96, **changes}
    path = tmp_path / name
    path.write_text(json.dumps({"data": [record]}))
    return path


def file(tmp_path: Path, name: str, content: bytes) -> Path:
    """A file with these bytes."""
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_vector_d(tmp_path: Path) -> None:
    """98 windows; the first, the first of day 1 and the last are the fact sheet's."""
    found = rows(case(tmp_path))

    assert len(found) == 98
    assert found[0] == ["bluezone", "130cea6472130c185d8643df", "1596844800", "1596845700"]
    assert found[96] == ["bluezone", "970e23c0e19de93f8cc4057b", "1596931200", "1596932100"]
    assert found[97] == ["bluezone", "5b909f5e8344db3c62de63db", "1596932100", "1596933000"]


def test_vectors_b_and_c_in_one_file(tmp_path: Path) -> None:
    """Several phones in a file, with 96 and 144 identifiers a day."""
    records = [
        {"daily_key": "00" * 32, "time_start": A_START, "time_end": A_START + 85_500, "max": 96},
        {"daily_key": "FF" * 32, "time_start": A_START, "time_end": A_START + 85_800, "max": 144},
    ]
    path = file(tmp_path, "two.json", json.dumps([{"data": records[:1]}, {"data": records[1:]}]).encode())

    found = [row[1].upper() for row in rows(path)]

    assert len(found) == 96 + 144
    assert [found[0], found[1], found[95]] == [
        "490C085D937456A4DD07E710", "CC4111FEC540C346EC6A053F", "3140C784CD06058BB930F6A7",
    ]  # fmt: skip
    assert [found[96], found[97], found[239]] == [
        "B7AD42E2192DE599B75D578F", "C665E793DA114BA801E47D38", "19E59195F037EAECFF3E4473",
    ]  # fmt: skip


def test_max_and_chain_lag_override_the_record(tmp_path: Path) -> None:
    """--max changes the slots; with --chain-lag day 1 is broadcast under the record's own key."""
    assert len(rows(case(tmp_path), "--max", 144)) == 144 + 2
    lagged = rows(case(tmp_path), "--chain-lag")
    assert lagged[0] == ["bluezone", "130cea6472130c185d8643df", "1596931200", "1596932100"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"daily_key": "ab"}, "daily_key"),
        ({"daily_key": None}, "daily_key"),
        ({"time_start": A_START + 1}, "midnight"),
        ({"time_start": str(A_START)}, "time_start"),
        ({"time_end": A_START - 1}, "time_end"),
        ({"time_end": A_START + 400 * 86_400}, "180 days"),
        ({"max": 95}, "96 or 144"),
        ({"max": None}, "max"),
    ],
)
def test_a_record_that_is_wrong_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    """File, record and field are in the line."""
    line = refused(case(tmp_path, **changes))

    assert word in line
    assert "case.json, record 1" in line


@pytest.mark.parametrize("text", ["{", "[1]", '{"data": {}}', '{"data": [7]}', "hello", ""])
def test_a_file_that_is_no_case_is_refused(tmp_path: Path, text: str) -> None:
    """With its name."""
    assert "odd.json" in refused(file(tmp_path, "odd.json", text.encode()))


def test_one_bad_file_spoils_the_run(tmp_path: Path) -> None:
    """Nothing of the good file is printed before the bad one is found."""
    assert "bad.json" in refused(case(tmp_path), case(tmp_path, "bad.json", max=1))


def test_a_signed_export_with_its_key(tmp_path: Path) -> None:
    """Periods as they are, 144 where none is given, revoked keys left out, revised ones taken."""
    publisher = exports.publisher()
    content = exports.body(
        [exports.key(KEY, START, 3), exports.key(bytes(16), START, None), exports.key(KEY, START, 7, report=5)],
        revised=[exports.key(bytes(range(1, 17)), START, 2)],
    )
    pem = file(tmp_path, "key.pem", publisher.pem)

    found = rows(file(tmp_path, "export.zip", publisher.archive(content)), "--public-key", pem)

    assert len(found) == 3 + 144 + 2
    assert found[0][0] == "gaen"
    assert found[0][2:] == [str(START * 600), str(START * 600 + 600)]


def test_unsigned_exports_need_a_word(tmp_path: Path) -> None:
    """A bare export.bin, a zip without a signature, a zip whose signature nobody checks."""
    publisher = exports.publisher()
    content = exports.body([exports.key(KEY, START, 3)])
    for path in (
        file(tmp_path, "export.bin", content),
        file(tmp_path, "nosig.zip", exports.archive(content, None)),
        file(tmp_path, "sig.zip", publisher.archive(content)),
    ):
        assert "--unsigned-ok" in refused(path)
        assert len(rows(path, "--unsigned-ok")) == 3


def _signed(name: str, tmp_path: Path, content: bytes, **changes: Any) -> tuple[Path, str, Path]:
    publisher = exports.publisher()
    return (
        file(tmp_path, name, publisher.archive(content, **changes)),
        "--public-key",
        file(tmp_path, f"{name}.pem", publisher.pem),
    )


@pytest.mark.parametrize(
    ("content", "changes", "word"),
    [
        (exports.body([exports.key(KEY, START)]), {"raw": True}, "raw 64-byte signature"),
        (exports.body([exports.key(KEY, START)]), {"signature": b"nonsense"}, "no signature"),
        (exports.body([exports.key(KEY, START)]), {"batch": 2, "batches": 2}, "another batch"),
        (exports.body([], header=b"EK Export v2    "), {}, "wrong header"),
        (exports.body([exports.key(KEY[:15], START)]), {}, "15 bytes"),
        (exports.body([exports.key(KEY, START, 0)]), {}, "rolling period 0"),
        (exports.body([exports.key(KEY, START, 145)]), {}, "rolling period 145"),
        (exports.body([exports.key(KEY, -1)]), {}, "rolling start"),
        (exports.body([exports.key(KEY, START)], batch=3, batches=2), {"batch": 3, "batches": 2}, "batch 3 of 2"),
        (exports.body([exports.key(KEY, START)])[:-1], {}, "ends inside"),
        (exports.body([exports.key(KEY, START)], batch=1, batches=2), {"batch": 1, "batches": 2}, "batch 2 of 2"),
    ],
)
def test_an_export_that_is_wrong_is_refused_by_name(
    tmp_path: Path, content: bytes, changes: dict[str, Any], word: str
) -> None:
    """One clear line each, signed or not."""
    line = refused(*_signed("export.zip", tmp_path, content, **changes))

    assert word in line
    assert "export.zip" in line


def test_a_signature_of_another_content_is_refused(tmp_path: Path) -> None:
    """One bit of a key changed after signing."""
    publisher = exports.publisher()
    content = bytearray(exports.body([exports.key(KEY, START)]))
    archive = publisher.archive(bytes(content), signature=None)
    content[-20] ^= 1
    forged = exports.archive(bytes(content), _signature_of(archive))
    pem = file(tmp_path, "key.pem", publisher.pem)

    assert "no signature" in refused(file(tmp_path, "forged.zip", forged), "--public-key", pem)


def _signature_of(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read("export.sig")


def test_a_complete_set_of_batches_is_taken(tmp_path: Path) -> None:
    """Both halves together are good, in any order."""
    publisher = exports.publisher()
    halves = [
        file(
            tmp_path,
            f"{batch}.zip",
            publisher.archive(
                exports.body([exports.key(bytes([batch]) * 16, START, 1)], batch=batch, batches=2),
                batch=batch,
                batches=2,
            ),
        )
        for batch in (1, 2)
    ]
    pem = file(tmp_path, "key.pem", publisher.pem)

    assert len(rows(halves[1], halves[0], "--public-key", pem)) == 2


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04garbage", exports.archive(b"", None)[:-30], b"PK\x03\x04"],
    ids=["garbage", "cut short", "empty"],
)
def test_a_broken_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    """A torn download."""
    refused(file(tmp_path, "torn.zip", content), "--unsigned-ok")


def test_the_official_exports(captures: Path) -> None:
    """Google's signed archive, and a bare file of 110 keys whose periods add up to 7473 (counted by hand)."""
    folder = captures / "gaen-exports"
    signed = rows(
        folder / "google_server_testExport-2-records-1-of-1.zip", "--public-key", folder / "google_server_public.pem"
    )
    known = json.loads((folder / "google_server_keys.json").read_text())["temporaryExposureKeys"]
    bare = rows(folder / "google_internals_export_110keys.bin", "--unsigned-ok")

    intervals = sorted(int(row[2]) // 600 for row in signed)
    expected = sorted(key["rollingStartNumber"] + number for key in known for number in range(key["rollingPeriod"]))
    assert intervals == expected
    assert len(bare) == 7473


def test_the_official_vectors(captures: Path, tmp_path: Path) -> None:
    """The 144 identifiers of Exposure Notification's published key."""
    vectors = json.loads((captures / "gaen-vectors" / "gaen_v1_2_test_vectors.json").read_text())
    secret = bytes.fromhex("75c734c6dd1a782de7a965da5eb93125")
    content = exports.body([exports.key(secret, 2_642_976, 144)])

    found = [row[1] for row in rows(file(tmp_path, "export.bin", content), "--unsigned-ok")]

    assert found[0] == "8be6cd371c5c891604bfbe49df845096"
    assert found[143] == "f431b62ecf443102ce4ed0407de54bd4"
    assert all(one in json.dumps(vectors).lower() for one in found)
