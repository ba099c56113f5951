"""What is true of a venue: in the box's settings, on its label and slip, after a move, and on a card for its Wi-Fi."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from edge_scanner.core import operator_pin
from edge_scanner.core.enrolment import box_list, documents
from edge_scanner.core.enrolment.documents import Assignment, Place, public_text
from edge_scanner.core.errors import ConfigurationError, RefusedError
from edge_scanner.core.snapshot import Venue
from edge_scanner.device import settings
from edge_scanner.device.commands.enrol import run_enrol
from edge_scanner.device.enrolment import first_settings
from edge_scanner.device.enrolment.identity import open_key
from edge_scanner.device.enrolment.settings_text import render
from edge_scanner.device.enrolment.steps import enrol, report
from edge_scanner.device.gates import Gates
from provisioning import certificates, places
from provisioning.bench import card
from provisioning.bench.commands import bench as commands
from provisioning.fleet import boxes, moving
from provisioning.inventory import open_inventory
from tests.support.fleet import BATCH_PASSPHRASE, HOTLINE, LABEL_ADDRESS, Workshop, box_in, open_bench, workshop

ROOT = Path(__file__).parents[3]
PLAN = """\
site,room,name_vi,name_en,contact,notice_url,time_zone,moderate_from,busy_from,word,hall_rule,province,district,kind
ben-xe,Cửa 3,Bến xe Miền Đông,Eastern Bus Station,028 111,https://q.hcm.test/n,Asia/Bangkok,30,90,usual,separate,TP. Hồ Chí Minh,Thủ Đức,station
cho,Cửa 1,Chợ Bến Thành,Ben Thanh Market,028 222,,,,,,same hall,TP. Hồ Chí Minh,Quận 1,market
cho,Cửa 2,Chợ Bến Thành,Ben Thanh Market,028 222,,,,,,same hall,TP. Hồ Chí Minh,Quận 1,market
"""  # noqa: E501 (lines of a CSV file)


@pytest.fixture
def place(tmp_path: Path) -> Workshop:
    """A fleet with a batch whose plan has every column."""
    (tmp_path / "sites.csv").write_text(PLAN)
    return workshop(tmp_path, places=places.read(tmp_path / "sites.csv"))


def _installed(place: Workshop, folder: Path, *, connected: bool = True) -> settings.Settings:
    """A box that came through the bench, reported well, and is known at headquarters; connected, with a certificate."""
    box = box_in(folder)
    with open_bench(place) as bench:
        report(box, bench.link, enrol(box, bench.link))
    assert box.assignment is not None
    with open_inventory(place.fleet.inventory) as inventory:
        inventory.plan(place.batch.manifest)
        inventory.adopt(box.assignment)
        if not connected:
            return settings.load(box.settings)
        key = certificates.public_key(certificates.load_certificate((box.state / "mqtt.crt").read_bytes()))
        certificate = certificates.issue_client(
            place.fleet.issuing, box.assignment.device_id, key, unit="device", now_s=time.time(), days=397
        )
        inventory.keep_certificate(box.assignment.device_id, certificates.pem(certificate), now_s=time.time())
    return settings.load(box.settings)


def test_enrolment_writes_complete_settings(place: Workshop, tmp_path: Path) -> None:
    """Names, contact, notice, zone, thresholds and what they count are the plan's; the PIN is the one on the slip."""
    found = _installed(place, tmp_path / "box")

    assert (found.device.site, found.device.name_vi, found.device.name_en) == (
        "ben-xe", "Bến xe Miền Đông", "Eastern Bus Station",
    )  # fmt: skip
    assert (found.device.contact, found.device.time_zone) == ("028 111", "Asia/Bangkok")
    assert (found.kiosk.notice_url, found.kiosk.moderate_from, found.kiosk.busy_from) == (
        "https://q.hcm.test/n", 30, 90,
    )  # fmt: skip
    assert found.kiosk.word == "usual"
    (tmp_path / "bench.db").rename(tmp_path / "inventory.db")
    assert commands.slips(place.batch.path, tmp_path / "slips.html", home=tmp_path, passphrase=BATCH_PASSPHRASE) == 1
    slip = (tmp_path / "slips.html").read_text()
    printed = re.search(r'class="pin">(\d{5}) (\d{5})<', slip)
    assert printed is not None
    pin_file = Path(found.kiosk.ops_pin_file)
    assert operator_pin.matches(printed[1] + printed[2], pin_file.read_text())
    assert pin_file.stat().st_mode & 0o777 == 0o600
    assert (HOTLINE in slip, "Bến xe Miền Đông" in slip) == (True, True)


def test_a_plan_knows_the_words_of_the_settings() -> None:
    """What `[kiosk] word` may be, a plan may say, and a box takes it."""
    known = set(get_args(get_type_hints(settings.Kiosk)["word"]))
    assert {"", *known} == set(documents.WORDS)
    assert known == set(first_settings._WORDS)


def test_a_plan_knows_the_settings_other_choices_and_defaults() -> None:
    """A hall's rules and the thresholds' defaults stand in a plan and in the settings, the theme in the snapshot."""
    usual = settings.Settings().kiosk
    assert ("", *get_args(get_type_hints(Gates)["hall_rule"])) == box_list.HALL_RULES
    assert (usual.moderate_from, usual.busy_from) == (places._MODERATE, places._BUSY)
    assert get_type_hints(settings.Kiosk)["theme"] == get_type_hints(Venue)["theme"]


def test_an_assignment_with_what_no_screen_shows_makes_settings_that_a_box_takes() -> None:
    """What is not drawn is left out of the names, and an address that no page links to as a whole."""
    given = Assignment(
        batch="B-014", device_id="K7MP2R9CX4", identity="", certificate="", site="cho", room="Cửa 1",
        name_vi="Chợ\u00a0Bến\u3164", name_en="Market\u202e", issued_s=1, notice_url="http://q.vn/n",
    )  # fmt: skip
    found = first_settings.at_site(settings.Settings(), given)

    assert (found.device.name_vi, found.device.name_en) == ("Chợ Bến", "Market")
    assert found.kiosk.notice_url == ""
    assert settings.parse(render(found).encode(), name="x").kiosk == found.kiosk


def test_a_label_says_what_the_fleet_signed(place: Workshop, tmp_path: Path) -> None:
    """Hotline and address of the manifest, the venue's name of the plan, the six words that the box shows."""
    _installed(place, tmp_path / "box")
    (tmp_path / "bench.db").rename(tmp_path / "inventory.db")
    made = commands.labels(
        place.batch.path, tmp_path / "labels", home=tmp_path, passphrase=BATCH_PASSPHRASE, paper="roll"
    )
    (svg,) = (tmp_path / "labels").iterdir()

    assert made == (1, 0)
    assert (place.batch.manifest.hotline, place.batch.manifest.label_address) == (HOTLINE, LABEL_ADDRESS)
    assert all(word in svg.read_text() for word in (HOTLINE, "Bến xe Miền Đông", "Cửa 3"))


def test_a_batch_without_a_hotline_prints_no_label(tmp_path: Path) -> None:
    """A fleet of an earlier release has none: the command says what to do, and writes nothing."""
    bare = workshop(tmp_path, hotline="")
    with pytest.raises(ConfigurationError, match="fleet words"):
        commands.labels(bare.batch.path, tmp_path / "out", home=tmp_path, passphrase=BATCH_PASSPHRASE, paper="roll")
    assert not (tmp_path / "out").exists()


def test_no_placeholder_stands_in_what_is_printed_or_shipped() -> None:
    """No telephone number, address or maintainer is made up where a program or package could print it."""
    made_up = re.compile(r"1900 ?0000|Q\.EXAMPLE\.VN(?!/D/`)|maintainer@example|Your Name", re.IGNORECASE)
    texts = [path for room in ("provisioning", "packaging") for path in (ROOT / room).rglob("*") if path.is_file()]
    found = [
        (path.name, line)
        for path in texts
        if path.suffix in {"", ".py", ".html"}
        for line in path.read_text(encoding="utf-8").splitlines()
        if made_up.search(line)
    ]
    assert found == []


def _move(place: Workshop, device_id: str, *, room: str = "Cửa 1", later_s: float = 5.0) -> bytes:
    return moving.order(
        place.fleet, device_id, place.folder / "sites.csv", site="cho", room=room, label_to=None,
        now_s=time.time() + later_s,
    )  # fmt: skip


def _take(order: bytes, box: Path, *, expect: int = 0) -> None:
    (box / "order").write_bytes(order)
    places_of = {"etc": box / "etc", "state": box / "state", "move": box / "order"}
    assert run_enrol(**places_of, self_test=False, set_clock=False) == expect  # type: ignore[arg-type]


def test_a_box_moves_with_one_order(place: Workshop, tmp_path: Path) -> None:
    """New site, names and screen; what an operator changed otherwise, the PIN, keys and certificate stay."""
    before = _installed(place, tmp_path / "box")
    file = tmp_path / "box" / "etc" / "scanner.toml"
    file.write_text(file.read_text() + 'app_url = ""\n')
    kept = {name: (tmp_path / "box" / "state" / name).read_bytes() for name in ("mqtt.key", "identity.key")}
    pin = Path(before.kiosk.ops_pin_file).read_bytes()

    order = _move(place, before.device.id)
    _take(order, tmp_path / "box")

    after = settings.load(file)
    assert after.device == replace(
        before.device, site="cho", name_vi="Chợ Bến Thành", name_en="Ben Thanh Market", contact="028 222",
        time_zone="Asia/Ho_Chi_Minh",
    )  # fmt: skip
    assert (after.kiosk.app_url, after.kiosk.moderate_from, after.kiosk.word) == ("", 20, "phones")
    assert after.kiosk.notice_url == ""
    assert {name: (tmp_path / "box" / "state" / name).read_bytes() for name in kept} == kept
    assert Path(after.kiosk.ops_pin_file).read_bytes() == pin
    with open_inventory(place.fleet.inventory) as inventory:
        row = inventory.box(before.device.id)
        assert row is not None
        assert (row.place.site, row.place.room, row.place.hall_rule) == ("cho", "Cửa 1", "same hall")
    boxes.export(place.fleet, tmp_path / "boxes.csv", now_s=time.time())
    listed = box_list.boxes((tmp_path / "boxes.csv").read_bytes(), "boxes.csv")[before.device.id]
    assert (listed.province, listed.district, listed.kind, listed.hall_rule) == (
        "TP. Hồ Chí Minh", "Quận 1", "market", "same hall",
    )  # fmt: skip

    # The same order again, and an older one, change nothing.
    file.write_text(file.read_text().replace('contact = "028 222"', 'contact = "029"'))
    _take(order, tmp_path / "box")
    _take(_move(place, before.device.id, room="Cửa 2", later_s=-3600.0), tmp_path / "box")
    assert settings.load(file).device.contact == "029"


def test_a_box_that_was_never_connected_moves_and_keeps_its_certificate(place: Workshop, tmp_path: Path) -> None:
    """Headquarters knows it from the evening's sync alone; without its certificate the order helps nobody."""
    before, certificate = _installed(place, tmp_path / "box", connected=False), tmp_path / "box" / "state" / "mqtt.crt"
    kept, order = certificate.read_bytes(), _move(place, before.device.id)

    for _ in range(2):
        _take(order, tmp_path / "box")
    assert settings.load(tmp_path / "box" / "etc" / "scanner.toml").device.site == "cho"
    assert certificate.read_bytes() == kept
    certificate.unlink()
    _take(order, tmp_path / "box", expect=20)


def test_an_order_is_for_one_box_and_from_the_fleet(place: Workshop, tmp_path: Path) -> None:
    """Another box, and a stranger's signature: exit 2, and the settings stay as they are."""
    before = _installed(place, tmp_path / "box")
    good = documents.verify(Assignment, _move(place, before.device.id), place.fleet.signer.public_key())
    other = replace(good, identity=public_text(open_key(tmp_path / "stranger").public_key()))

    _take(documents.sign(other, place.fleet.signer), tmp_path / "box", expect=20)
    _take(documents.sign(good, open_key(tmp_path / "stranger")), tmp_path / "box", expect=20)
    assert settings.load(tmp_path / "box" / "etc" / "scanner.toml").device.site == "ben-xe"


def test_a_move_that_cannot_be_is_refused(place: Workshop, tmp_path: Path) -> None:
    """A place that the plan has not or has twice, an id of nobody, a box that headquarters has not heard of."""
    installed = _installed(place, tmp_path / "box").device.id
    for site, room in (("nowhere", ""), ("cho", "")):
        with pytest.raises(ConfigurationError):
            moving.order(
                place.fleet, installed, tmp_path / "sites.csv", site=site, room=room, label_to=None, now_s=time.time()
            )
    for device_id in ("04HMASW9Z6", place.batch.manifest.ids[4]):
        with pytest.raises(RefusedError):
            _move(place, device_id)


def test_a_card_knows_the_venue_s_wi_fi() -> None:
    """Netplan's words, with the country; what WPA would not take is refused; without a network, the cable alone."""
    network = json.loads(card.network_config(card.Wifi(name="Chợ 1", passphrase="mat khau wifi", country="VN")))
    assert network["wifis"]["wlan0"]["access-points"] == {"Chợ 1": {"password": "mat khau wifi"}}
    assert network["wifis"]["wlan0"]["regulatory-domain"] == "VN"
    assert "wifis" not in json.loads(card.network_config(None))
    for wrong in (
        {"name": "", "passphrase": "12345678", "country": "VN"},
        {"name": "x" * 33, "passphrase": "12345678", "country": "VN"},
        {"name": "x", "passphrase": "1234567", "country": "VN"},
        {"name": "x", "passphrase": "12345678", "country": "vn"},
    ):
        with pytest.raises(ConfigurationError):
            card.Wifi(**wrong)


def test_an_inventory_of_an_earlier_release_is_opened(place: Workshop, tmp_path: Path) -> None:
    """Its boxes have no venue's columns: they are empty, and a move fills them."""
    device_id = _installed(place, tmp_path / "box").device.id
    with closing(sqlite3.connect(place.fleet.inventory)) as db, db:
        db.execute("ALTER TABLE box DROP COLUMN venue")

    with open_inventory(place.fleet.inventory) as inventory:
        row = inventory.box(device_id)
        assert row is not None
        assert row.place == Place(
            site="ben-xe", room="Cửa 3", name_vi="Bến xe Miền Đông", name_en="Eastern Bus Station"
        )
    _move(place, device_id)
