"""A box as the centre hears it: real boot records, checkpoints with proofs, counts and states of a sealed log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_scanner.central.collect.judge import Heard, Judge
from edge_scanner.central.store import model
from edge_scanner.core import messages
from edge_scanner.core.log import merkle, writer
from edge_scanner.core.model import ClockQuality, Link
from tests.support import sealed_logs, snapshots
from tests.support.sealed_logs import DEVICE, HOUR_S

if TYPE_CHECKING:
    from edge_scanner.core.model import Message

SITE = "ben-xe-mien-dong"


class Publisher:
    """One box, its log, and what it has said so far (`said`)."""

    def __init__(self, device: str = DEVICE, start_s: int = HOUR_S) -> None:
        recipients = replace(
            sealed_logs.recipient_set(), not_before_s=start_s - 86_400, not_after_s=start_s + 84 * 86_400
        )
        self.log = sealed_logs.Box(device=device, start_s=start_s, recipients=recipients)
        self.device = device
        self.said: list[Message] = []
        self._announced = -1
        self._booted = 0
        self._status = 0
        self.speak()

    @property
    def sender(self) -> messages.Sender:
        """Who speaks."""
        return messages.Sender(device=self.device, site=SITE, boot=self.log.boots)

    @property
    def listed(self) -> model.Box:
        """The box in the fleet's list."""
        identity = self.log.identity.public_key().public_bytes_raw()
        return model.Box(device=self.device, site=SITE, room="Cửa 3", state="enrolled", identity=identity)

    def speak(self) -> list[Message]:
        """What the box would publish now: boot record and checkpoint, each once."""
        rows = self.log.log.peek()
        new = [
            messages.boot(record, sender=self.sender, created_s=self.log.now_s)
            for record in [*self.log.stored.boots, *rows.boots]
            if record.number > self._booted
        ]
        self._booted = self.log.boots
        note = self.log.log.checkpoint()
        if note is not None and (size := merkle.parse_checkpoint(note).size) > self._announced:
            self._announced = size
            extends = self.log.log.extension()
            self.log.log.state()
            new.append(
                messages.checkpoint(
                    note.decode(), sender=self.sender, segments=size, extends=extends, created_s=self.log.now_s
                )
            )
        self.log.commit()
        self.said += new
        return new

    def hours(self, count: int, *, minutes: int = 60) -> list[Message]:
        """Seal some hours; what was published meanwhile, a count message an hour among it."""
        new: list[Message] = []
        for _ in range(count):
            for _ in range(minutes):
                self.log.log.seal(self.log.now_s, [], clock=sealed_logs.clock(self.log.now_s + 60))
                self.log.now_s += 60
                new += self.speak()
            self.log.now_s += 60 * (60 - minutes)
            new.append(self.counts(self.log.now_s // 3600 * 3600 - 3600))
        return new

    def restart(self) -> list[Message]:
        """A new run on the same log, as after a power cut."""
        stored = self.log.stored
        header = stored.headers[-1] if stored.headers else None
        rows = stored.frames.get(header.seq, []) if header else []
        self.log.start(writer.resume(stored.digests(), header, rows))
        self.log.now_s += 60
        return self.speak()

    def forget(self, run: int) -> None:
        """The box is a card of that run: what came after it is to be said anew."""
        self._booted, self._announced = run, -1

    def counts(self, bin_start: int, nearby: int = 600, link: Link | None = None) -> Message:
        """An hour's release."""
        report = replace(snapshots.hourly(bin_start, 40), figures={"nearby": nearby, "bluezone": nearby // 4})
        made = messages.counts(
            report, sender=self.sender, link=link or self.log.log.link(), clock=ClockQuality.NTP,
            created_s=bin_start + 3605,
        )  # fmt: skip
        self.said.append(made)
        return made

    def status(self) -> Message:
        """A birth."""
        self._status += 1
        birth = messages.Birth(
            software="0.2.0", clock=ClockQuality.NTP, settings_digest=bytes(32), key_digest=bytes(32)
        )
        return messages.status(birth, sender=self.sender, seq=self._status, created_s=self.log.now_s)


def heard(message: Message, **changes: Any) -> Heard:
    """A message as the collector gets it, four seconds after it was made."""
    fields: dict[str, Any] = {
        "topic": message.topic,
        "payload": message.payload,
        "retained": False,
        "received": int(message.created_s) + 4,
    }
    return Heard(**(fields | changes))


def judge(*boxes: Publisher) -> Judge:
    """A judge that knows these boxes."""
    return Judge({box.device: box.listed for box in boxes})
