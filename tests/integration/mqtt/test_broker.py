"""Getting in: the MQTT connection against a real mosquitto, its TLS, refusals and old versions."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.mqtt import connection, uplink
from edge_scanner.mqtt.broker import Trouble, open_broker
from tests.support.box_client import BOX, connected, impatient, message
from tests.support.mosquitto import PASSWORD, USER, Authority, Mosquitto
from tests.support.mqtt_proxy import MqttProxy
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_scanner.mqtt.brokerlink import BrokerSettings

quick = pytest.fixture(autouse=True)(impatient)

HOUR = dt.timedelta(hours=1)


async def _trouble(settings: BrokerSettings) -> tuple[Trouble, str]:
    """What a box tells that cannot connect."""
    async with open_broker(settings, client_id=BOX) as box:
        await eventually(lambda: box.state.trouble is not Trouble.NONE)
        assert not box.state.connected
        return box.state.trouble, box.state.detail


@pytest.mark.parametrize("listen", ["open", "password", "tls", "mutual"])
async def test_every_listener(tmp_path: Path, listen: Literal["open", "password", "tls", "mutual"]) -> None:
    """A box connects to each kind of listener with MQTT 5 and is answered."""
    with Mosquitto(tmp_path, listen=listen) as mosquitto:
        async with open_broker(mosquitto.settings(client=BOX), client_id=BOX) as box:
            await connected(box)

            assert await box.publish(message("hello")) == 0x10
            assert (box.state.connected, box.state.protocol, box.state.trouble) == (True, "5", Trouble.NONE)


async def test_wrong_password(tmp_path: Path) -> None:
    """A wrong password is told as such, without the password."""
    with Mosquitto(tmp_path, listen="password") as mosquitto:
        wrong = tmp_path / "wrong"
        wrong.write_text("sai-mat-khau")

        trouble, detail = await _trouble(replace(mosquitto.settings(), password_file=wrong))

    assert trouble is Trouble.NOT_AUTHORISED
    assert not {"sai-mat-khau", PASSWORD, USER} & set(detail.split())


async def test_certificates_that_the_broker_refuses(tmp_path: Path) -> None:
    """No certificate, a foreign one, an expired one: each is told apart by the broker's TLS alert."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    with Mosquitto(tmp_path, listen="mutual") as mosquitto:
        told = {
            "none": await _trouble(mosquitto.settings()),
            "foreign": await _trouble(mosquitto.settings(files=Authority(foreign).issue(BOX))),
            "expired": await _trouble(mosquitto.settings(files=mosquitto.authority.issue(BOX, valid_to=-HOUR))),
        }

    assert told == {
        "none": (Trouble.CERTIFICATE_REFUSED, "the broker refuses our certificate: certificate required"),
        "foreign": (Trouble.CERTIFICATE_REFUSED, "the broker refuses our certificate: unknown ca"),
        "expired": (Trouble.CERTIFICATE_REFUSED, "the broker refuses our certificate: certificate expired"),
    }


async def test_the_alert_is_heard_whatever_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that wants a certificate hangs up before a slow box has sent: its alert is told all the same."""
    paho = connection._Client.__base__
    send: Callable[..., int] = vars(paho)["_sock_send"]

    def late(client: object, buffer: bytes) -> int:
        time.sleep(0.001)
        return send(client, buffer)

    monkeypatch.setattr(paho, "_sock_send", late)
    with Mosquitto(tmp_path, listen="mutual") as mosquitto:
        told = {await _trouble(mosquitto.settings()) for _ in range(20)}

    assert told == {(Trouble.CERTIFICATE_REFUSED, "the broker refuses our certificate: certificate required")}


async def test_broker_that_we_refuse(tmp_path: Path) -> None:
    """A broker of another CA, under another name, expired, or not yet valid gets nothing; each has its reason."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    other = Authority(foreign)
    told = []
    options: dict[str, Any]
    with Mosquitto(tmp_path, listen="tls") as mosquitto:
        told.append((await _trouble(mosquitto.settings(ca=other.file)))[0])
    for options in ({"valid_to": -HOUR}, {"valid_from": HOUR}, {"name": "broker.example"}):
        with Mosquitto(tmp_path, listen="tls", server=options) as mosquitto:
            told.append((await _trouble(mosquitto.settings()))[0])

    assert told == [
        Trouble.BROKER_UNTRUSTED,
        Trouble.BROKER_EXPIRED,
        Trouble.CLOCK_BEHIND,
        Trouble.BROKER_UNTRUSTED,
    ]


async def test_old_tls_is_refused(tmp_path: Path) -> None:
    """A broker that speaks TLS 1.2 at most is not good enough."""

    def shake_hands(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(ssl.SSLError):
                    context.wrap_socket(connection, server_side=True).close()

    with Mosquitto(tmp_path, listen="tls", start=False) as mosquitto:
        files = mosquitto.authority.issue("localhost", server=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(files.certificate, files.key)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            shaking = asyncio.create_task(asyncio.to_thread(shake_hands, listener))
            told = await _trouble(mosquitto.settings(port=listener.getsockname()[1]))
            listener.shutdown(socket.SHUT_RDWR)
            await shaking

    assert told == (Trouble.PROTOCOL, "the broker does not speak TLS 1.3")


async def test_renewed_certificate_is_used(tmp_path: Path) -> None:
    """A certificate that is replaced on disk is used at the next connection, without a restart."""
    with Mosquitto(tmp_path, listen="mutual") as mosquitto:
        files = mosquitto.authority.issue(BOX, valid_to=-HOUR)
        async with open_broker(mosquitto.settings(files=files), client_id=BOX) as box:
            await eventually(lambda: box.state.trouble is Trouble.CERTIFICATE_REFUSED)
            files.certificate.write_bytes(b"half a renewal")
            await eventually(lambda: box.state.trouble is Trouble.FILES)

            mosquitto.authority.issue(BOX)

            await connected(box)


async def test_unusable_settings_are_said_before_anything_runs(tmp_path: Path) -> None:
    """Plain MQTT to another machine, or a missing file, is the operator's error."""
    with Mosquitto(tmp_path, start=False) as mosquitto:
        settings = mosquitto.settings(host="192.0.2.1")
    with pytest.raises(ConfigurationError, match="readable on the way"):
        async with open_broker(settings, client_id=BOX):
            pytest.fail("it opened")


async def test_name_and_port_that_nobody_has(tmp_path: Path) -> None:
    """An unknown name and a closed port are told apart."""
    with Mosquitto(tmp_path, listen="tls", start=False) as mosquitto:
        settings = mosquitto.settings(port=free_port())

        unknown, _ = await _trouble(replace(settings, host="broker.invalid"))
        closed, _ = await _trouble(settings)

    assert (unknown, closed) == (Trouble.NAME_UNKNOWN, Trouble.UNREACHABLE)


async def test_old_broker_is_spoken_to_in_its_own_version(tmp_path: Path) -> None:
    """A broker that says that it knows only 3.1.1 gets that at once, with a light; code 16 and properties are lost."""
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port, old="refuses") as wire:
            settings = mosquitto.settings(port=wire.port)
            async with (
                open_broker(settings, client_id=BOX) as box,
                open_broker(mosquitto.settings(), client_id="centre") as centre,
            ):
                await connected(box)
                await connected(centre)
                assert await box.publish(message("nobody")) == 0
                await centre.subscribe("edge-scanner/#")

                assert await box.publish(message("hello"), response_topic="x", correlation=b"y") == 0

                incoming = await asyncio.wait_for(anext(centre.messages()), PATIENCE_S)
                assert (incoming.payload, incoming.response_topic, incoming.correlation) == (b"hello", "", b"")
                assert (box.state.connected, box.state.protocol) == (True, "3.1.1")
                assert box.state.trouble is Trouble.OLD_VERSION
            assert wire.levels == [5, 4]


async def test_the_newer_version_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection in the older version ends after a day (here at once), and the next one begins with version 5."""
    monkeypatch.setattr(uplink, "RETURN_S", 0.2)
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port, old="refuses") as wire:
            async with open_broker(mosquitto.settings(port=wire.port), client_id=BOX):
                await eventually(lambda: len(wire.levels) >= 3)
            assert wire.levels[:3] == [5, 4, 5]


async def test_a_broker_that_hangs_up_is_never_spoken_to_in_an_older_version(tmp_path: Path) -> None:
    """An end without a word is what a proxy without its broker does: it says nothing about versions."""
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port, old="hangs up") as wire:
            async with open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box:
                await eventually(lambda: len(wire.levels) >= 2)
                assert box.state.trouble is not Trouble.NONE
            assert set(wire.levels) == {5}


@pytest.mark.parametrize("first", ["says nothing", "hangs up", "is a web server", "is another's"])
async def test_the_second_address_is_tried_when_tls_fails_at_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A name with two addresses, at the first of which TCP works and TLS does not: the second is reached."""
    monkeypatch.setattr(connection, "STEP_S", 0.5)
    (tmp_path / "another").mkdir()
    files = Authority(tmp_path / "another").issue("localhost", server=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    reached = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        reached += 1
        with contextlib.suppress(OSError):
            if first == "is a web server":
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            if first == "is another's":
                await writer.start_tls(context)
            if first != "hangs up":
                await reader.read()
        writer.close()

    with Mosquitto(tmp_path, listen="mutual") as mosquitto:
        wrong = await asyncio.start_server(answer, "127.0.0.2", mosquitto.port)
        real = socket.getaddrinfo

        def two(host: str, port: int, *rest: object, **more: object) -> list[Any]:
            if host != "localhost":
                return real(host, port, *rest, **more)  # type: ignore[arg-type]
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        async with open_broker(replace(mosquitto.settings(client=BOX), host="localhost"), client_id=BOX) as box:
            await connected(box)
        wrong.close()
    assert reached


async def test_another_client_of_our_name_is_noticed(tmp_path: Path) -> None:
    """Two boxes from one card: each is told, although this broker throws the older one off without a word."""
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            open_broker(mosquitto.settings(), client_id=BOX) as one,
            open_broker(mosquitto.settings(), client_id=BOX) as other,
        ):
            told: set[int] = set()

            def both() -> bool:
                told.update(
                    number for number, box in enumerate((one, other)) if box.state.trouble is Trouble.TAKEN_OVER
                )
                return len(told) == 2

            await eventually(both)


async def test_chosen_version_is_kept(tmp_path: Path) -> None:
    """With protocol "5" an old broker is a trouble, and 3.1.1 is never tried; with "3.1.1" 5 is never tried."""
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port, old="refuses") as wire:
            five = mosquitto.settings(port=wire.port, protocol="5")
            assert (await _trouble(five))[0] is Trouble.OLD_VERSION
            assert set(wire.levels) == {5}
            wire.levels.clear()
            async with open_broker(replace(five, protocol="3.1.1"), client_id=BOX) as box:
                await connected(box)
            assert wire.levels == [4]


async def test_mute_broker_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A port that takes the connection and never answers is given up after CONNECT_S."""
    monkeypatch.setattr(connection, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, Mosquitto(tmp_path, start=False) as mosquitto:
        trouble, detail = await _trouble(mosquitto.settings(port=mute.getsockname()[1]))

    assert (trouble, detail) == (Trouble.UNREACHABLE, "the broker does not answer in time")


async def test_leaving_in_the_middle_of_a_handshake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that accepts the connection and says nothing delays nobody's exit, and no thread comes back later."""
    monkeypatch.setattr(connection, "CONNECT_S", 10 * PATIENCE_S)
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as mute, Mosquitto(tmp_path, listen="tls", start=False) as mosquitto:
        settings = mosquitto.settings(port=mute.getsockname()[1])
        async with asyncio.timeout(PATIENCE_S), open_broker(settings, client_id=BOX):
            await asyncio.sleep(0.2)

    await eventually(lambda: threading.active_count() <= before)
