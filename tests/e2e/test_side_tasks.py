"""The recorder never stops for a side task or for what passes by itself: it hears, and says what is wrong."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import EdgeScannerError
from edge_scanner.core.log import recipients
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull import answer as answers
from edge_scanner.core.pull.answer import AuditRecord
from edge_scanner.core.pull.request import APPROVER, HEALTH_OFFICER
from edge_scanner.device.central import recipient_sets
from edge_scanner.device.central.pull import trail_room
from edge_scanner.device.storage.store import audit_digest
from edge_scanner.mqtt.broker import open_broker
from tests.support.box import Box
from tests.support.disks import disk_image, fill, overlay, read_only, tmpfs, when_power_returns, without_end
from tests.support.mosquitto import Mosquitto
from tests.support.office import Office
from tests.support.recipients import Parties, parties
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ACL = (Path(__file__).parents[2] / "config" / "broker" / "acl").read_text()
CROWD = ("--simulate", "20", "--speed", "600")
UNIT = Path(__file__).parents[2] / "systemd" / "edge-scanner.service"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """The central broker with the shipped rules."""
    with Mosquitto(tmp_path_factory.mktemp("broker"), listen="mutual", acl=ACL) as running:
        yield running


async def tell(broker: Mosquitto, client: str, topic: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish as a client of the centre."""
    async with open_broker(broker.settings(client=client), client_id=client) as centre:
        await centre.connected()
        await centre.publish(
            Message(
                kind=MessageKind.STATUS, topic=topic, payload=payload, key="x", retain=retain, created_s=time.time()
            )
        )


def newer(who: Parties, version: int) -> bytes:
    """The same keys in a set with another version."""
    return recipients.sign(replace(who.recipients, version=version), [who.root, who.custodian_root])


def test_every_exit_code_says_whether_a_restart_or_time_mends_it() -> None:
    """Only what a person must type keeps systemd from starting the box again; a new code must be put in this table."""
    mended_by = {
        70: "restart",  # a mistake of ours: the next run has another hour
        65: "time",  # a document from outside is replaced by a better one
        69: "time",  # adapter, bus or broker comes back
        74: "time",  # space is freed, a mount comes back
        75: "restart",  # a damaged database is set aside; a store that could not be opened can be
        77: "time",
        78: "a person",  # the settings
    }

    def leaves(kind: type[EdgeScannerError]) -> Iterator[type[EdgeScannerError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from leaves(child)

    assert {kind.exit_code for kind in leaves(EdgeScannerError)} == set(mended_by)
    prevented = next(line for line in UNIT.read_text().splitlines() if line.startswith("RestartPreventExitStatus="))
    assert prevented == "RestartPreventExitStatus=78"
    assert [code for code, cure in mended_by.items() if cure == "a person"] == [78]


@pytest.mark.system
async def test_ten_bytes_or_a_new_set_on_a_full_disk_end_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    """Junk and a recipient set that cannot be kept end their own handling; the box counts on and heals with space."""
    who = parties(time.time())
    with Box(tmp_path / "box", broker=broker, who=who) as box:
        box.state.mkdir(mode=0o700)
        with tmpfs(box.state, 3):
            box.start(*CROWD)
            box.until("minute committed", times=3)
            ballast = fill(box.state)
            box.until("commit failed, kept in memory")
            await tell(broker, "authority-hcm", answers.request_topic(box.device_id), b"0123456789")
            await tell(broker, "fleet-config", recipient_sets.topic(box.device_id), newer(who, 2), retain=True)
            box.until("received recipient set is not kept")
            assert box.running
            box.until_light("storage", ("fail", "STO-02"))
            ballast.unlink()
            committed = len(box.events("minute committed"))
            box.until("minute committed", times=committed + 2)
            assert box.stop() == 0


def fill_trail(box: Box) -> int:
    """Orders of long ago, as many as the trail of a box that answers one a day has room for."""
    entry = answers.pack_audit(
        AuditRecord(action=AuditAction.REQUEST, at_s=1_600_000_000, device=box.device_id, request=bytes(32))
    )
    digest, rows = bytes(32), []
    for number in range(trail_room(1)):
        digest = audit_digest(digest, entry)
        rows.append((number, entry, digest))
    connection = sqlite3.connect(box.database)
    with connection:
        connection.executemany("INSERT INTO audit(number, entry, digest) VALUES (?, ?, ?)", rows)
    connection.close()
    return len(rows)


async def test_an_order_or_a_new_set_on_a_full_trail_ends_nothing(tmp_path: Path, broker: Mosquitto) -> None:
    """What cannot be entered is not done, and only that: the box seals to the set it has, now and after a restart."""
    who = parties(time.time())
    office = Office(time.time())
    people = [office.person(role, name, root=who.root) for role, name in ((HEALTH_OFFICER, "An"), (APPROVER, "Bình"))]
    with Box(tmp_path / "box", broker=broker, who=who, extra="[pull]\nrequests_per_day = 1\n") as box:
        box.start(*CROWD)
        box.until("minute committed")
        topic = answers.request_topic(box.device_id)
        await eventually(lambda: f"{box.device_id} 1 {topic}" in broker.log.read_text())
        assert box.stop() == 0
        entries = fill_trail(box)
        box.start(*CROWD)
        box.until_light("log", ("warn", "LOG-09"))
        await tell(broker, "authority-hcm", topic, office.signed(office.request(box.device_id), *people))
        (failure,) = box.until("message from the centre could not be handled")
        assert "the audit trail is full" in failure["reason"]
        await tell(broker, "fleet-config", recipient_sets.topic(box.device_id), newer(who, 2), retain=True)
        box.until("received recipient set is not kept")
        box.until("minute committed", times=len(box.events("minute committed")) + 2)
        assert box.stop() == 0
        ups, committed = len(box.events("box is up")), len(box.events("minute committed"))
        box.start(*CROWD)
        assert box.until("box is up", times=ups + 1)[-1]["sealing"]
        box.until("minute committed", times=committed + 2)
        assert box.stop() == 0
        assert box.rows("SELECT count(*) FROM audit") == [(entries,)]
        verdict = json.loads(box.command("log", "verify", "--json").stdout)

    assert verdict["holds"]


@pytest.mark.system
def test_a_start_on_a_full_disk_records_when_there_is_space(tmp_path: Path) -> None:
    """A box that starts on a full disk hears and shows a red light; when space is freed its minutes are committed."""
    with Box(tmp_path / "box") as box:
        box.state.mkdir(mode=0o700)
        with tmpfs(box.state, 3):
            box.start(*CROWD)
            box.until("minute committed", times=3)
            ballast = fill(box.state)
            box.until("commit failed, kept in memory")
            box.kill()
            (box.runtime / "snapshot.json").unlink()
            committed = len(box.events("minute committed"))
            box.start(*CROWD)
            box.until_light("storage", ("fail", "STO-02"))
            ballast.unlink()
            box.until("minute committed", times=committed + 2)
            assert box.stop() == 0


def test_a_start_on_a_read_only_disk_hears_and_waits(tmp_path: Path) -> None:
    """The same on a disk that was mounted read-only: lights, no crash loop, and a new run when it can be written."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed")
        box.stop()
        with read_only(box.state):
            box.start(*CROWD)
            box.until_light("storage", ("fail", "STO-03"))
        assert box.wait() == 75


@pytest.mark.system
def test_a_stop_on_a_full_disk_tells_what_is_lost(tmp_path: Path) -> None:
    """What waited in memory is one line with its number, and the exit code says that it is lost."""
    with Box(tmp_path / "box") as box:
        box.state.mkdir(mode=0o700)
        with tmpfs(box.state, 3):
            box.start(*CROWD)
            box.until("minute committed", times=3)
            fill(box.state)
            box.until("commit failed, kept in memory")
            time.sleep(2)
            assert box.stop() == 74
            said = box.journal.read_text().splitlines()[-1]

    assert "waited for the disk and are lost" in said


@pytest.mark.parametrize("how", ["missing", "full"])
@pytest.mark.system
def test_no_room_for_the_screen_stops_nothing(tmp_path: Path, how: str) -> None:
    """A runtime folder that is full or not there costs the page, in one line; minutes are recorded."""
    with Box(tmp_path / "box") as box:
        if how == "missing":
            box.runtime.rmdir()
            box.start(*CROWD)
            said = box.until("snapshot cannot be written")
            box.until("minute committed", times=8)
        else:
            with tmpfs(box.runtime, 1):
                fill(box.runtime)
                box.start(*CROWD)
                said = box.until("snapshot cannot be written")
                box.until("minute committed", times=8)
        assert len(said) == 1
        assert box.stop() == 0


@pytest.mark.system
@pytest.mark.parametrize("disk", [tmpfs, overlay])
def test_state_that_a_restart_forgets_is_red(
    tmp_path: Path, disk: Callable[[Path, int], AbstractContextManager[None]]
) -> None:
    """A state folder in memory or on an overlay: the running box says so, before anybody asks the doctor."""
    with Box(tmp_path / "box") as box:
        box.state.mkdir(mode=0o700)
        with disk(box.state, 8):
            box.start(DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={tmp_path}/nobody")
            box.until_light("storage", ("fail", "STO-04"))
            assert box.stop() == 0


@pytest.mark.parametrize("name", ["certificate", "key", "ca"])
def test_a_damaged_tls_file_is_a_light(tmp_path: Path, broker: Mosquitto, name: str) -> None:
    """Certificate, key or CA of the broker damaged at the start: the box records and says BRK-13."""
    with Box(tmp_path / "box", broker=broker) as box:
        text = box.config.read_text()
        path = Path(next(line.split('"')[1] for line in text.splitlines() if line.startswith(f"{name} = ")))
        damaged = tmp_path / "damaged.pem"
        damaged.write_bytes(path.read_bytes()[:40])
        damaged.chmod(0o600)
        box.config.write_text(text.replace(str(path), str(damaged)))
        box.start(*CROWD)
        box.until("minute committed", times=2)
        box.until_light("broker", ("warn", "BRK-13"))
        assert box.until("broker")[-1]["code"] == "BRK-13"
        assert box.stop() == 0


@pytest.mark.parametrize("name", ["recipients.json", "authority-root.pem", "custodian-root.pem"])
def test_a_damaged_file_of_the_authority_is_a_light(tmp_path: Path, name: str) -> None:
    """A recipient set or a root key damaged at the start: the box counts, seals nothing, and says LOG-06."""
    with Box(tmp_path / "box") as box:
        (box.folder / name).write_bytes(b"torn")
        box.start(*CROWD)
        box.until_light("log", ("fail", "LOG-06"))
        box.until("minute committed", times=2)
        assert box.stop() == 0


@pytest.mark.parametrize("what", ["endless", "pipe"])
@pytest.mark.parametrize("name", ["recipients.json", "authority-root.pem", "identity.key"])
def test_a_file_without_end_is_a_light(tmp_path: Path, name: str, what: str) -> None:
    """A damaged directory entry: a file of a terabyte, or one that nobody writes to. It is not read, nor waited for."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed", times=1)
        box.stop()
        path = (box.state if name == "identity.key" else box.folder) / name
        without_end(path, what)
        box.start(*CROWD)
        box.until_light("log", ("fail", "SEC-02" if name == "identity.key" else "LOG-06"))
        box.until("minute committed", times=2)
        assert box.stop() == 0


def test_a_lost_identity_key_is_an_alarm_and_no_second_identity(tmp_path: Path) -> None:
    """The key is gone: the box counts, seals nothing, says SEC-02, and makes no key that nobody knows."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed", times=2)
        box.stop()
        (box.state / "identity.key").unlink()
        box.start(*CROWD)
        box.until_light("log", ("fail", "SEC-02"))
        assert not (box.state / "identity.key").exists()
        assert box.stop() == 0


@pytest.mark.system
async def test_power_cut_after_a_new_set_leaves_a_box_that_seals(tmp_path: Path, broker: Mosquitto) -> None:
    """The card as it is the moment a recipient set was taken: the next start seals to that set."""
    who = parties(time.time())
    with Box(tmp_path / "box", broker=broker, who=who) as box:
        box.state.mkdir(mode=0o700)
        with disk_image(tmp_path / "card.img", box.state, megabytes=24):
            box.start(*CROWD)
            box.until("minute committed")
            await tell(broker, "fleet-config", recipient_sets.topic(box.device_id), newer(who, 2), retain=True)
            box.until("recipient set received")
            shutil.copy(tmp_path / "card.img", tmp_path / "cut.img")
            box.kill()
        with when_power_returns(tmp_path / "cut.img", box.state):
            found = recipients.verify((box.state / "recipients.json").read_bytes(), who.roots)
            assert found.version == 2
            box.start(*CROWD)
            box.until("minute committed", times=len(box.events("minute committed")) + 2)
            assert box.events("box is up")[-1]["sealing"]
            assert box.stop() == 0


async def test_an_older_set_on_the_card_waits_for_the_newer_one(tmp_path: Path, broker: Mosquitto) -> None:
    """A card with an older set than was in force: the box counts and seals nothing, until the newer set comes."""
    who = parties(time.time())
    topic = ""
    with Box(tmp_path / "box", broker=broker, who=who) as box:
        topic = recipient_sets.topic(box.device_id)
        box.start(*CROWD)
        box.until("minute committed")
        box.stop()
        connection = sqlite3.connect(box.database)
        connection.execute("UPDATE meta SET value = 2 WHERE name = 'recipients_version'")
        connection.commit()
        connection.close()
        box.start(*CROWD)
        box.until_light("log", ("fail", "LOG-08"))
        await tell(broker, "fleet-config", topic, newer(who, 2), retain=True)
        box.until("recipient set received")
        box.until_light("log", ("ok", ""))
        box.until("minute committed", times=len(box.events("minute committed")) + 2)
        assert box.stop() == 0
        verdict = json.loads(box.command("log", "verify", "--json").stdout)

    assert verdict["holds"]


def test_runs_that_die_young_leave_no_rows(tmp_path: Path) -> None:
    """Ten runs that crash before their first minute leave no boot record, segment, frame or message behind."""
    with Box(tmp_path / "box") as box:
        box.start(*CROWD)
        box.until("minute committed", times=2)
        box.stop()
        tables = ("boot", "segment", "leaf", "frame", "outbox")
        before = [box.rows(f"SELECT count(*) FROM {table}") for table in tables]
        crash = (
            "import asyncio, sys\n"
            "from pathlib import Path\n"
            "from edge_scanner.device import settings\nfrom edge_scanner.device.daemon import daemon, parts\n"
            "async def hear(*_): raise ValueError('a mistake')\n"
            "parts.hear = hear\n"
            "sys.exit(daemon.main(settings.load(Path(sys.argv[1])), parts.Simulation(phones=20, speed=1.0)))\n"
        )
        for _ in range(10):
            ended = subprocess.run(
                [sys.executable, "-c", crash, str(box.config)], capture_output=True, check=False, timeout=PATIENCE_S
            )
            assert ended.returncode == 70, ended.stderr
        assert [box.rows(f"SELECT count(*) FROM {table}") for table in tables] == before
