"""The capacity alarm by e-mail, through a mail relay of the venue's own network: no password, no encryption, no figure.

The mail says what the screen's word says to everybody who passes: which venue, over its limit or no more, since when.
It is written in both languages, because nobody knows who reads it.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import TYPE_CHECKING

from edge_scanner.device.system import journal

if TYPE_CHECKING:
    from datetime import tzinfo

    from edge_scanner.core.snapshot import Snapshot
    from edge_scanner.device.settings import Alarm

_GREETING = "edge-scanner"
"""What the relay is told of who sends; the box's own host name is nobody's business."""
_GOODBYE_S = 1.0
_BEGUN = ("Quá đông", "Over the limit")
_ENDED = ("Hết quá đông", "No longer over the limit")

_log = journal.get("alarm")


def message(alarm: Alarm, snapshot: Snapshot, *, over: bool, zone: tzinfo) -> EmailMessage:
    """The mail; `Auto-Submitted` keeps absent people's machines from answering (RFC 3834)."""
    venue = snapshot.venue
    vi, en = _BEGUN if over else _ENDED
    names = [" ".join(name.split()) or venue.device for name in (venue.name_vi, venue.name_en or venue.name_vi)]
    at = datetime.fromtimestamp(snapshot.crowd.at_s or snapshot.written_s, zone)
    mail = EmailMessage()
    mail["From"], mail["To"] = alarm.mail_from, ", ".join(alarm.mail_to)
    mail["Subject"] = f"{vi}: {names[0]} / {en}: {names[1]}"
    mail["Date"] = format_datetime(datetime.fromtimestamp(snapshot.written_s, UTC))
    mail["Message-ID"] = make_msgid(domain=alarm.mail_from.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(
        f"{vi}: {names[0]}.\nTheo màn hình từ {at:%H:%M %d/%m/%Y}. Thiết bị {venue.device}.\n\n"
        f"{en}: {names[1]}.\nBy the screen since {at:%H:%M %d/%m/%Y}. Box {venue.device}.\n"
    )
    return mail


async def send(alarm: Alarm, mail: EmailMessage, *, deadline_s: float) -> bool:
    """Whether the relay took it, for one of its readers at least; nothing waits longer than the deadline."""
    import aiosmtplib  # noqa: PLC0415 (a box without a relay needs no client)

    relay = aiosmtplib.SMTP(
        hostname=alarm.mail_relay,
        port=alarm.mail_port,
        start_tls=False,
        local_hostname=_GREETING,
        timeout=None,  # the client's own deadlines are `wait_for`s, and Python 3.11's can swallow a stop of the task
    )
    try:
        async with asyncio.timeout(deadline_s):
            await relay.connect()
            refused, _ = await relay.send_message(mail)
        # It has the mail: how it says good-bye changes nothing.
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            async with asyncio.timeout(_GOODBYE_S):
                await relay.quit()
    except (aiosmtplib.SMTPException, OSError, ValueError) as failed:
        # What a relay answers may quote an address: only the kind is written down.
        _log.warning("the mail relay did not take the alarm", error=type(failed).__name__)
        return False
    finally:
        relay.close()
    if refused:
        _log.warning("the mail relay refused some readers of the alarm", refused=len(refused))
    return True
