"""SIGTERM ends the recorder whatever a side task waits for: a webhook, a relay or a broker that never answers."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull import answer as answers
from edge_scanner.core.pull.request import APPROVER, HEALTH_OFFICER
from edge_scanner.mqtt.broker import open_broker
from tests.support.box import Box
from tests.support.mosquitto import Mosquitto
from tests.support.office import Office
from tests.support.recipients import parties
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from types import TracebackType

ACL = (Path(__file__).parents[2] / "config" / "broker" / "acl").read_text()
CROWD = ("--simulate", "60", "--speed", "600")
LIMIT = "[alarm]\nlimit = 10\n"
MAIL = f'{LIMIT}mail_relay = "127.0.0.1"\nmail_port = {{port}}\nmail_from = "box@a.vn"\nmail_to = ["an@a.vn"]\n'
BROKER = 'host = "127.0.0.1"\nport = {port}\ntls = false\n'


class Ear:
    """A port on which each connection is given to `_meet`; at the end it and they are closed."""

    def __init__(self) -> None:
        self._kept: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._kept.append(socket.create_server(("127.0.0.1", 0)))
        self.port = self._kept[0].getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._kept:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                taken, _ = self._kept[0].accept()
                self._kept.append(taken)
                self._meet(taken)

    def _meet(self, taken: socket.socket) -> None:
        raise NotImplementedError


class Mute(Ear):
    """A server that takes connections and what comes over them, and never answers; a relay's may greet."""

    def __init__(self, greeting: bytes, silent_client: bool) -> None:
        super().__init__()
        self.spoken_to = threading.Event()
        self._greeting, self._silent_client = greeting, silent_client

    def _meet(self, taken: socket.socket) -> None:
        taken.sendall(self._greeting)
        # A mail client says nothing to a relay that has not greeted it.
        if self._silent_client or taken.recv(1):
            self.spoken_to.set()


class Held(Ear):
    """A way to a broker whose one direction can be held: the box still hears, and is heard no longer."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._to = port
        self._held = threading.Event()

    def hold(self) -> None:
        """From now on nothing that the box says arrives."""
        self._held.set()

    def _meet(self, taken: socket.socket) -> None:
        broker = socket.create_connection(("127.0.0.1", self._to))
        threading.Thread(target=self._carry, args=(taken, broker, self._held), daemon=True).start()
        threading.Thread(target=self._carry, args=(broker, taken, threading.Event()), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket, held: threading.Event) -> None:
        with source, contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not held.is_set():
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("settings", "greeting", "silent"),
    [
        (f'{LIMIT}webhook = "http://127.0.0.1:{{port}}/"\n', b"", False),
        (MAIL, b"", True),
        (MAIL, b"220 relay\r\n", False),
        (f"[mqtt]\n{BROKER}", b"", False),
        (f"[local_mqtt]\n{BROKER}", b"", False),
    ],
    ids=["webhook", "relay that only accepts", "relay that only greets", "broker", "venue's broker"],
)
def test_whoever_never_answers_holds_up_no_stop(tmp_path: Path, settings: str, greeting: bytes, silent: bool) -> None:
    """The stop ends the wait itself: no deadline of the side task is reached, the last minute is committed."""
    with Mute(greeting, silent) as server, Box(tmp_path / "box", extra=settings.format(port=server.port)) as box:
        box.start(*CROWD)
        box.until("box is up")
        assert server.spoken_to.wait(PATIENCE_S), box.journal.read_text()[-3000:]
        before = _given_up(box)

        assert box.stop() == 0

        assert _given_up(box) == before


def _given_up(box: Box) -> int:
    """How often a side task came to the end of its own patience, or ended."""
    phrases = (
        "the webhook did not take the alarm",
        "the mail relay did not take the alarm",
        "side task failed, it is tried again",
    )
    return sum(len(box.events(phrase)) for phrase in phrases)


async def test_a_pull_in_progress_holds_up_no_stop(tmp_path: Path) -> None:
    """An order is answered, and nothing of the answer arrives: the daemon waits for the broker, and stops."""
    now_s = time.time()
    who, office = parties(now_s), Office(now_s)
    people = [office.person(role, name, root=who.root) for role, name in ((HEALTH_OFFICER, "An"), (APPROVER, "Bình"))]
    (tmp_path / "broker").mkdir()
    with (
        Mosquitto(tmp_path / "broker", listen="mutual", acl=ACL) as broker,
        Held(broker.port) as way,
        Box(tmp_path / "box", broker=broker, who=who) as box,
    ):
        box.config.write_text(re.sub(r"(?m)^port = \d+$", f"port = {way.port}", box.config.read_text()))
        box.start(*CROWD)
        box.until("minute committed")
        topic = answers.request_topic(box.device_id)
        await eventually(lambda: f"{box.device_id} 1 {topic}" in broker.log.read_text())
        way.hold()
        order = office.signed(office.request(box.device_id), *people)
        async with open_broker(broker.settings(client="authority-hcm"), client_id="authority-hcm") as centre:
            await centre.connected()
            await centre.publish(
                Message(kind=MessageKind.STATUS, topic=topic, payload=order, key="x", retain=False, created_s=now_s)
            )
        box.until("pull answered")

        assert box.stop() == 0
        assert _given_up(box) == 0
