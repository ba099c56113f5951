"""The MQTT connection against a real mosquitto: TLS, refusals, old brokers, broken wires."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import pytest

from edge_scanner.core.errors import ConfigurationError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt import broker as door
from edge_scanner.mqtt import brokerlink, uplink
from edge_scanner.mqtt.broker import IN_FLIGHT, Broker, Trouble, open_broker
from edge_scanner.mqtt.uplink import INBOX
from tests.support.memory_broker import MemoryCentre
from tests.support.mosquitto import PASSWORD, USER, Authority, Mosquitto, free_port
from tests.support.mqtt_proxy import MqttProxy
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.mqtt.brokerlink import BrokerSettings

BOX = "K7MP2R9CX4"
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnects that do not wait a second."""
    monkeypatch.setattr(brokerlink, "RECONNECT_MIN_S", 0.02)
    monkeypatch.setattr(brokerlink, "RECONNECT_MAX_S", 0.1)


def _message(text: str, *, topic: str = f"edge/v1/d/{BOX}/up/counts", retain: bool = False) -> Message:
    return Message(kind=MessageKind.COUNTS, topic=topic, payload=text.encode(), key=text, retain=retain, created_s=0.0)


async def _connected(broker: Broker) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await broker.connected()


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
            await _connected(box)

            assert await box.publish(_message("hello")) == 0x10
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

            await _connected(box)


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


@pytest.mark.parametrize("old", ["refuses", "hangs up"])
async def test_old_broker_is_spoken_to_in_its_own_version(tmp_path: Path, old: Literal["refuses", "hangs up"]) -> None:
    """A broker that knows only 3.1.1 gets 3.1.1 at the second try; code 16 and the properties are lost."""
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port, old=old) as wire:
            settings = mosquitto.settings(port=wire.port)
            async with (
                open_broker(settings, client_id=BOX) as box,
                open_broker(mosquitto.settings(), client_id="centre") as centre,
            ):
                await _connected(box)
                await _connected(centre)
                assert await box.publish(_message("nobody")) == 0
                await centre.subscribe("edge/#")

                assert await box.publish(_message("hello"), response_topic="x", correlation=b"y") == 0

                incoming = await asyncio.wait_for(anext(centre.messages()), PATIENCE_S)
                assert (incoming.payload, incoming.response_topic, incoming.correlation) == (b"hello", "", b"")
                assert (box.state.connected, box.state.protocol) == (True, "3.1.1")
            assert wire.levels == [5, 4]


async def test_chosen_version_is_kept(tmp_path: Path) -> None:
    """With protocol "5" an old broker is a trouble, and 3.1.1 is never tried; with "3.1.1" 5 is never tried."""
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port, old="refuses") as wire:
            five = mosquitto.settings(port=wire.port, protocol="5")
            assert (await _trouble(five))[0] is Trouble.PROTOCOL
            assert set(wire.levels) == {5}
            wire.levels.clear()
            async with open_broker(replace(five, protocol="3.1.1"), client_id=BOX) as box:
                await _connected(box)
            assert wire.levels == [4]


async def test_will_without_version_5(tmp_path: Path) -> None:
    """MQTT 3.1.1 has no goodbye that leaves the will behind, so the box says it before it goes."""
    will = _message("offline", topic="status", retain=True)
    with Mosquitto(tmp_path) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id="centre") as centre:
            await centre.subscribe("status")
            await _connected(centre)
            async with open_broker(mosquitto.settings(protocol="3.1.1"), client_id=BOX, will=will) as box:
                await _connected(box)

            incoming = await asyncio.wait_for(anext(centre.messages()), PATIENCE_S)

            assert incoming.payload == b"offline"


async def test_will_waits_for_a_box_that_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wire that breaks for less than the will delay is never announced; one that stays broken is."""
    monkeypatch.setattr(door, "WILL_DELAY_S", 1)
    will = _message("offline", topic="status", retain=True)
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(), client_id="centre") as centre,
            open_broker(
                mosquitto.settings(port=wire.port),
                client_id=BOX,
                will=will,
                birth=lambda: _message("online", topic="status", retain=True),
            ) as box,
        ):
            await _connected(box)
            await centre.subscribe("status")
            await _connected(centre)
            wire.cut()
            await eventually(lambda: box.connections_total == 2)
            await asyncio.sleep(1.5)
            wire.closed = True
            wire.cut()
            seen: list[bytes] = []
            async with asyncio.timeout(PATIENCE_S):
                async for incoming in centre.messages():
                    seen.append(incoming.payload)
                    if incoming.payload == b"offline":
                        break

    assert seen == [b"online", b"online", b"offline"]


async def test_at_most_twenty_unanswered_on_the_wire(tmp_path: Path) -> None:
    """However many publish at once, the wire never carries more than IN_FLIGHT messages without an answer."""
    with Mosquitto(tmp_path) as mosquitto:
        async with MqttProxy(mosquitto.port) as wire:
            async with open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box:
                await _connected(box)
                wire.answering.clear()
                tasks = [asyncio.create_task(box.publish(_message(str(number)))) for number in range(5 * IN_FLIGHT)]
                await eventually(lambda: wire.unanswered == IN_FLIGHT)
                await asyncio.sleep(0.1)
                wire.answering.set()

                codes = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

            assert set(codes) == {0x10}
            assert wire.max_unanswered == IN_FLIGHT


async def test_smaller_receive_maximum_is_honoured(tmp_path: Path) -> None:
    """A broker that announces room for five gets five at a time."""
    with Mosquitto(tmp_path, options="max_inflight_messages 5") as mosquitto:
        async with MqttProxy(mosquitto.port) as wire:
            async with open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box:
                await _connected(box)
                wire.answering.clear()
                tasks = [asyncio.create_task(box.publish(_message(str(number)))) for number in range(IN_FLIGHT)]
                await eventually(lambda: wire.unanswered == 5)
                await asyncio.sleep(0.1)
                wire.answering.set()

                await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

            assert wire.max_unanswered == 5


async def test_silent_broker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers nothing more is given up after ANSWER_S, and the connection is made anew."""
    monkeypatch.setattr(uplink, "ANSWER_S", 0.3)
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box,
        ):
            await _connected(box)
            wire.answering.clear()

            with pytest.raises(UnavailableError, match="no answer"):
                await box.publish(_message("hello?"))

            wire.answering.set()
            await eventually(lambda: box.connections_total == 2)
            assert await box.publish(_message("again")) == 0x10


async def test_goodbye_of_the_broker_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that throws a box off says why: here another client has the same name, as a cloned card would.

    The wire says it, because mosquitto 2.0.11 closes without a word.
    """
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box,
        ):
            await _connected(box)
            monkeypatch.setattr(brokerlink, "RECONNECT_MIN_S", 30.0)

            wire.say(b"\xe0\x01\x8e")

            await eventually(lambda: not box.state.connected)
            assert box.state.trouble is Trouble.TAKEN_OVER
            assert box.state.detail == "another client connected under our name (0x8e)"


async def test_refused_birth_is_told(tmp_path: Path) -> None:
    """A box whose own status is refused is connected, and says that something is wrong."""
    with Mosquitto(tmp_path, acl="topic write elsewhere/#\n") as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX, birth=lambda: _message("online")) as box:
            await _connected(box)

            assert (box.state.connected, box.state.trouble) == (True, Trouble.NOT_AUTHORISED)


async def test_refused_subscription_is_told(tmp_path: Path) -> None:
    """A broker that refuses a subscription is an error for who asks, and a trouble after every reconnect."""
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            MqttProxy(mosquitto.port) as wire,
            open_broker(mosquitto.settings(port=wire.port), client_id=BOX) as box,
        ):
            await _connected(box)
            wire.granting = False

            with pytest.raises(UnavailableError, match="refuses the subscription"):
                await box.subscribe("down/#")

            wire.cut()
            await eventually(lambda: box.state.trouble is Trouble.NOT_AUTHORISED)
            assert box.state.connected


async def test_subscription_that_the_wire_cuts_short_is_remembered() -> None:
    """A connection that ends before the subscription is acknowledged is no error: the next one asks again."""
    centre = MemoryCentre()
    async with centre.open(BOX) as box, centre.open("centre") as other:
        await _connected(box)
        centre.answering.clear()
        asking = asyncio.create_task(box.subscribe("down/#"))
        await asyncio.sleep(0.05)

        centre.stop()
        await asking
        centre.start()

        await _connected(box)
        await _connected(other)
        assert await other.publish(_message("order", topic="down/x")) == 0


async def test_subscriptions_during_the_greeting(tmp_path: Path) -> None:
    """Subscriptions that are asked for while the box connects are all in force once it is connected."""
    with Mosquitto(tmp_path) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX) as box:
            await box.subscribe("down/first")
            asking = [asyncio.create_task(_ask_later(box, number)) for number in range(50)]
            await asyncio.gather(*asking)
            await _connected(box)

            assert {await box.publish(_message("x", topic=f"down/{number}")) for number in range(50)} == {0}


async def _ask_later(box: Broker, number: int) -> None:
    """At a moment somewhere around the handshake."""
    await asyncio.sleep(number / 5000)
    await box.subscribe(f"down/{number}")


async def test_mute_broker_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A port that takes the connection and never answers is given up after CONNECT_S."""
    monkeypatch.setattr(door, "CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, Mosquitto(tmp_path, start=False) as mosquitto:
        trouble, detail = await _trouble(mosquitto.settings(port=mute.getsockname()[1]))

    assert (trouble, detail) == (Trouble.UNREACHABLE, "the broker does not answer in time")


async def test_leaving_in_the_middle_of_a_handshake(tmp_path: Path) -> None:
    """A broker that accepts the connection and says nothing delays nobody's exit, and no thread comes back later."""
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as mute, Mosquitto(tmp_path, listen="tls", start=False) as mosquitto:
        settings = mosquitto.settings(port=mute.getsockname()[1])
        async with open_broker(settings, client_id=BOX):
            await asyncio.sleep(0.2)
            started = time.monotonic()

        assert time.monotonic() - started < 1.0
    await eventually(lambda: threading.active_count() <= before)


async def test_reader_that_is_slow_loses_nothing(tmp_path: Path) -> None:
    """Orders beyond the inbox stay with the broker until the reader takes the first ones."""
    with Mosquitto(tmp_path) as mosquitto:
        async with (
            open_broker(mosquitto.settings(), client_id=BOX) as box,
            open_broker(mosquitto.settings(), client_id="centre") as centre,
        ):
            await box.subscribe("down/#")
            await _connected(box)
            await _connected(centre)
            orders = [f"{number:03}" for number in range(3 * INBOX)]
            for order in orders:
                await centre.publish(_message(order, topic="down/x"))
            await asyncio.sleep(0.2)
            seen = []

            async with asyncio.timeout(PATIENCE_S):
                async for incoming in box.messages():
                    seen.append(incoming.payload.decode())
                    if len(seen) == len(orders):
                        break

            assert seen == orders
            assert box.dropped_total == 0


async def test_offline_costs_no_memory(tmp_path: Path) -> None:
    """Ten thousand publishes without a broker leave nothing behind in memory."""
    with Mosquitto(tmp_path, start=False) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX) as box:
            message = _message("x" * 1000)
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(10_000):
                with pytest.raises(UnavailableError):
                    await box.publish(message)
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()

    assert after - before < 200_000


async def test_our_own_failure_is_not_hidden(tmp_path: Path) -> None:
    """A birth that cannot be made crashes whoever uses the broker, instead of a box that is silently offline."""

    def birth() -> Message:
        raise ZeroDivisionError

    with Mosquitto(tmp_path) as mosquitto:
        async with open_broker(mosquitto.settings(), client_id=BOX, birth=birth) as box:
            with pytest.raises(ZeroDivisionError):
                await _connected(box)
            with pytest.raises(ZeroDivisionError):
                await box.publish(_message("x"))
