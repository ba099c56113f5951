"""The venue's own broker: a real mosquitto with a password or TLS, a real box, and brokers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import jsonschema
import pytest

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import settings
from edge_scanner.device.daemon import local_mqtt
from edge_scanner.device.daemon.local_mqtt import publisher
from edge_scanner.mqtt.broker import Trouble, open_broker
from tests.support import snapshots
from tests.support.box import Box
from tests.support.box_client import impatient
from tests.support.home_assistant import DEVICE_DISCOVERY
from tests.support.mosquitto import PASSWORD, USER, Mosquitto
from tests.support.ports import free_port
from tests.support.snapshots import VENUE
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edge_scanner.core.snapshot import Snapshot
    from edge_scanner.device.settings import LocalMqtt

quick = pytest.fixture(autouse=True)(impatient)
SCHEMA = json.loads(files("edge_scanner.schemas").joinpath("local-state.schema.json").read_text(encoding="utf-8"))
BASE = f"edge-scanner/v1/local/{VENUE.device}"
CONFIG = f"homeassistant/device/edge-scanner-{VENUE.device}/config"


def local(broker: Mosquitto, listen: str) -> LocalMqtt:
    """The settings with which a box reaches this broker."""
    return settings.LocalMqtt(
        host="127.0.0.1",
        port=broker.port,
        tls=listen == "tls",
        ca=str(broker.authority.file),
        username=USER if listen == "password" else "",
        password_file=str(broker.folder / "password") if listen == "password" else "",
    )


@contextlib.asynccontextmanager
async def reader(broker: Mosquitto) -> AsyncIterator[dict[str, list[bytes]]]:
    """What a house system hears of everything, by topic."""
    heard: dict[str, list[bytes]] = {}
    async with open_broker(broker.settings(), client_id="house", session_s=0) as link:
        await link.connected()
        await link.subscribe("#")

        async def read() -> None:
            async for message in link.messages():
                heard.setdefault(message.topic, []).append(message.payload)

        task = asyncio.create_task(read())
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.wait([task])


@contextlib.asynccontextmanager
async def publishing(where: LocalMqtt, snapshot: list[Snapshot]) -> AsyncIterator[asyncio.Task[None]]:
    """The side task, telling the last of these snapshots."""
    work = publisher(where, device=VENUE.device, latest=lambda: snapshot[-1] if snapshot else None, now=time.time)
    task = asyncio.ensure_future(work())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("listen", ["open", "password", "tls"])
async def test_a_house_system_finds_the_box(tmp_path: Path, listen: Literal["open", "password", "tls"]) -> None:
    """Discovery, availability and state come over a password and over TLS; when the box goes, the broker says so."""
    with Mosquitto(tmp_path, listen=listen) as broker:
        async with reader(broker) as heard:
            async with publishing(local(broker, listen), [snapshots.snapshot()]):
                await eventually(lambda: f"{BASE}/state" in heard and CONFIG in heard)
                jsonschema.validate(json.loads(heard[CONFIG][-1]), DEVICE_DISCOVERY)
                jsonschema.validate(json.loads(heard[f"{BASE}/state"][-1]), SCHEMA)
                assert heard[f"{BASE}/availability"] == [b"online"]
            await eventually(lambda: heard[f"{BASE}/availability"][-1] == b"offline")
        assert set(heard) == {CONFIG, f"{BASE}/state", f"{BASE}/availability"}


async def test_a_change_is_told_and_a_broker_that_was_away_gets_everything_again(tmp_path: Path) -> None:
    """A new word goes out at once; after a restart that forgot the retained messages all three are there."""
    told = [snapshots.snapshot()]
    with Mosquitto(tmp_path) as broker:
        async with publishing(local(broker, "open"), told):
            async with reader(broker) as heard:
                await eventually(lambda: f"{BASE}/state" in heard)
                told.append(snapshots.snapshot(reports=[]))
                await eventually(lambda: json.loads(heard[f"{BASE}/state"][-1])["level"] is None)
                told.append(replace(told[0], venue=replace(VENUE, name_en="Gate 4")))
                await eventually(lambda: json.loads(heard[CONFIG][-1])["device"]["name"] == "Gate 4")
            broker.restart()
            async with reader(broker) as heard:
                await eventually(lambda: {CONFIG, f"{BASE}/state", f"{BASE}/availability"} <= set(heard))


async def test_without_a_prefix_there_is_no_discovery(tmp_path: Path) -> None:
    """Whoever has no Home Assistant gets the state alone."""
    with Mosquitto(tmp_path) as broker:
        bare = replace(local(broker, "open"), discovery_prefix="")
        async with reader(broker) as heard, publishing(bare, [snapshots.snapshot()]):
            await eventually(lambda: f"{BASE}/state" in heard)
        assert not any(topic.startswith("homeassistant") for topic in heard)


async def test_a_wrong_password_is_said_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The task neither ends nor prints the password; with the right one it goes on."""
    with Mosquitto(tmp_path, listen="password") as broker:
        (tmp_path / "password").write_text("wrong-one\n")
        async with publishing(local(broker, "password"), [snapshots.snapshot()]) as task:
            said = ""

            def complained() -> bool:
                nonlocal said
                said += "".join(capsys.readouterr())
                return Trouble.NOT_AUTHORISED in said

            await eventually(complained)
            assert "wrong-one" not in said
            assert not task.done()
            (tmp_path / "password").write_text(f"{PASSWORD}\n")
            async with reader(broker) as heard:
                await eventually(lambda: f"{BASE}/state" in heard)


def test_a_box_counts_on_without_its_venues_broker(tmp_path: Path) -> None:
    """A port that nobody answers on is a line in the journal; the box is up and its screen's file is written."""
    extra = f'[local_mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\ntls = false\n'
    with Box(tmp_path, extra=extra) as box:
        box.start("--simulate", "5", "--speed", "60")
        box.until("box is up")
        box.until("the venue's broker")
        assert (box.runtime / "snapshot.json").exists()
        assert box.stop() == 0


def test_a_box_tells_its_venues_broker(tmp_path: Path) -> None:
    """The whole program: what the box says of itself is there, and nothing else is."""
    with Mosquitto(tmp_path) as broker:
        extra = f'[local_mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\ntls = false\n'
        with Box(tmp_path / "box", extra=extra) as box:
            box.start("--simulate", "5", "--speed", "60")
            heard = asyncio.run(_heard(broker, box.device_id))
            assert json.loads(heard["state"][0])["simulated"] is True
            assert box.stop() == 0


async def _heard(broker: Mosquitto, device: str) -> dict[str, list[bytes]]:
    """What the venue's broker was told of one box, by the last word of its topic."""
    async with reader(broker) as heard:
        await eventually(lambda: f"edge-scanner/v1/local/{device}/state" in heard)
        return {topic.rpartition("/")[2]: payloads for topic, payloads in heard.items()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('host = "mqtt://house"', "[local_mqtt] host: 'mqtt://house' is not a name or address"),
        ('host = "house"\nusername = "box"', "[local_mqtt] password_file: missing beside username"),
        ('discovery_prefix = "a/b"', "[local_mqtt] discovery_prefix: expected str matching regex"),
    ],
)
def test_mistakes_in_the_settings(text: str, said: str) -> None:
    """Each is named with its key."""
    with pytest.raises(ConfigurationError) as caught:
        settings.parse(f"[local_mqtt]\n{text}\n".encode(), name="s.toml")
    assert said in str(caught.value)


def test_plain_mqtt_in_the_venue_is_allowed_by_name() -> None:
    """`tls = false` is the venue's choice; the centre's broker has none."""
    found = local_mqtt.broker_settings(settings.LocalMqtt(host="192.168.1.5", tls=False))
    assert found.plain_elsewhere
    assert found.ca is None
