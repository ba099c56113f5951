"""The doctor on boxes with one fault each: the right code for it, told apart from its neighbours."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.core.diagnostics import advice
from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.enrolment.documents import public_text
from edge_scanner.core.model import ClockQuality, Message, MessageKind
from edge_scanner.device import settings
from edge_scanner.device.commands.doctor import render_json, show
from edge_scanner.device.doctor import broker as broker_checks
from edge_scanner.device.doctor import doctor, machine
from edge_scanner.device.doctor import log as log_checks
from edge_scanner.device.doctor import radio as radio_checks
from edge_scanner.device.doctor.location import Place
from edge_scanner.device.enrolment.identity import open_key
from edge_scanner.device.parts import BEAT_S, broker_settings
from edge_scanner.device.storage.store import open_store
from edge_scanner.mqtt.broker import open_broker
from tests.support import batches
from tests.support.bluez import StandIn
from tests.support.box import Box
from tests.support.dbus import private_bus
from tests.support.disks import fill, tmpfs
from tests.support.mosquitto import Mosquitto
from tests.support.recipients import parties
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.dbus import PrivateBus

DAY = dt.timedelta(days=1)
ACL = (Path(__file__).parents[4] / "config" / "broker" / "acl").read_text()
PHONE = "4A:11:22:33:44:55"
GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"


@pytest.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    """A private bus that bleak takes for the system's."""
    async with private_bus(tmp_path, monkeypatch) as private:
        yield private


def _place(box: Box, **changes: Any) -> Place:
    box.state.mkdir(mode=0o700, exist_ok=True)
    place = Place(settings=settings.load(box.config), run=box.runtime, listen_s=1.0, quality=lambda: ClockQuality.NTP)
    return replace(place, **changes)


def _one(findings: tuple[Finding, ...], check: str) -> tuple[str, str]:
    (found,) = [finding for finding in findings if finding.check == check]
    return str(found.verdict), found.code


async def test_a_good_way_to_the_broker(tmp_path: Path) -> None:
    """Name, TCP, TLS, MQTT and permissions pass on a broker with the shipped ACL."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        found = await broker_checks.broker(_place(Box(tmp_path / "box", broker=centre)))

    assert [(finding.check, finding.verdict) for finding in found] == [
        (check, Verdict.PASS) for check in ("dns", "tcp", "tls", "mqtt", "acl")
    ]


@pytest.mark.parametrize(
    ("server", "quality", "broker_code", "clock"),
    [
        ({"valid_from": DAY, "valid_to": 2 * DAY}, ClockQuality.NONE, "BRK-04", ("FAIL", "CLK-03")),
        ({"valid_from": -2 * DAY, "valid_to": -DAY}, ClockQuality.NONE, "BRK-05", ("FAIL", "CLK-04")),
        ({"valid_from": -2 * DAY, "valid_to": -DAY}, ClockQuality.NTP, "BRK-05", ("PASS", "")),
    ],
    ids=["behind", "ahead", "really expired"],
)
async def test_a_slow_and_a_fast_clock_are_told_apart(
    tmp_path: Path, server: dict[str, Any], quality: ClockQuality, broker_code: str, clock: tuple[str, str]
) -> None:
    """A certificate of tomorrow means that we are behind; one of yesterday that we are ahead, unless NTP keeps us."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL, server=server) as centre:
        place = _place(Box(tmp_path / "box", broker=centre), quality=lambda: quality)
        way = await broker_checks.broker(place)

        assert _one(way, "tls") == ("FAIL", broker_code)
        assert _one((await log_checks.clock(place, broker_checks.trouble_of(way)),), "clock") == clock


async def test_a_clock_behind_shows_without_a_network(tmp_path: Path) -> None:
    """A certificate that begins tomorrow, or a log with later records, says that the clock is behind."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
    place = _place(box, now=lambda: time.time() - 3 * 86400)

    assert _one((await log_checks.clock(place, ""),), "clock") == ("FAIL", "CLK-03")

    async with open_store(box.database) as store:
        await store.commit(batches.batch(range(120)))
    bare = replace(
        place, settings=replace(place.settings, mqtt=settings.Mqtt(certificate="/nonexistent")), now=lambda: -86400.0
    )
    assert _one((await log_checks.clock(bare, ""),), "clock") == ("FAIL", "CLK-03")


@pytest.mark.parametrize(("quality", "code"), [(ClockQuality.RTC, "CLK-01"), (ClockQuality.NONE, "CLK-02")])
async def test_an_unconfirmed_clock_is_a_warning(tmp_path: Path, quality: ClockQuality, code: str) -> None:
    """Nothing contradicts the clock, but nobody confirms it."""
    place = _place(Box(tmp_path), quality=lambda: quality)

    assert _one((await log_checks.clock(place, ""),), "clock") == ("WARN", code)


async def test_each_hop_to_the_broker_has_its_code(tmp_path: Path) -> None:
    """No such name, nobody listening, a foreign CA, a certificate that the broker does not know."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        place = _place(Box(tmp_path / "box", broker=centre))
        mqtt = place.settings.mqtt
        (tmp_path / "other").mkdir()
        foreign = Mosquitto(tmp_path / "other", listen="mutual", start=False)
        stranger = foreign.authority.issue("K7MP2R9CX4")

        async def codes(**changes: Any) -> list[tuple[str, str]]:
            moved = replace(place, settings=replace(place.settings, mqtt=replace(mqtt, **changes)))
            found = await broker_checks.broker(moved)
            return [(finding.check, finding.code) for finding in found if finding.verdict is Verdict.FAIL]

        assert await codes(host="no-such-name.invalid") == [("dns", "BRK-01")]
        assert await codes(port=1) == [("tcp", "BRK-02")]
        assert await codes(ca=str(foreign.authority.file)) == [("tls", "BRK-03")]
        assert await codes(certificate=str(stranger.certificate), key=str(stranger.key)) == [("tls", "BRK-06")]
        assert await codes(certificate="/nonexistent") == [("tls", "BRK-13")]
    assert await codes(host="") == []


async def test_permissions_are_probed_by_their_effect(tmp_path: Path) -> None:
    """A broker that refuses our own topic and one that lets us speak as another box are told apart."""
    with Mosquitto(tmp_path, listen="mutual", acl="pattern read edge-scanner/v1/d/%u/down/#\n") as centre:
        place = _place(Box(tmp_path / "box", broker=centre))
        assert _one(await broker_checks.broker(place), "acl") == ("FAIL", "BRK-20")

        centre.set_acl("pattern readwrite #\n")
        assert _one(await broker_checks.broker(place), "acl") == ("FAIL", "BRK-21")

        for without in ("pattern read edge-scanner/v1/d/%u/down/#", "pattern write edge-scanner/v1/d/%u/down/probe"):
            centre.set_acl(ACL.replace(f"{without}\n", ""))
            assert _one(await broker_checks.broker(place), "acl") == ("FAIL", "BRK-22")


async def test_an_old_protocol_is_no_accusation(tmp_path: Path) -> None:
    """MQTT 3.1.1 swallows what is forbidden: the loop-back is heard, and of the rest the doctor says nothing."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        place = _place(Box(tmp_path / "box", broker=centre))
        mqtt = replace(place.settings.mqtt, protocol="3.1.1")
        found = await broker_checks.broker(replace(place, settings=replace(place.settings, mqtt=mqtt)))

    assert _one(found, "acl") == ("SKIP", "")


async def test_the_loop_back_takes_no_order_from_the_scanner(tmp_path: Path) -> None:
    """A signed order waits at the broker for a box that is off: the doctor's probe leaves it there."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        place, link = _place(box), broker_settings(settings.load(box.config).mqtt)
        order = Message(
            kind=MessageKind.STATUS,
            topic=f"edge-scanner/v1/d/{box.device_id}/down/cfg",
            payload=b"an order",
            key="order",
            created_s=0.0,
        )
        async with open_broker(link, client_id=box.device_id) as scanner:
            await scanner.connected()
            await scanner.subscribe(order.topic)
        async with open_broker(centre.settings(client="fleet-config"), client_id="fleet-config") as headquarters:
            await headquarters.connected()
            assert await headquarters.publish(order) == 0

        assert _one(await broker_checks.broker(place), "acl") == ("PASS", "")

        async with open_broker(link, client_id=box.device_id) as scanner, asyncio.timeout(PATIENCE_S):
            assert (await anext(scanner.messages())).payload == order.payload


async def test_a_connected_scanner_is_not_thrown_off(tmp_path: Path) -> None:
    """While the running scanner says that it is connected, the doctor does not take its client id."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        place = _place(box)
        snapshot = box.runtime / "snapshot.json"
        snapshot.write_text('{"health": {"lights": {"broker": {"light": "ok"}}}}')
        connections = (tmp_path / "mosquitto.log").read_text().count("New client connected")

        found = await broker_checks.broker(place)

        assert _one(found, "mqtt") == ("PASS", "")
        assert _one(found, "acl") == ("SKIP", "")
        assert (tmp_path / "mosquitto.log").read_text().count("New client connected") == connections
        os.utime(snapshot, (time.time() - 600, time.time() - 600))
        assert _one(await broker_checks.broker(place), "acl") == ("PASS", "")


async def test_a_scanner_that_has_just_begun_is_given_a_beat(tmp_path: Path) -> None:
    """Its first snapshot was written before it was connected, and it says so with the next one: nothing is probed."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        snapshot, words = box.runtime / "snapshot.json", '{"health": {"lights": {"broker": {"light": "%s"}}}}'
        snapshot.write_text(words % "bad")
        looking = asyncio.create_task(broker_checks.broker(_place(box)))
        await asyncio.sleep(BEAT_S)
        snapshot.write_text(words % "ok")

        assert _one(await looking, "acl") == ("SKIP", "")
        assert "New client connected" not in (tmp_path / "mosquitto.log").read_text()


async def test_the_certificate_must_be_ours_and_live(tmp_path: Path) -> None:
    """Another box's name, another key, the end near and past, and a bootstrap certificate: each its code."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        place = _place(box)
        mqtt = place.settings.mqtt

        def code(name: str, *, now_s: float = 0.0, **issue: Any) -> tuple[str, str]:
            files = centre.authority.issue(name, **issue)
            changed = replace(mqtt, certificate=str(files.certificate), key=str(files.key))
            moved = replace(place, settings=replace(place.settings, mqtt=changed), now=lambda: time.time() + now_s)
            return _one((log_checks.certificate(moved),), "certificate")

        assert code(box.device_id, valid_to=100 * DAY) == ("PASS", "")
        assert code(box.device_id, valid_to=10 * DAY) == ("WARN", "CRT-01")
        assert code(box.device_id, now_s=2 * 86400) == ("FAIL", "CRT-02")
        assert code(f"boot-{box.device_id}", valid_to=90 * DAY) == ("WARN", "CRT-03")
        assert code("04HMASW9Z6") == ("FAIL", "CRT-04")
        other = replace(mqtt, key=str(centre.authority.issue("x").key))
        moved = replace(place, settings=replace(place.settings, mqtt=other))
        assert _one((log_checks.certificate(moved),), "certificate") == ("FAIL", "CRT-04")


async def test_the_recipient_set_must_be_signed_and_current(tmp_path: Path) -> None:
    """Missing, forged, not yet valid, ending and ended: each its code."""
    box = Box(tmp_path, who=parties(time.time(), days=84))
    place = _place(box)
    document = tmp_path / "recipients.json"

    def code(**changes: Any) -> tuple[str, str]:
        return _one((log_checks.recipients(replace(place, **changes)),), "recipients")

    assert code() == ("PASS", "")
    assert code(now=lambda: time.time() - 5 * 86400) == ("FAIL", "LOG-03")
    assert code(now=lambda: time.time() + 75 * 86400) == ("WARN", "LOG-05")
    assert code(now=lambda: time.time() + 200 * 86400) == ("FAIL", "LOG-02")
    document.write_bytes(parties(time.time()).document)
    assert code() == ("FAIL", "LOG-06")
    document.unlink()
    assert code() == ("FAIL", "LOG-01")


async def test_retention_is_checked_by_what_is_there(tmp_path: Path) -> None:
    """An oldest record of fourteen days passes, one of sixteen does not."""
    box = Box(tmp_path)
    place = _place(box)
    async with open_store(box.database) as store:
        await store.commit(batches.batch(range(60)))

    assert _one((await log_checks.retention(replace(place, now=lambda: 14.5 * 86400)),), "retention") == ("PASS", "")
    assert _one((await log_checks.retention(replace(place, now=lambda: 16.0 * 86400)),), "retention") == (
        "FAIL",
        "LOG-07",
    )


def test_a_readable_key_is_named(tmp_path: Path) -> None:
    """The line says which file; a closed folder with closed keys passes."""
    place = _place(Box(tmp_path))
    key = place.state / "identity.key"
    key.touch(mode=0o600)
    assert machine.secrets(place).verdict is Verdict.PASS
    key.chmod(0o640)

    found = machine.secrets(place)

    assert (found.code, str(key) in found.detail) == ("SEC-01", True)


def test_a_key_of_systemds_may_show_its_access_list(tmp_path: Path) -> None:
    """A credential's group bits are its list of one user; what others may read is a fault there, too."""
    box = Box(tmp_path)
    place = _place(box)
    key = tmp_path / "credentials" / "mqtt.key"
    key.parent.mkdir()
    key.touch(mode=0o600)
    given = replace(place.settings, mqtt=replace(place.settings.mqtt, key=str(key)))
    key.chmod(0o440)
    assert machine.secrets(replace(place, settings=given)).verdict is Verdict.PASS
    key.chmod(0o444)

    assert machine.secrets(replace(place, settings=given)).code == "SEC-01"


@pytest.mark.parametrize(
    ("flags", "expected"), [("0\n", ("PASS", "")), ("50005\n", ("FAIL", "PWR-01")), ("50000\n", ("WARN", "PWR-02"))]
)
def test_under_voltage_is_read_from_the_firmware(tmp_path: Path, flags: str, expected: tuple[str, str]) -> None:
    """Now is a fault, earlier is a warning; a machine without the flag is passed over."""
    place = _place(Box(tmp_path / "box"), sys=tmp_path / "sys")
    assert machine.power(place).verdict is Verdict.SKIP
    firmware = tmp_path / "sys" / "devices" / "platform" / "soc" / "soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text(flags)

    assert _one((machine.power(place),), "power") == expected


def test_state_that_a_restart_forgets_is_a_fault(tmp_path: Path) -> None:
    """A state directory in memory, and one that is not there."""
    memory = Path("/dev/shm") / f"doctor-{os.getpid()}"
    memory.mkdir()
    try:
        box = Box(tmp_path)
        device = settings.load(box.config).device
        place = _place(box)
        moved = replace(place, settings=replace(place.settings, device=replace(device, state_dir=str(memory))))
        assert _one((machine.storage(moved),), "storage") == ("FAIL", "STO-04")
    finally:
        memory.rmdir()
    assert _one((machine.storage(moved),), "storage") == ("FAIL", "STO-05")


@pytest.mark.system
def test_a_full_disk_comes_before_all_else(tmp_path: Path) -> None:
    """A state directory without room: the card is to be replaced, whatever else it may be."""
    place = _place(Box(tmp_path / "box"))
    with tmpfs(place.state, 30):
        assert _one((machine.storage(place),), "storage") == ("FAIL", "STO-04")
        fill(place.state)
        assert _one((machine.storage(place),), "storage") == ("FAIL", "STO-02")


async def test_no_bus_no_bluetoothd_no_adapter(tmp_path: Path, bus: PrivateBus) -> None:
    """Each missing layer of Bluetooth has its own code; an adapter that is off or blocked has another."""
    place = _place(Box(tmp_path / "box"), sys=tmp_path / "sys")

    # As a machine without an adapter starts: Debian's bluetooth.service is skipped there.
    (alone,) = await radio_checks.radio(place)
    assert (alone.check, alone.code) == ("adapter", "RAD-06")
    (tmp_path / "sys" / "class" / "bluetooth" / "hci0").mkdir(parents=True)
    assert _one(await radio_checks.radio(place), "bluetoothd") == ("FAIL", "RAD-05")
    async with StandIn(powered=False) as bluez:
        assert _one(await radio_checks.radio(place), "adapter") == ("FAIL", "RAD-06")
        bluez.plug()
        assert _one(await radio_checks.radio(place), "adapter") == ("FAIL", "RAD-10")
        bluez.block()
        assert _one(await radio_checks.radio(place), "adapter") == ("FAIL", "RAD-07")
    bus.stop()
    assert _one(await radio_checks.radio(place), "bluetoothd") == ("FAIL", "RAD-04")
    (tmp_path / "sys" / "class" / "bluetooth" / "hci0").rmdir()
    assert [found.code for found in await radio_checks.radio(place)] == ["RAD-04", "RAD-06"]


async def test_what_is_heard_is_counted(tmp_path: Path, bus: PrivateBus) -> None:
    """Silence is a warning; packets are counted, and no address stands in the line."""
    assert bus.address
    place = _place(Box(tmp_path / "box"))
    async with StandIn() as bluez:
        bluez.plug()
        assert _one(await radio_checks.radio(place), "adverts") == ("WARN", "RAD-03")

        async def talk() -> None:
            while True:
                bluez.advert(PHONE, service_data={GAEN: b"x" * 20})
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(talk())
        found = await radio_checks.radio(replace(place, listen_s=3.0))
        talking.cancel()

    assert _one(found, "adverts") == ("PASS", "")
    assert PHONE not in str(found)


async def test_with_an_adapter_stdout_is_the_answer_alone(tmp_path: Path, bus: PrivateBus) -> None:
    """As a process beside a bluetoothd: what the radio says while the doctor listens is no part of the JSON."""
    assert bus.address
    box = Box(tmp_path / "box")
    box.state.mkdir(mode=0o700)
    async with StandIn() as bluez:
        bluez.plug()
        command = (sys.executable, "-m", "edge_scanner.device.cli", "doctor", "--json", "--config", str(box.config))
        doctoring = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await doctoring.communicate()

    checks = {line["check"] for line in json.loads(output)["findings"]}
    assert {"bluetoothd", "adapter", "adverts"} <= checks


async def test_one_crash_hides_no_other_line(tmp_path: Path) -> None:
    """A check that breaks is a finding of its own; the lines after it are still there."""
    box = Box(tmp_path)
    place = _place(box, quality=lambda: ClockQuality(99))

    found = await doctor.examine(place)

    assert _one(found, "clock") == ("FAIL", "DOC-01")
    assert _one(found, "recipients") == ("PASS", "")


def test_wrong_settings_end_the_check_up(tmp_path: Path) -> None:
    """Without settings there is nothing to look at; the line says which."""
    wrong = tmp_path / "scanner.toml"
    wrong.write_text("[radio]\nmod = 1\n")

    found = doctor.open_place(wrong)

    assert isinstance(found, Finding)
    assert (found.verdict, found.code) == (Verdict.FAIL, "CFG-01")


def test_the_table_and_the_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line has word, code and, where needed, advice; brackets in a fact are not eaten."""
    findings = (
        Finding(check="clock", verdict=Verdict.PASS, detail="kept by NTP"),
        Finding(check="mqtt", verdict=Verdict.WARN, code="BRK-00", detail="no [mqtt] host"),
        Finding(check="storage", verdict=Verdict.FAIL, code="STO-02", detail="0.0 GB free"),
    )
    show(findings, language="vi")
    text = capsys.readouterr().out
    document = json.loads(render_json(findings))

    assert "[PASS] Đồng hồ / Clock" in text
    assert "no [mqtt] host" in text
    assert "→ Thẻ nhớ đầy: xoá bớt tệp lạ, hoặc thay thẻ và giữ thẻ cũ lại." in text
    assert "KHÔNG ĐẠT. Số việc phải sửa: 1." in text
    assert document["exit"] == advice.exit_code(findings) == 2
    assert [line["code"] for line in document["findings"]] == ["", "BRK-00", "STO-02"]
    assert document["findings"][2]["fix_en"].startswith("The card is full")


def test_the_program_exits_with_the_verdict(tmp_path: Path) -> None:
    """As a process: JSON on stdout, and an exit code that a script can use."""
    box = Box(tmp_path)
    box.state.mkdir(mode=0o700)
    code = (
        "from pathlib import Path; from edge_scanner.device.commands.doctor import run_doctor; import sys;"
        f"sys.exit(run_doctor(Path({str(box.config)!r}), as_json=True))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    document = json.loads(done.stdout)
    assert done.returncode == document["exit"]
    assert {line["check"] for line in document["findings"]} >= {"clock", "storage", "recipients", "retention"}


def test_an_identity_that_is_not_the_one_the_bench_named(tmp_path: Path) -> None:
    """Not there yet, there, lost, and another than was named: the last two are an alarm of their own."""
    box = Box(tmp_path / "box")
    place = _place(box)
    assert _one((machine.identity(place),), "identity")[0] == "SKIP"

    key = open_key(box.state)
    named = public_text(key.public_key())
    (box.state / "assignment.json").write_text(json.dumps({"body": {"identity": named}}))
    assert _one((machine.identity(place),), "identity")[0] == "PASS"
    (box.state / "assignment.json").write_text(json.dumps({"body": {"identity": "another"}}))
    assert _one((machine.identity(place),), "identity") == ("FAIL", "SEC-02")
    (box.state / "identity.key").unlink()
    assert _one((machine.identity(place),), "identity") == ("FAIL", "SEC-02")
