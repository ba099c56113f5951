"""The doctor on boxes with one fault each: the right code for it, told apart from its neighbours."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.core.diagnostics import advice
from edge_scanner.core.diagnostics.advice import FIXES, Finding, Verdict
from edge_scanner.core.enrolment.documents import public_text
from edge_scanner.core.model import ClockQuality
from edge_scanner.device import settings
from edge_scanner.device.commands.doctor import as_document, show
from edge_scanner.device.doctor import doctor, machine
from edge_scanner.device.doctor import log as log_checks
from edge_scanner.device.doctor import radio as radio_checks
from edge_scanner.device.enrolment.identity import open_key
from edge_scanner.device.storage.store import open_store
from tests.support import batches
from tests.support.bluez import StandIn
from tests.support.box import Box
from tests.support.disks import fill, tmpfs
from tests.support.doctor import one, place_of
from tests.support.recipients import parties

if TYPE_CHECKING:
    from tests.support.dbus import PrivateBus


PHONE = "4A:11:22:33:44:55"


GAEN = "0000fd6f-0000-1000-8000-00805f9b34fb"


async def test_the_recipient_set_must_be_signed_and_current(tmp_path: Path) -> None:
    """Missing, forged, not yet valid, ending and ended: each its code."""
    box = Box(tmp_path, who=parties(time.time(), days=84))
    place = place_of(box)
    document = tmp_path / "recipients.json"

    def code(**changes: Any) -> tuple[str, str]:
        return one((log_checks.recipients(replace(place, **changes)),), "recipients")

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
    place = place_of(box)
    async with open_store(box.database) as store:
        await store.commit(batches.batch(range(60)))

    assert one((await log_checks.retention(replace(place, now=lambda: 14.5 * 86400)),), "retention") == ("PASS", "")
    assert one((await log_checks.retention(replace(place, now=lambda: 16.0 * 86400)),), "retention") == (
        "FAIL",
        "LOG-07",
    )


def test_a_readable_key_is_named(tmp_path: Path) -> None:
    """The line says which file; a closed folder with closed keys passes."""
    place = place_of(Box(tmp_path))
    key = place.state / "identity.key"
    key.touch(mode=0o600)
    assert machine.secrets(place).verdict is Verdict.PASS
    key.chmod(0o640)

    found = machine.secrets(place)

    assert (found.code, str(key) in found.detail) == ("SEC-01", True)


def test_the_advice_for_an_open_folder_leaves_the_box_working(tmp_path: Path) -> None:
    """A folder gets 700, not a file's 600, which would lock its owner out; done as advised, the check passes."""
    place = place_of(Box(tmp_path))
    (place.state / "identity.key").touch(mode=0o600)
    place.state.chmod(0o755)

    found = machine.secrets(place)
    mode = re.search("chmod ([0-7]{3})", FIXES[found.code].en)

    assert (found.code, mode and mode[1]) == ("SEC-05", "700")
    assert mode is not None
    place.state.chmod(int(mode[1], 8))
    assert machine.secrets(place).verdict is Verdict.PASS
    assert (place.state / "identity.key").read_bytes() == b""


def test_a_key_of_systemds_may_show_its_access_list(tmp_path: Path) -> None:
    """A credential's group bits are its list of one user; what others may read is a fault there, too."""
    box = Box(tmp_path)
    place = place_of(box)
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
    place = place_of(Box(tmp_path / "box"), sys=tmp_path / "sys")
    assert machine.power(place).verdict is Verdict.SKIP
    firmware = tmp_path / "sys" / "devices" / "platform" / "soc" / "soc:firmware"
    firmware.mkdir(parents=True)
    (firmware / "get_throttled").write_text(flags)

    assert one((machine.power(place),), "power") == expected


def test_state_that_a_restart_forgets_is_a_fault(tmp_path: Path) -> None:
    """A state directory in memory, and one that is not there."""
    memory = Path("/dev/shm") / f"doctor-{os.getpid()}"
    memory.mkdir()
    try:
        box = Box(tmp_path)
        device = settings.load(box.config).device
        place = place_of(box)
        moved = replace(place, settings=replace(place.settings, device=replace(device, state_dir=str(memory))))
        assert one((machine.storage(moved),), "storage") == ("FAIL", "STO-04")
    finally:
        memory.rmdir()
    assert one((machine.storage(moved),), "storage") == ("FAIL", "STO-05")


@pytest.mark.system
def test_a_full_disk_comes_before_all_else(tmp_path: Path) -> None:
    """A state directory without room: the card is to be replaced, whatever else it may be."""
    place = place_of(Box(tmp_path / "box"))
    with tmpfs(place.state, 30):
        assert one((machine.storage(place),), "storage") == ("FAIL", "STO-04")
        fill(place.state)
        assert one((machine.storage(place),), "storage") == ("FAIL", "STO-02")


async def test_no_bus_no_bluetoothd_no_adapter(tmp_path: Path, bus: PrivateBus) -> None:
    """Each missing layer of Bluetooth has its own code; an adapter that is off or blocked has another."""
    place = place_of(Box(tmp_path / "box"), sys=tmp_path / "sys")

    # As a machine without an adapter starts: Debian's bluetooth.service is skipped there.
    (alone,) = await radio_checks.radio(place)
    assert (alone.check, alone.code) == ("adapter", "RAD-06")
    (tmp_path / "sys" / "class" / "bluetooth" / "hci0").mkdir(parents=True)
    assert one(await radio_checks.radio(place), "bluetoothd") == ("FAIL", "RAD-05")
    async with StandIn(powered=False) as bluez:
        assert one(await radio_checks.radio(place), "adapter") == ("FAIL", "RAD-06")
        bluez.plug()
        assert one(await radio_checks.radio(place), "adapter") == ("FAIL", "RAD-10")
        bluez.block()
        assert one(await radio_checks.radio(place), "adapter") == ("FAIL", "RAD-07")
    bus.stop()
    assert one(await radio_checks.radio(place), "bluetoothd") == ("FAIL", "RAD-04")
    (tmp_path / "sys" / "class" / "bluetooth" / "hci0").rmdir()
    assert [found.code for found in await radio_checks.radio(place)] == ["RAD-04", "RAD-06"]


async def test_what_is_heard_is_counted(tmp_path: Path, bus: PrivateBus) -> None:
    """Silence is a warning; packets are counted, and no address stands in the line."""
    assert bus.address
    place = place_of(Box(tmp_path / "box"))
    async with StandIn() as bluez:
        bluez.plug()
        assert one(await radio_checks.radio(place), "adverts") == ("WARN", "RAD-03")

        async def talk() -> None:
            while True:
                bluez.advert(PHONE, service_data={GAEN: b"x" * 20})
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(talk())
        found = await radio_checks.radio(replace(place, listen_s=3.0))
        talking.cancel()

    assert one(found, "adverts") == ("PASS", "")
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

    told = {line["check"]: line["detail"] for line in json.loads(output)["findings"]}
    assert {"bluetoothd", "adapter", "adverts"} <= told.keys()
    assert told["adapter"] == "hci0 is on"


async def test_one_crash_hides_no_other_line(tmp_path: Path) -> None:
    """A check that breaks is a finding of its own; the lines after it are still there."""
    box = Box(tmp_path)
    place = place_of(box, quality=lambda: ClockQuality(99))

    found = await doctor.examine(place)

    assert one(found, "clock") == ("FAIL", "DOC-01")
    assert one(found, "recipients") == ("PASS", "")


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
    document = json.loads(json.dumps(as_document(findings)))

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
    place = place_of(box)
    assert one((machine.identity(place),), "identity")[0] == "SKIP"

    key = open_key(box.state)
    named = public_text(key.public_key())
    (box.state / "assignment.json").write_text(json.dumps({"body": {"identity": named}}))
    assert one((machine.identity(place),), "identity")[0] == "PASS"
    (box.state / "assignment.json").write_text(json.dumps({"body": {"identity": "another"}}))
    assert one((machine.identity(place),), "identity") == ("FAIL", "SEC-02")
    (box.state / "identity.key").unlink()
    assert one((machine.identity(place),), "identity") == ("FAIL", "SEC-02")


@pytest.mark.parametrize("what", ["pipe", "endless", "deep"])
def test_a_file_that_is_none_is_not_waited_for(tmp_path: Path, what: str) -> None:
    """A pipe that nobody writes to, a file of a terabyte, lists in lists: the doctor says what it can."""
    box = Box(tmp_path / "box")
    mqtt = settings.Mqtt(host="127.0.0.1", certificate=str(tmp_path / "mqtt.crt"), key=str(tmp_path / "mqtt.key"))
    place = replace(place_of(box), settings=replace(place_of(box).settings, mqtt=mqtt))
    open_key(box.state)
    for path in (box.state / "assignment.json", tmp_path / "mqtt.crt"):
        if what == "pipe":
            os.mkfifo(path)
        elif what == "endless":
            path.touch()
            os.truncate(path, 1 << 40)
        else:
            path.write_bytes(b"[" * 100_000)

    assert one((machine.identity(place),), "identity") == ("PASS", "")
    assert one((log_checks.certificate(place),), "certificate") == ("FAIL", "CRT-00")
