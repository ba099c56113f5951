"""What headquarters and laptop refuse before a technician drives anywhere."""

from __future__ import annotations

import time
import zipfile
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.enrolment.device_id import is_device_id
from edge_scanner.core.errors import BadDataError, ConfigurationError, EdgeScannerError, RefusedError
from edge_scanner.core.log import recipients
from edge_scanner.language.errors import line
from edge_scanner.mqtt.brokerlink import BrokerSettings, tls_context
from provisioning import certificates, places
from provisioning.bench.batch import BATCH_DAYS, MAX_COUNT, new_batch, open_batch, signer_of
from provisioning.fleet.fleet import Endpoint, endpoint, new_fleet, open_fleet
from tests.support.fleet import BATCH_PASSPHRASE, PASSPHRASE, PLACES, workshop
from tests.support.recipients import parties

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = time.time()


def test_a_fleet_is_made_once_and_opened_with_its_passphrase(tmp_path: Path) -> None:
    """The second `new` in a folder is refused, and so is a wrong passphrase; keys are closed files."""
    shop = workshop(tmp_path)
    again = open_fleet(shop.fleet.folder, PASSPHRASE)

    assert (again.name, again.broker, again.trust_pem) == (shop.fleet.name, shop.fleet.broker, shop.fleet.trust_pem)
    keys = [path for path in shop.fleet.folder.rglob("*.key") if path.stat().st_mode & 0o077]
    assert keys == []
    with pytest.raises(RefusedError):
        open_fleet(shop.fleet.folder, "sai")
    with pytest.raises(RefusedError):
        new_fleet(
            shop.fleet.folder, name="x", broker=again.broker, enrol=again.enrol, passphrase=PASSPHRASE, now_s=NOW_S
        )


@pytest.mark.parametrize(
    ("text", "found"),
    [("mqtt.example.vn", ("mqtt.example.vn", 8883)), ("10.0.0.1:1884", ("10.0.0.1", 1884))],
)
def test_an_endpoint_is_a_host_and_a_port(text: str, found: tuple[str, int]) -> None:
    """The port has a default."""
    assert endpoint(text, default_port=8883) == Endpoint(host=found[0], port=found[1])


@pytest.mark.parametrize("text", ["", ":8883", "x:", "x:0", "x:70000", "x:y"])
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    """With an example of how to write one."""
    with pytest.raises(ConfigurationError, match=r"mqtt\.example\.vn:8883"):
        endpoint(text, default_port=8883)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("site,room\n", "line 1"),
        ("site,room,name_vi,name_en\nBen Xe,,,\n", "line 2"),
        ("site,room,name_vi,name_en\nok,,Chợ,\n,,,\n", "line 3"),
        (b"site,room,name_vi,name_en\nok,\xff,,\n", "byte 29"),
        ("site,room,name_vi,name_en,moderat_from\nok,,A,,\n", "line 1"),
        ("site,room,name_vi,name_en\nok,,,\n", "line 2"),
        ("site,room,name_vi,name_en\nok,,A,,too,many\n", "line 2"),
        ("site,room,name_vi,name_en,moderate_from\nok,,A,,many\n", "line 2"),
        ("site,room,name_vi,name_en,busy_from\nok,,A,,20\n", "line 2"),
        ("site,room,name_vi,name_en,time_zone\nok,,A,,Asia/Saigonn\n", "line 2"),
        ("site,room,name_vi,name_en,notice_url\nok,,A,,http://x\n", "line 2"),
        ("site,room,name_vi,name_en,contact\nok,,A,,\x1b[2J\n", "line 2"),
        ("site,room,name_vi,name_en\nok,,Cha\u0301\u0301\u0301\u0301,\n", "line 2"),
        ("site,room,name_vi,name_en\nok,,Chợ\u2800,\n", "line 2"),
        ("site,room,name_vi,name_en,word\nok,,A,,quantiles\n", "line 2"),
        ("site,room,name_vi,name_en,hall_rule\nok,,A,,both\n", "line 2"),
        ("site,room,name_vi,name_en,hall_rule\nok,,A,,separate\nok,,A,,same hall\n", "line 3"),
    ],
)
def test_a_wrong_plan_names_its_line(tmp_path: Path, content: str | bytes, where: str) -> None:
    """Missing columns, a site that no box could have, an empty site, another encoding."""
    plan = tmp_path / "sites.csv"
    plan.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(BadDataError) as refused:
        places.read(plan)
    assert where in str(refused.value)


def test_a_plan_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    """With the byte-order mark that spreadsheets write, and Vietnamese names."""
    plan = tmp_path / "sites.csv"
    plan.write_text("site,room,name_vi,name_en\ncho-ben-thanh, C\u1eeda 1 ,Ch\u1ee3,Market\n", encoding="utf-8-sig")

    (place,) = places.read(plan)

    assert (place.site, place.room, place.name_vi) == ("cho-ben-thanh", "C\u1eeda 1", "Ch\u1ee3")


def test_a_batch_that_would_not_work_is_not_made(tmp_path: Path) -> None:
    """Too many boxes, more places than boxes, a name with a space, another authority's recipients, an old set."""
    shop = workshop(tmp_path)
    who, other = parties(NOW_S), parties(NOW_S)

    def make(**changes: object) -> None:
        wanted: dict[str, object] = {
            "name": "B-1",
            "count": 3,
            "places": PLACES,
            "authority_root": who.root_pem,
            "custodian_root": who.custodian_pem,
            "recipient_set": who.document,
            "now_s": NOW_S,
        }
        new_batch(
            shop.fleet,
            **(wanted | changes),  # type: ignore[arg-type]
            software=(),
            software_version="0",
            passphrase=PASSPHRASE,
            target=tmp_path / "x.zip",
        )

    make()
    for change in (
        {"count": MAX_COUNT + 1},
        {"count": 1},
        {"name": "B 1"},
        {"recipient_set": other.document},
        {"authority_root": b"no key"},
        {"custodian_root": b"no key"},
        {"custodian_root": who.root_pem},
        {"recipient_set": recipients.sign(who.recipients, [who.root])},
        {"now_s": NOW_S + 200 * 86400},
    ):
        with pytest.raises(ConfigurationError):
            make(**change)


def test_a_batch_opens_in_its_time_with_its_passphrase(tmp_path: Path) -> None:
    """Not before, not after 90 days, not with another passphrase, not when a file is missing or changed."""
    package = tmp_path / "a.deb"
    package.write_bytes(b"package")
    shop = workshop(tmp_path, software=(package,))
    path, signer = shop.batch.path, shop.fleet.signer.public_key()

    def opens(file: Path = path, passphrase: str = BATCH_PASSPHRASE, after_days: float = 0) -> None:
        open_batch(file, passphrase=passphrase, signer=signer, now_s=NOW_S + after_days * 86400)

    opens(after_days=BATCH_DAYS - 1)
    assert signer_of(path) == signer
    for wrong in ({"passphrase": "sai"}, {"after_days": BATCH_DAYS + 1.0}, {"after_days": -2.0}, {"file": package}):
        with pytest.raises(EdgeScannerError) as refused:
            opens(**wrong)
        # What a technician is told to do, in both languages.
        assert refused.value.hint.isascii()
        assert not line(refused.value, "vi").isascii()

    assert shop.batch.software("a.deb") == b"package"
    assert shop.batch.software("../fleet.toml") is None
    for name, content in (("software/a.deb", b"other"), ("bench.key", None)):
        changed = tmp_path / f"{content!r}.zip"
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
            for member in old.namelist():
                if member != name:
                    new.writestr(member, old.read(member))
                elif content is not None:
                    new.writestr(member, content)
        with pytest.raises(BadDataError):
            open_batch(changed, passphrase=BATCH_PASSPHRASE, signer=signer, now_s=NOW_S).software("a.deb")


def test_a_batch_that_nobody_packed_here_is_one_line(tmp_path: Path) -> None:
    """Compressed, where a few bytes may unpack to gigabytes; encrypted; with a method that nobody knows; torn."""
    shop = workshop(tmp_path)
    good = shop.batch.path.read_bytes()
    headers = (good.index(b"PK\x03\x04"), good.index(b"PK\x01\x02"))

    def altered(local: int, central: int, byte: int) -> bytes:
        found = bytearray(good)
        for header, offset in zip(headers, (local, central), strict=True):
            found[header + offset] = byte
        return bytes(found)

    deflated = tmp_path / "deflated.zip"
    with zipfile.ZipFile(shop.batch.path) as old, zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    for content in (deflated.read_bytes(), altered(6, 8, 1), altered(8, 10, 77), altered(40, 16, 0x7F), good[:-40]):
        bad = tmp_path / "bad.zip"
        bad.write_bytes(content)
        with pytest.raises(BadDataError, match="not a batch file"):
            open_batch(bad, passphrase=BATCH_PASSPHRASE, signer=shop.fleet.signer.public_key(), now_s=NOW_S)
    with pytest.raises(BadDataError, match="not a batch file"):
        signer_of(deflated)


def test_ids_of_a_batch_are_different_and_right(tmp_path: Path) -> None:
    """The list is drawn at random, each id with its check characters."""
    ids = workshop(tmp_path, count=50).batch.manifest.ids

    assert len(set(ids)) == 50
    assert all(is_device_id(device_id) for device_id in ids)


def test_a_batch_ca_stands_in_nobodys_chain(tmp_path: Path) -> None:
    """It is self-signed, may issue leaves only, and is not among what the central broker trusts."""
    shop = workshop(tmp_path)
    ca = shop.batch.ca.certificate

    assert ca.issuer == ca.subject
    assert certificates.issued_by(ca, ca, now_s=NOW_S)
    assert shop.batch.ca.certificate_pem not in shop.fleet.trust_pem
    assert not certificates.issued_by(ca, shop.fleet.issuing.certificate, now_s=NOW_S)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    """The connection refuses it with the command that mends it; a group bit, as systemd sets it, is let through."""
    ca = certificates.new_ca("x", now_s=NOW_S, days=1)
    client = certificates.new_client(ca, "y", unit="z", now_s=NOW_S, days=1)
    for name, content in (("ca", ca.certificate_pem), ("crt", client.certificate_pem), ("key", client.key_pem)):
        (tmp_path / name).write_bytes(content)
    link = BrokerSettings(host="x", ca=tmp_path / "ca", certificate=tmp_path / "crt", key=tmp_path / "key")

    (tmp_path / "key").chmod(0o440)
    tls_context(link)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        tls_context(link)
