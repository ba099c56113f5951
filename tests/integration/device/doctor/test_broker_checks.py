"""The doctor's way to the broker: clock, each hop, permissions, the scanner that is connected, certificate."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_scanner.core.diagnostics.advice import Verdict
from edge_scanner.core.model import ClockQuality, Message, MessageKind
from edge_scanner.device import settings
from edge_scanner.device.daemon.parts import BEAT_S, broker_settings
from edge_scanner.device.doctor import broker as broker_checks
from edge_scanner.device.doctor import doctor
from edge_scanner.device.doctor import log as log_checks
from edge_scanner.device.storage.store import open_store
from edge_scanner.mqtt.broker import open_broker
from tests.support import batches
from tests.support.box import Box
from tests.support.doctor import one, place_of
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S

DAY = dt.timedelta(days=1)


ACL = (Path(__file__).parents[4] / "config" / "broker" / "acl").read_text()


async def test_a_good_way_to_the_broker(tmp_path: Path) -> None:
    """Name, TCP, TLS, MQTT and permissions pass on a broker with the shipped ACL."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        found = await broker_checks.broker(place_of(Box(tmp_path / "box", broker=centre)))

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
        place = place_of(Box(tmp_path / "box", broker=centre), quality=lambda: quality)
        way = await broker_checks.broker(place)

        assert one(way, "tls") == ("FAIL", broker_code)
        assert one((await log_checks.clock(place, broker_checks.trouble_of(way)),), "clock") == clock


async def test_a_clock_behind_shows_without_a_network(tmp_path: Path) -> None:
    """A certificate that begins tomorrow, or a log with later records, says that the clock is behind."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
    place = place_of(box, now=lambda: time.time() - 3 * 86400)

    assert one((await log_checks.clock(place, ""),), "clock") == ("FAIL", "CLK-03")

    async with open_store(box.database) as store:
        await store.commit(batches.batch(range(120)))
    bare = replace(
        place, settings=replace(place.settings, mqtt=settings.Mqtt(certificate="/nonexistent")), now=lambda: -86400.0
    )
    assert one((await log_checks.clock(bare, ""),), "clock") == ("FAIL", "CLK-03")


@pytest.mark.parametrize(("quality", "code"), [(ClockQuality.RTC, "CLK-01"), (ClockQuality.NONE, "CLK-02")])
async def test_an_unconfirmed_clock_is_a_warning(tmp_path: Path, quality: ClockQuality, code: str) -> None:
    """Nothing contradicts the clock, but nobody confirms it."""
    place = place_of(Box(tmp_path), quality=lambda: quality)

    assert one((await log_checks.clock(place, ""),), "clock") == ("WARN", code)


async def test_each_hop_to_the_broker_has_its_code(tmp_path: Path) -> None:
    """No such name, nobody listening, a foreign CA, a certificate that the broker does not know."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        place = place_of(Box(tmp_path / "box", broker=centre))
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


async def test_a_bootstrap_certificate_accuses_nobody(tmp_path: Path) -> None:
    """The central broker refuses every one of them, as it would a revoked certificate: no fault of a new box."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        (tmp_path / "other").mkdir()
        batch = Mosquitto(tmp_path / "other", listen="mutual", start=False)

        async def tls(name: str) -> tuple[str, str]:
            files, place = batch.authority.issue(name), place_of(box)
            mqtt = replace(place.settings.mqtt, certificate=str(files.certificate), key=str(files.key))
            return one(await doctor.examine(replace(place, settings=replace(place.settings, mqtt=mqtt))), "tls")

        assert await tls(f"boot-{box.device_id}") == ("SKIP", "")
        assert await tls(box.device_id) == ("FAIL", "BRK-06")


async def test_a_bench_has_no_network_and_that_is_no_fault(tmp_path: Path) -> None:
    """On installation day an unknown name is no finding; on the wall it is."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        place = place_of(Box(tmp_path / "box", broker=centre))
        far = replace(place.settings, mqtt=replace(place.settings.mqtt, host="no-such-name.invalid"))
        for at_bench, expected in ((True, ("SKIP", "")), (False, ("FAIL", "BRK-01"))):
            found = await doctor.examine(replace(place, settings=far, at_bench=at_bench))
            assert one(found, "dns") == expected


async def test_permissions_are_probed_by_their_effect(tmp_path: Path) -> None:
    """A broker that refuses our own topic and one that lets us speak as another box are told apart."""
    with Mosquitto(tmp_path, listen="mutual", acl="pattern read edge-scanner/v1/d/%u/down/#\n") as centre:
        place = place_of(Box(tmp_path / "box", broker=centre))
        assert one(await broker_checks.broker(place), "acl") == ("FAIL", "BRK-20")

        centre.set_acl("pattern readwrite #\n")
        assert one(await broker_checks.broker(place), "acl") == ("FAIL", "BRK-21")

        for without in ("pattern read edge-scanner/v1/d/%u/down/#", "pattern write edge-scanner/v1/d/%u/down/probe"):
            centre.set_acl(ACL.replace(f"{without}\n", ""))
            assert one(await broker_checks.broker(place), "acl") == ("FAIL", "BRK-22")


async def test_an_old_protocol_is_no_accusation(tmp_path: Path) -> None:
    """MQTT 3.1.1 swallows what is forbidden: the loop-back is heard, and of the rest the doctor says nothing."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        place = place_of(Box(tmp_path / "box", broker=centre))
        mqtt = replace(place.settings.mqtt, protocol="3.1.1")
        found = await broker_checks.broker(replace(place, settings=replace(place.settings, mqtt=mqtt)))

    assert one(found, "acl") == ("SKIP", "")


async def test_the_loop_back_takes_no_order_from_the_scanner(tmp_path: Path) -> None:
    """A signed order waits at the broker for a box that is off: the doctor's probe leaves it there."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        place, link = place_of(box), broker_settings(settings.load(box.config).mqtt)
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

        assert one(await broker_checks.broker(place), "acl") == ("PASS", "")

        async with open_broker(link, client_id=box.device_id) as scanner, asyncio.timeout(PATIENCE_S):
            assert (await anext(scanner.messages())).payload == order.payload


async def test_a_connected_scanner_is_not_thrown_off(tmp_path: Path) -> None:
    """While the running scanner says that it is connected, the doctor does not take its client id."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        place = place_of(box)
        snapshot = box.runtime / "snapshot.json"
        snapshot.write_text('{"health": {"lights": {"broker": {"light": "ok"}}}}')
        connections = (tmp_path / "mosquitto.log").read_text().count("New client connected")

        found = await broker_checks.broker(place)

        assert one(found, "mqtt") == ("PASS", "")
        assert one(found, "acl") == ("SKIP", "")
        assert (tmp_path / "mosquitto.log").read_text().count("New client connected") == connections
        os.utime(snapshot, (time.time() - 600, time.time() - 600))
        assert one(await broker_checks.broker(place), "acl") == ("PASS", "")


async def test_a_scanner_that_has_just_begun_is_given_a_beat(tmp_path: Path) -> None:
    """Its first snapshot was written before it was connected, and it says so with the next one: nothing is probed."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        snapshot, words = box.runtime / "snapshot.json", '{"health": {"lights": {"broker": {"light": "%s"}}}}'
        snapshot.write_text(words % "bad")
        looking = asyncio.create_task(broker_checks.broker(place_of(box)))
        await asyncio.sleep(BEAT_S)
        snapshot.write_text(words % "ok")

        assert one(await looking, "acl") == ("SKIP", "")
        assert "New client connected" not in (tmp_path / "mosquitto.log").read_text()


async def test_the_certificate_must_be_ours_and_live(tmp_path: Path) -> None:
    """Another box's name or none, another key, the end near and past, and a bootstrap certificate: each its code."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL) as centre:
        box = Box(tmp_path / "box", broker=centre)
        place = place_of(box)
        mqtt = place.settings.mqtt

        def code(name: str, *, now_s: float = 0.0, **issue: Any) -> tuple[str, str]:
            files = centre.authority.issue(name, **issue)
            changed = replace(mqtt, certificate=str(files.certificate), key=str(files.key))
            moved = replace(place, settings=replace(place.settings, mqtt=changed), now=lambda: time.time() + now_s)
            return one((log_checks.certificate(moved),), "certificate")

        assert code(box.device_id, valid_to=100 * DAY) == ("PASS", "")
        assert code(box.device_id, valid_to=10 * DAY) == ("WARN", "CRT-01")
        assert code(box.device_id, now_s=2 * 86400) == ("FAIL", "CRT-02")
        assert code(f"boot-{box.device_id}", valid_to=90 * DAY) == ("WARN", "CRT-03")
        assert code("04HMASW9Z6") == ("FAIL", "CRT-04")
        assert code("") == ("FAIL", "CRT-04")
        other = replace(mqtt, key=str(centre.authority.issue("x").key))
        moved = replace(place, settings=replace(place.settings, mqtt=other))
        assert one((log_checks.certificate(moved),), "certificate") == ("FAIL", "CRT-04")
