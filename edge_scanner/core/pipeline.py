"""The whole program in miniature: adverts in, batches out, with peek, commit, forget between.

Rules:

* A minute is closed `lateness_s` after its end, when the last bursts of the radio have come.
* What a closed minute made (sealed rows, noised reports, messages) is made once and waits here until `forget`; `peek`
  gives all of it again and again, so a commit that failed or was cancelled loses nothing and repeats nothing.
* UTC that goes back closes the minute that was open; UTC that leaps forward leaves the minutes between unheard.
* Without a sealed log (no recipients) everything else goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core import messages
from edge_scanner.core.counts import release as anonymise
from edge_scanner.core.log import merkle
from edge_scanner.core.log.encounters import Encounters
from edge_scanner.core.log.frames import EndReason
from edge_scanner.core.model import Batch, LogRows
from edge_scanner.core.recognition import Recogniser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.core.counts.estimator import Counter
    from edge_scanner.core.counts.release import Ledger
    from edge_scanner.core.log.writer import SealedLog
    from edge_scanner.core.messages import Calibration, Sender
    from edge_scanner.core.model import Advert, BeaconProtocol, ClockReading, Message, Report

MINUTE_S = 60
LATENESS_S = 2.5
"""Bursts are handed over within a second of their last hearing; the rest is a busy event loop."""
LEAP_MINUTES = 10
"""Minutes that may pass between two ticks before they count as a leap of the clock and not as a stalled process."""
MAX_PENDING = 672
"""Reports, and as many messages, that wait for a failing store: four days at seven an hour. After that the oldest go,
and lost messages are counted; the log has a bound of its own (segment.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the run has done so far, for health and for people: counts of things, none of them about phones."""

    minutes: int
    encounters_dropped: int
    reports: int
    messages_dropped: int


class Pipeline:
    """One process run. `log` is None while nothing may be sealed; `calibration` is the site's, if it was measured.

    `lateness_s` is how late a burst may come: more where simulated time runs faster than the event loop.
    """

    def __init__(
        self,
        *,
        protocols: Sequence[BeaconProtocol],
        counter: Counter,
        ledger: Ledger,
        log: SealedLog | None,
        sender: Sender,
        clock: ClockReading,
        calibration: Calibration | None = None,
        lateness_s: float = LATENESS_S,
    ) -> None:
        self._lateness_s = lateness_s
        self.calibration = calibration
        self._recogniser = Recogniser(protocols)
        self._encounters = Encounters()
        self._counter = counter
        self._ledger = ledger
        self._log: SealedLog | None = None
        self._sender = sender
        self._clock = clock
        self._minute_s = _minute(clock.utc_s)
        self._listened_s = 0.0
        self._reports: list[Report] = []
        self._messages: list[Message] = []
        self._announced = 0
        self._minutes = self._dropped = self._reported = self._messages_dropped = 0
        if log is not None:
            self.seal(log)

    @property
    def progress(self) -> Progress:
        """Totals since the run began."""
        return Progress(
            minutes=self._minutes,
            encounters_dropped=self._dropped,
            reports=self._reported,
            messages_dropped=self._messages_dropped,
        )

    def seal(self, log: SealedLog) -> None:
        """From now on minutes are sealed into `log`; for a run that began without one."""
        self._log = log
        self._messages += [
            messages.boot(record, sender=self._sender, created_s=self._clock.utc_s) for record in log.peek().boots
        ]

    def feed(self, advert: Advert) -> None:
        """Take one advert (a burst) into the log and the counts."""
        sightings = self._recogniser.recognise(advert)
        for sighting in sightings:
            self._encounters.add(sighting)
        self._counter.add(advert, sightings)

    def tick(self, clock: ClockReading, *, listening: bool) -> bool:
        """Let time pass; whether a minute was closed. `listening`: the radio heard all since the last tick."""
        passed_s = clock.monotonic_s - self._clock.monotonic_s
        leapt = clock.utc_s - self._clock.utc_s - passed_s > LEAP_MINUTES * MINUTE_S
        self._clock = clock
        if listening:
            self._listened_s = min(MINUTE_S, self._listened_s + passed_s)
        now_minute_s = _minute(clock.utc_s - self._lateness_s)
        if now_minute_s < self._minute_s - MINUTE_S or now_minute_s > self._minute_s + LEAP_MINUTES * MINUTE_S:
            self._close_minute()
            if leapt:
                # Hours that nobody lived through are not released, not even as empty ones: they may still come.
                self._ledger.leap()
            self._minute_s = _minute(clock.utc_s)
            self._counter.restart(self._minute_s)
        elif now_minute_s <= self._minute_s:
            return False
        while self._minute_s < now_minute_s:
            self._close_minute()
        self._collect()
        return True

    def finish(self) -> None:
        """The end of the run: close the open minute, the open segment and the open bins with what they have."""
        self._close_minute()
        if self._log is not None:
            self._log.close(EndReason.STOP, self._clock)
        for tally in self._counter.finish():
            self._ledger.add(tally)
        self._ledger.flush(self._clock.utc_s)
        self._collect()

    def peek(self) -> Batch:
        """Everything that no commit has confirmed yet."""
        return Batch(
            rows=self._log.peek() if self._log is not None else LogRows(),
            releases=tuple(anonymise.to_release(report) for report in self._reports),
            messages=tuple(self._messages),
        )

    def forget(self, batch: Batch) -> None:
        """The store has `batch`, which an earlier `peek` gave."""
        if self._log is not None:
            self._log.forget(batch.rows)
        kept = {(release.ledger, release.bin_start_s) for release in batch.releases}
        done = [report for report in self._reports if (report.ledger, report.bin_start_s) in kept]
        self._ledger.forget(done)
        self._reports = [report for report in self._reports if report not in done]
        self._messages = [message for message in self._messages if message not in batch.messages]

    def _close_minute(self) -> None:
        encounters, dropped = self._encounters.close(self._minute_s)
        self._dropped += dropped
        if self._log is not None:
            self._log.seal(self._minute_s, encounters, dropped=dropped, listened_s=self._listened_s, clock=self._clock)
        self._ledger.add(self._counter.close(self._minute_s, listened_s=self._listened_s))
        self._minute_s += MINUTE_S
        self._minutes += 1
        self._listened_s = 0.0

    def _collect(self) -> None:
        """Turn what became due into messages, each once."""
        now_s = self._clock.utc_s
        for report in self._ledger.due(now_s):
            if report in self._reports:
                continue
            self._reports.append(report)
            self._reported += 1
            if report.ledger == anonymise.BROKER:
                self._messages.append(
                    messages.counts(
                        report,
                        sender=self._sender,
                        link=self._log.link() if self._log is not None else None,
                        clock=self._clock.quality,
                        created_s=now_s,
                        calibration=self.calibration,
                    )
                )
        self._state(now_s)
        self._ledger.forget(self._reports[:-MAX_PENDING])
        self._reports = self._reports[-MAX_PENDING:]
        self._messages_dropped += max(0, len(self._messages) - MAX_PENDING)
        self._messages = self._messages[-MAX_PENDING:]

    def _state(self, now_s: float) -> None:
        """Publish the tree head of finished segments, with the proof that it extends the one before."""
        note = self._log.checkpoint() if self._log is not None else None
        if self._log is None or note is None or (segments := merkle.parse_checkpoint(note).size) <= self._announced:
            return
        self._announced = segments
        extends = self._log.extension()
        self._log.state()
        self._messages.append(
            messages.checkpoint(note.decode(), sender=self._sender, segments=segments, extends=extends, created_s=now_s)
        )


def _minute(now_s: float) -> int:
    return int(now_s // MINUTE_S) * MINUTE_S
