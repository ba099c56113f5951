"""`edge-scanner replay --state-dir`: what a capture holds goes through the daemon's pipeline into a sealed log.

The same pipeline, store and recipients as on a box; the capture's own times are the clock. Nothing is published: the
messages wait in that folder's outbox.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from edge_scanner import protocols as registry
from edge_scanner import terminal
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import Ledger
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import ClockQuality, ClockReading
from edge_scanner.core.pipeline import Pipeline
from edge_scanner.device import settings
from edge_scanner.device.central import recipient_sets
from edge_scanner.device.commands.replay import run_replay
from edge_scanner.device.daemon import sealing
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.settings import DATABASE
from edge_scanner.device.storage.store import open_store
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from edge_scanner.core.model import Advert, BeaconProtocol
    from edge_scanner.device.settings import Log


_NOTHING = "nothing was sealed: the recipients' keys are not valid at the capture's time"


def run_sealed_replay(
    files: Sequence[Path],
    config: Path,
    state_dir: Path,
    *,
    protocols: str,
    utc_offset_s: float,
    grace_s: float | None,
    as_json: bool,
) -> None:
    """Report what was heard, as without a log, and seal it; `protocols` empty: those of the settings."""
    chosen = settings.load(config)
    known = registry.load(protocols.split(",") if protocols else chosen.radio.protocols)
    with sealed_replay(chosen.log, state_dir, known) as also:
        run_replay(files, protocols=protocols, utc_offset_s=utc_offset_s, grace_s=grace_s, as_json=as_json, also=also)


@contextmanager
def sealed_replay(log: Log, state_dir: Path, known: Sequence[BeaconProtocol]) -> Iterator[Callable[[Advert], None]]:
    """Takes adverts in order of time and seals them into `state_dir`; raises ConfigurationError without recipients."""
    authority = recipient_sets.read(log, state_dir)
    found = authority.recipients
    if found is None:
        raise ConfigurationError(
            f"there is nobody to seal a log to{authority.reason and ': '}{authority.reason}",
            where=log.recipients,
            hint="name a signed set under [log] recipients",
        )
    identity = open_identity(state_dir)
    run: Pipeline | None = None
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        store = runner.run(stack.enter_async_context(open_store(state_dir / DATABASE)))

        def commit(pipeline: Pipeline) -> None:
            batch = pipeline.peek()
            runner.run(store.commit(batch))
            pipeline.forget(batch)

        def begin(clock: ClockReading) -> Pipeline:
            state = runner.run(store.log_state())
            counter = Counter(known)
            return Pipeline(
                protocols=known,
                counter=counter,
                ledger=Ledger(figures=counter.figures, sensitivity=counter.sensitivity),
                log=sealing.begin(identity.device_id, identity.key, found, state, clock),
                sender=Sender(device=identity.device_id, site="replay", boot=state.next_boot),
                clock=clock,
            )

        def take(advert: Advert) -> None:
            nonlocal run
            clock = ClockReading(utc_s=advert.last_s, monotonic_s=advert.last_s, quality=ClockQuality.RTC)
            if run is None:
                run = begin(clock)
            if run.tick(clock, listening=True):
                commit(run)
            run.feed(advert)

        try:
            yield take
            if run is not None:
                run.finish()
                commit(run)
                if not (runner.run(store.summary())).frames:
                    terminal.say(errors.told(_NOTHING), stderr=True)
        finally:
            runner.run(stack.aclose())
