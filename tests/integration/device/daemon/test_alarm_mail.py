"""The capacity alarm by mail: a real relay gets one mail for each change, in both languages, without a figure."""

from __future__ import annotations

import asyncio
import contextlib
from email import message_from_bytes, policy
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import SMTP

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device import settings
from edge_scanner.device.daemon import alarm
from edge_scanner.device.settings import Alarm
from tests.support import alarms
from tests.support.alarms import crowd
from tests.support.snapshots import VENUE
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from edge_scanner.core.snapshot import Snapshot

READERS = ("truc-ban@ben-xe.vn", "quan-ly@ben-xe.vn")
ZONE = settings.zone("Asia/Ho_Chi_Minh")


class Relay:
    """What aiosmtpd calls; `refuses` are readers that it does not know."""

    def __init__(self, *answers: str, refuses: tuple[str, ...] = ()) -> None:
        self.got: list[Any] = []
        self.greeted, self.tries = "", 0
        self.at_data: Callable[[], object] = list
        self._answers, self._refuses = list(answers), refuses

    async def handle_EHLO(  # noqa: N802 (aiosmtpd's)
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """Keeps the name."""
        del server, envelope
        session.host_name = self.greeted = hostname
        return responses

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's)
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Knows a reader or does not."""
        del server, session, options
        if address in self._refuses:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's)
        """Keeps the mail, unless an answer is left to give."""
        del server, session
        self.tries += 1
        self.at_data()
        if self._answers:
            return self._answers.pop(0)
        self.got.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


@contextlib.asynccontextmanager
async def listening(relay: Relay) -> AsyncIterator[Alarm]:
    """The relay on a port, and settings that name it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(relay, loop=loop, hostname="relay"), "127.0.0.1", 0)
    async with server:
        yield Alarm(
            limit=100,
            mail_relay="127.0.0.1",
            mail_port=server.sockets[0].getsockname()[1],
            mail_from="hop@ben-xe.vn",
            mail_to=READERS,
        )


def watching(wanted: Alarm, shown: list[Snapshot]) -> AbstractAsyncContextManager[None]:
    """The side task that mails."""
    return alarms.watching(alarm.by_mail(wanted, ZONE), shown, deadline_s=10)


def _begin(kept: list[asyncio.Task[None]], work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    kept.append(asyncio.ensure_future(work()))


async def test_begin_and_end_are_mailed_once_each() -> None:
    """To every reader, in both languages, by the venue's clock; with no figure and no name of this machine."""
    relay, shown = Relay(), [crowd(50)]
    async with listening(relay) as wanted, watching(wanted, shown):
        shown.append(crowd(127))
        await eventually(lambda: relay.got)
        shown.append(crowd(50))
        await eventually(lambda: len(relay.got) > 1)
        await asyncio.sleep(0.1)

    (readers, begun), (_, ended) = relay.got
    text = begun.get_content()
    assert readers == list(READERS)
    assert begun["From"] == "hop@ben-xe.vn"
    assert begun["Subject"] == f"Quá đông: {VENUE.name_vi} / Over the limit: {VENUE.name_en}"
    assert ended["Subject"].startswith("Hết quá đông: ")
    assert f"Quá đông: {VENUE.name_vi}." in text
    assert f"Over the limit: {VENUE.name_en}." in text
    assert begun["Auto-Submitted"] == "auto-generated"
    assert "127" not in begun.as_string()
    assert relay.greeted == "edge-scanner"
    assert begun["Message-ID"].endswith("@ben-xe.vn>")


async def test_a_name_cannot_write_a_header() -> None:
    """A line's end in the venue's name is a space."""
    relay = Relay()
    async with listening(relay) as wanted, watching(wanted, [crowd(120, name_vi="Bến\nBcc: x@y", name_en="A\r\nB")]):
        await eventually(lambda: relay.got)

    assert relay.got[0][1]["Bcc"] is None
    assert relay.got[0][1]["Subject"] == "Quá đông: Bến Bcc: x@y / Over the limit: A B"


async def test_a_relay_that_fails_is_tried_again_and_not_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    """Twice busy, then taken; one that never takes it is asked five times, and no address is written down."""
    relay = Relay("451 later", "554 hush@ben-xe.vn is full")
    async with listening(relay) as wanted, watching(wanted, [crowd(120)]):
        await eventually(lambda: relay.got)
        await asyncio.sleep(0.1)
    assert (relay.tries, len(relay.got)) == (3, 1)

    deaf = Relay(*["451 later"] * 9)
    async with listening(deaf) as wanted, watching(wanted, [crowd(120)]):
        await eventually(lambda: deaf.tries >= alarm.TRIES)
        await asyncio.sleep(0.2)
    assert deaf.tries == alarm.TRIES
    said = "".join(capsys.readouterr())
    assert "did not take the alarm" in said
    assert "ben-xe" not in said


async def test_readers_whom_the_relay_does_not_know_keep_it_from_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """The others get it once; that one was refused is written down as a number."""
    relay = Relay(refuses=(READERS[0],))
    async with listening(relay) as wanted, watching(wanted, [crowd(120)]):
        await eventually(lambda: relay.got)
        await asyncio.sleep(0.1)

    assert [readers for readers, _ in relay.got] == [[READERS[1]]]
    said = "".join(capsys.readouterr())
    assert "refused some readers" in said
    assert "ben-xe" not in said


async def test_a_stop_is_never_swallowed() -> None:
    """At whichever step between the mail's data and the good-bye the daemon stops, the side task ends."""

    async def stop_after(steps: int, task: asyncio.Task[None]) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()

    for steps in range(40):
        relay = Relay()
        stops: list[asyncio.Task[None]] = []
        async with listening(relay) as wanted:
            watch = alarm.watcher(alarm.by_mail(wanted, ZONE), latest=lambda: crowd(120), look_s=0.01)
            task = asyncio.ensure_future(watch())
            relay.at_data = partial(_begin, stops, partial(stop_after, steps, task))
            await eventually(task.done)
        assert task.cancelled()
        await asyncio.gather(*stops)


@pytest.mark.parametrize("answer", [b"", b"\0\xff\r\n", b"220 "])
async def test_what_does_not_speak_smtp_has_an_end(answer: bytes) -> None:
    """A port that closes, noise, a greeting that comes a byte at a time for ever: each try ends by its deadline."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        with contextlib.suppress(ConnectionError):
            writer.write(answer)
            while answer.startswith(b"220"):
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        ended.set()

    ended = asyncio.Event()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        wanted = Alarm(mail_relay="127.0.0.1", mail_port=port, mail_from="a@b.vn", mail_to=("c@d.vn",))
        send: Callable[[Snapshot, bool, float], Awaitable[bool]] = alarm.by_mail(wanted, ZONE)
        async with asyncio.timeout(60):
            assert await send(crowd(120), True, 0.3) is False
            await ended.wait()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('mail_relay = "smtp://relay"\nmail_from = "a@b.vn"\nmail_to = ["c@d.vn"]', "mail_relay"),
        ('mail_relay = "relay"\nmail_from = "a@b.vn"', "mail_to"),
        ('mail_relay = "relay"\nmail_to = ["c@d.vn"]', "mail_from"),
        ('mail_relay = "relay"\nmail_from = "a@b.vn"\nmail_to = ["c@d.vn\\nBcc: e@f.vn"]', "mail_to"),
    ],
)
def test_settings_that_could_mail_nobody_are_refused(text: str, key: str) -> None:
    """No relay by URL, no mail without sender or reader, no address with another line in it."""
    with pytest.raises(ConfigurationError, match=key):
        settings.parse(f"[alarm]\n{text}\n".encode(), name="s.toml")


def test_what_is_asked_for_is_watched() -> None:
    """Nothing by default; webhook and mail are two tasks, of which neither waits for the other."""
    both = Alarm(webhook="http://x", mail_relay="relay", mail_from="a@b.vn", mail_to=("c@d.vn",))
    assert alarm.watchers(Alarm(), zone=ZONE, latest=lambda: None) == {}
    assert alarm.watchers(both, zone=ZONE, latest=lambda: None).keys() == {"alarm", "alarm_mail"}
